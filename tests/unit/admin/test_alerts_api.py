"""The calls about alerts over real HTTP, and what /metrics says of them."""

import contextlib
import itertools
import json
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from harness.alert_receiver import Receiver
from harness.documented import documented, shown

from sidecar.admin.alerts_api import AlertCalls
from sidecar.admin.alerts_metrics import AlertMetrics
from sidecar.admin.answers import errors_as_json
from sidecar.config.alerting import (
    AlertSettings,
    AlertSeverity,
    ReceiverSettings,
    ReceiverType,
    Relation,
    RuleSettings,
    Tier,
)
from sidecar.config.units import Duration
from sidecar.control.alerts import AlertFiles, AlertWatch, Courier
from sidecar.control.alerts.senders import LogSender

SECRET = "hunter2"


class Value:
    """One sample of `sidecar_x{route="iris"}`."""

    name, labels, value = "sidecar_x", {"route": "iris"}, 25.0


@pytest.fixture
async def world(tmp_path):
    """A client before a watch with two tiers, which has looked once; `hook` is its receiver."""
    ids = itertools.count()
    async with contextlib.AsyncExitStack() as stack:
        hook = await stack.enter_async_context(Receiver())
        settings = AlertSettings(
            defaults=False,
            receivers={
                "ops": ReceiverSettings(
                    type=ReceiverType.WEBHOOK, url_env="HOOK", token_env="TOKEN"
                )
            },
            rules=(
                RuleSettings(
                    name="high",
                    series="sidecar_x",
                    tiers=(
                        Tier(severity=AlertSeverity.WARNING, above=10),
                        Tier(severity=AlertSeverity.CRITICAL, above=20, for_=Duration(60)),
                    ),
                    summary="{labels.route} is at {value}",
                    runbook_url="https://wiki.example/high",
                ),
                RuleSettings(
                    name="fall",
                    series="sidecar_y",
                    relative_to=Relation(value=1.0),
                    tiers=(Tier(severity=AlertSeverity.INFO, change_percent=-5),),
                ),
            ),
        )
        watch = AlertWatch(
            settings,
            launch="l",
            samples=lambda _names: [Value],
            files=AlertFiles(tmp_path),
            wall_ns=time.time_ns,
            monotonic_ns=time.monotonic_ns,
            environ={"HOOK": f"{hook.url}/{SECRET}", "TOKEN": SECRET},
            ids=lambda: f"id-{next(ids)}",
            chance=lambda: 0.0,
        )
        await watch.tick()
        application = web.Application(middlewares=[errors_as_json])
        application.add_routes(AlertCalls(watch, time.time_ns).routes())
        client = await stack.enter_async_context(TestClient(TestServer(application)))

        async def call(method, path, **options):
            async with client.request(method, path, **options) as response:
                return response.status, await response.json()

        call.watch, call.hook = watch, hook
        yield call


async def test_alerts_come_with_everything_a_person_needs(world):
    status, found = await world("GET", "/api/v1/alerts")

    assert status == 200
    fires, waits = found["alerts"]
    assert (fires["severity"], fires["state"]) == ("warning", "firing")
    assert (waits["severity"], waits["state"]) == ("critical", "pending")
    assert fires["starts_at"] == fires["since"]
    assert waits["starts_at"] is None
    assert fires | {"since": "", "starts_at": "", "fingerprint": ""} == {
        "alertname": "high",
        "severity": "warning",
        "state": "firing",
        "labels": {"route": "iris"},
        "value": 25.0,
        "compared": 25.0,
        "threshold": 10.0,
        "n": None,
        "since": "",
        "starts_at": "",
        "fingerprint": "",
        "receivers": ["ops"],
        "told": [],
        "silenced_by": [],
        "inhibited": False,
        "summary": "iris is at 25",
        "description": "",
        "runbook_url": "https://wiki.example/high",
    }


async def test_rules_say_what_they_read_and_whether_they_found_anything(world):
    _, found = await world("GET", "/api/v1/alerts")
    high, fall = found["rules"]

    assert (high["reading"], high["groups"], high["default"]) == ("sidecar_x", 1, False)
    assert (fall["reading"], fall["groups"]) == ("sidecar_y", 0)
    assert [tier["comparison"] for tier in (*high["tiers"], *fall["tiers"])] == [
        "above", "above", "change_percent",
    ]  # fmt: skip
    assert high["tiers"][1]["for_s"] == 60


async def test_a_silence_is_made_shown_and_ended(world):
    order = {"matchers": {"route": "~ir.*"}, "for": "2h", "author": "me", "comment": "why"}
    status, made = await world("POST", "/api/v1/alerts/silences", json=order)
    assert status == 201
    assert made["matchers"] == {"route": "~ir.*"}

    _, held = await world("GET", "/api/v1/alerts/silences")
    _, found = await world("GET", "/api/v1/alerts")
    assert held == {"silences": [made]}
    assert found["alerts"][0]["silenced_by"] == [made["id"]]

    assert await world("DELETE", f"/api/v1/alerts/silences?id={made['id']}") == (200, made)
    assert await world("GET", "/api/v1/alerts/silences") == (200, {"silences": []})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"for": "2 fortnights"}, "bad_silence"),
        ({"for": 7200}, "bad_body"),
        ({"matchers": {}}, "bad_silence"),
        ({"matcher": {}}, "bad_body"),
    ],
)
async def test_a_silence_that_makes_no_sense_is_refused(world, change, code):
    order = {"matchers": {"route": "a"}, "for": "2h", "author": "me", "comment": "why"}

    status, refused = await world("POST", "/api/v1/alerts/silences", json={**order, **change})

    assert (status, refused["error"]["code"]) == (422, code)


async def test_ending_a_silence_needs_one_that_there_is(world):
    assert (await world("DELETE", "/api/v1/alerts/silences"))[0] == 422
    assert (await world("DELETE", "/api/v1/alerts/silences?id=x"))[0] == 404


async def test_a_test_before_the_watch_runs_says_so(world):
    status, refused = await world("POST", "/api/v1/alerts/test", json={"receiver": "ops"})

    assert status == 404
    assert "no receiver 'ops'" in refused["error"]["message"]


async def test_no_call_shows_where_receivers_listen_or_what_they_want_to_see(world):
    for path in ("/api/v1/alerts", "/api/v1/alerts/silences"):
        assert SECRET not in json.dumps((await world("GET", path))[1])


async def test_metrics_are_the_documented_ones(world):
    world.watch.couriers["ops"] = Courier(
        world.watch.policy.receivers["ops"],
        LogSender(),
        confirm=None,
        now_ns=time.time_ns,
        chance=lambda: 0.0,
        backoff=None,
    )
    families = list(AlertMetrics(world.watch).collect())

    assert documented("Alerts") == shown(families)
    alerts = {(s.labels["severity"], s.labels["state"]): s.value for s in families[0].samples}
    assert alerts["warning", "firing"] == 1
    assert alerts["critical", "pending"] == 1
    assert sum(alerts.values()) == 2
