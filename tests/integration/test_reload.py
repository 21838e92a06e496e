"""Reloading the configuration: swapped whole, or kept whole with every problem named."""

from __future__ import annotations

import signal

import pytest
from harness.configs import one_route
from harness.load import Load
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(60)


def version(running) -> int:
    return running.admin("GET", "/api/v1/weights")[1]["version"]


def test_a_reload_takes_over_models_and_routes_without_a_broken_answer(sidecar, upstream):
    old, new = upstream(), upstream()
    running = sidecar(one_route(old.url, canary_percent=0, workers=2))
    with Load(running.port) as load:
        wait_until(lambda: load.answered > 50, "some answers")
        running.write_config({**running.config, **one_route(new.url, canary_percent=0)})
        status, change = running.admin("POST", "/api/v1/reload")
        assert status == 200
        assert change["workers"]["acknowledged"] == [0, 1]
        wait_until(lambda: new.requests, "requests reach the new endpoint")
    assert load.broken == []
    assert load.refused == 0


def test_a_wrong_file_keeps_the_old_configuration_and_names_every_problem(sidecar, upstream):
    running = sidecar(one_route(upstream().url))
    before = version(running)
    broken = one_route("http://127.0.0.1:1")
    broken["models"]["stable"]["url"] = "ftp://example.com"
    broken["routes"][0]["canaries"][0]["percent"] = 500
    running.write_config({**running.config, **broken})
    status, answer = running.admin("POST", "/api/v1/reload")
    assert status == 422
    problems = "\n".join(answer["error"]["problems"])
    assert "$.models.stable.url" in problems or "$.routes[0].canaries[0].percent" in problems
    assert version(running) == before
    assert running.request()[0] == 200


@pytest.mark.parametrize("text", ["", "{", "routes: 3", "\x00"])
def test_a_file_that_is_no_configuration_keeps_the_old_one(sidecar, upstream, text):
    running = sidecar(one_route(upstream().url))
    running.write_config(text)
    status, _ = running.admin("POST", "/api/v1/reload")
    assert status == 422
    assert running.request()[0] == 200


def test_sighup_reloads_and_a_wrong_file_only_shows_in_the_log(sidecar, upstream):
    old, new = upstream(), upstream()
    running = sidecar(one_route(old.url))
    before = version(running)
    running.write_config("nonsense: true")
    running.signal(signal.SIGHUP)
    wait_until(lambda: "kept the configuration" in running.stderr, "the log says so")
    assert version(running) == before
    running.write_config({**running.config, **one_route(new.url)})
    running.signal(signal.SIGHUP)
    wait_until(lambda: version(running) == before + 1, "the new version")
    running.request()
    assert len(new.requests) == 1


def test_keys_that_need_a_restart_are_reported_and_not_applied(sidecar, upstream):
    running = sidecar(one_route(upstream().url))
    running.write_config({**running.config, "workers": 2, "drain": {"timeout": "1s"}})
    status, change = running.admin("POST", "/api/v1/reload")
    assert status == 200
    assert sorted(change["needs_restart"]) == ["drain", "workers"]
    assert len(running.admin("GET", "/api/v1/status")[1]["workers"]) == 1


def test_more_models_than_the_board_holds_are_refused_by_name_of_the_key(sidecar, upstream):
    url = upstream().url
    running = sidecar(one_route(url, metrics={"cells": 8}))
    many = {f"m{n}": {"url": url} for n in range(9)}
    route = {"name": "iris", "primary": "m0", "canaries": [{"model": m} for m in list(many)[1:]]}
    running.write_config({**running.config, "models": many, "routes": [route]})
    status, answer = running.admin("POST", "/api/v1/reload")
    assert status == 422
    assert "$.metrics.cells" in answer["error"]["message"]
