"""Weights and rollbacks: acknowledged, measured, and never undone by a restart of anything."""

from __future__ import annotations

import os
import re
import signal

import pytest
from harness.configs import one_route
from harness.load import Load
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

ROLLED_BACK = {"stable": 100.0, "next": 0.0}


def models_of(running, requests: int) -> set[str]:
    """Which models answer so many requests."""
    return {running.request()[1]["x-sidecar-model"] for _ in range(requests)}


def test_a_rollback_is_acknowledged_by_every_worker_and_measured_under_load(sidecar, upstream):
    running = sidecar(one_route(upstream().url, canary_percent=50, workers=2))
    with Load(running.port) as load:
        wait_until(lambda: load.answered > 100, "some answers")
        status, change = running.admin("POST", "/api/v1/rollback", {"route": "iris"})
        assert status == 200
        assert change["workers"] == {
            "acknowledged": [0, 1],
            "missing": [],
            "absent": [],
            "refused": {},
        }
        assert change["persisted"] is True
        assert change["weights"]["iris"] == ROLLED_BACK
        assert 0 < change["duration_ms"] < 2000
    assert load.broken == []
    assert models_of(running, 20) == {"stable"}
    metrics = running.metrics()
    assert re.search(r"^sidecar_rollback_duration_seconds_count 1(\.0)?$", metrics, re.MULTILINE)
    assert re.search(r"^sidecar_rollback_duration_seconds_sum 0\.\d+", metrics, re.MULTILINE)


def test_a_rollback_holds_when_the_controller_is_killed(sidecar, upstream):
    running = sidecar(one_route(upstream().url, canary_percent=50))
    victim = running.children()["control"]
    _, change = running.admin("POST", "/api/v1/rollback")
    os.kill(victim, signal.SIGKILL)
    wait_until(
        lambda: running.children().get("control") not in {None, victim} and running.ready(),
        "the controller is back",
    )
    _, weights = running.admin("GET", "/api/v1/weights")
    assert weights["routes"]["iris"]["weights"] == ROLLED_BACK
    assert weights["version"] == change["version"]
    assert models_of(running, 20) == {"stable"}


def test_a_rollback_holds_when_a_worker_is_killed(sidecar, upstream):
    running = sidecar(one_route(upstream().url, canary_percent=50))
    running.admin("POST", "/api/v1/rollback")
    victim = running.children()["work-0"]
    os.kill(victim, signal.SIGKILL)
    assert models_of(running, 20) == {"stable"}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_rollback_holds_when_the_whole_sidecar_is_started_again(sidecar, upstream, end):
    running = sidecar(one_route(upstream().url, canary_percent=50))
    _, change = running.admin("POST", "/api/v1/rollback")
    running.stop(end)
    running.start()
    _, status = running.admin("GET", "/api/v1/status")
    assert status["routing_version"] > change["version"]
    assert status["overrides"] == [
        {"route": "iris", "model": "next", "percent": 0.0, "file_percent": 50.0}
    ]
    assert models_of(running, 20) == {"stable"}
    assert "a percentage set at run time outranks the file" in running.stderr


def test_a_rollback_holds_through_a_reload_until_it_is_reset(sidecar, upstream):
    running = sidecar(one_route(upstream().url, canary_percent=50))
    running.admin("POST", "/api/v1/rollback")
    _, change = running.admin("POST", "/api/v1/reload")
    assert change["weights"]["iris"] == ROLLED_BACK
    assert change["overrides"][0]["model"] == "next"
    status, change = running.admin("DELETE", "/api/v1/weights?route=iris")
    assert status == 200
    assert change["weights"]["iris"] == {"stable": 50.0, "next": 50.0}
    assert change["overrides"] == []


def test_weights_set_at_run_time_move_the_traffic(sidecar, upstream):
    running = sidecar(one_route(upstream().url, canary_percent=0))
    assert models_of(running, 10) == {"stable"}
    status, _ = running.admin(
        "POST", "/api/v1/weights", {"route": "iris", "weights": {"next": 100}}
    )
    assert status == 200
    assert models_of(running, 10) == {"next"}


def test_a_worker_that_does_not_acknowledge_is_named_and_takes_it_over_when_it_can(
    sidecar, upstream
):
    running = sidecar(one_route(upstream().url, canary_percent=50, workers=2))
    stopped = running.children()["work-1"]
    os.kill(stopped, signal.SIGSTOP)
    try:
        status, change = running.admin("POST", "/api/v1/rollback")
        assert status == 504
        assert change["workers"]["acknowledged"] == [0]
        assert change["workers"]["missing"] == [1]
        assert change["persisted"] is True
        status, readiness = running.admin("GET", "/readyz")
        assert status == 503
        assert "worker 1" in readiness["reasons"][0]
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(running.ready, "the worker has caught up")
    assert models_of(running, 20) == {"stable"}


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"route": "nope", "weights": {"next": 1}}, 404, "iris"),
        ({"route": "iris", "weights": {"nope": 1}}, 422, "next"),
        ({"route": "iris", "weights": {"stable": 1}}, 422, "primary"),
        ({"route": "iris", "weights": {"next": 101}}, 422, "100"),
        ({"route": "iris", "weights": {"next": -1}}, 422, "0 to 100"),
        ({"route": "iris", "weights": {"next": "much"}}, 422, "float"),
        ({"rout": "iris", "weights": {"next": 1}}, 422, "rout"),
    ],
)
def test_a_wrong_change_is_refused_in_words_and_changes_nothing(shared_sidecar, body, status, says):
    _, before = shared_sidecar.admin("GET", "/api/v1/weights")
    got, answer = shared_sidecar.admin("POST", "/api/v1/weights", body)
    assert got == status
    assert says in answer["error"]["message"]
    assert shared_sidecar.admin("GET", "/api/v1/weights")[1] == before


@pytest.fixture(scope="module")
def shared_sidecar(tmp_path_factory):
    """One sidecar for the tests that change nothing."""
    from harness.sidecar_process import SidecarProcess  # noqa: PLC0415
    from harness.upstream import Upstream  # noqa: PLC0415

    with (
        Upstream() as model,
        SidecarProcess(tmp_path_factory.mktemp("shared"), one_route(model.url)) as running,
    ):
        yield running
