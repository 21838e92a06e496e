"""The demo's viewer, before an admin API that says what the test wants it to say."""

import asyncio
import contextlib
import io
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from sidecar.demo import viewer as viewers
from sidecar.demo.traffic import Traffic
from sidecar.demo.viewer import Viewer
from sidecar.demo.world import Addresses

METRICS = """\
# TYPE sidecar_requests_total counter
sidecar_requests_total{{route="r",model="stable",role="primary",status="2xx"}} {requests}
# TYPE sidecar_shadow_total counter
sidecar_shadow_total{{route="r",model="trial",outcome="answered"}} {requests}
"""


class Admin:
    """What the admin API says now; `looks` counts how often all of it was asked."""

    def __init__(self):
        self.requests = self.looks = 0
        self.percent = 90.0
        self.status, self.psi, self.firing, self.broken = "ok", 0.01, (), False

    def routes(self):
        return [
            web.get("/metrics", self.metrics),
            web.get("/api/v1/weights", self.weights),
            web.get("/api/v1/drift", self.drift),
            web.get("/api/v1/alerts", self.alerts),
        ]

    async def metrics(self, _request):
        if self.broken:
            raise web.HTTPServiceUnavailable
        return web.Response(text=METRICS.format(requests=self.requests))

    async def weights(self, _request):
        return web.json_response({"routes": {"r": {"weights": {"stable": self.percent}}}})

    async def drift(self, _request):
        verdict = {
            "feature": "car_value", "status": self.status, "psi": self.psi,
            "p_adjusted": 0.001, "n": 1800,
        }  # fmt: skip
        comparison = {"verdicts": [verdict], "why": ""}
        watch = {"model": "stable", "role": "primary", "comparisons": [comparison]}
        return web.json_response({"watches": [watch]})

    async def alerts(self, _request):
        self.looks += 1
        alerts = [
            {"fingerprint": name, "severity": "warning", "state": "firing", "summary": name}
            for name in self.firing
        ]
        return web.json_response({"alerts": alerts})


@pytest.fixture
async def admin(monkeypatch):
    monkeypatch.setattr(viewers, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(viewers, "_LINES_EVERY_S", 0.05)
    admin, app = Admin(), web.Application()
    app.add_routes(admin.routes())
    async with TestServer(app) as running:
        admin.url = str(running.make_url("")).rstrip("/")
        yield admin


@contextlib.asynccontextmanager
async def looking(admin, *, terminal=False):
    console = Console(file=io.StringIO(), width=120, height=40, force_terminal=terminal)
    addresses = Addresses(traffic="http://t", admin=admin.url, configuration=Path("/c.yaml"))
    viewer = Viewer(addresses, Traffic(({},), rate=1.0), console)
    task = asyncio.create_task(viewer.run())
    try:
        yield viewer, console.file
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - polled, with a deadline
            await asyncio.sleep(0.005)


async def looked(admin):
    """Until a look that began after now has ended."""
    now = admin.looks
    await until(lambda: admin.looks >= now + 3)


async def test_without_a_terminal_lines_come_again_and_again_and_say_what_drifts(admin):
    async with looking(admin) as (_, words):
        await until(lambda: words.getvalue().count("drift: none") >= 2)
        admin.status, admin.psi = "major", 1.5
        await until(lambda: "drift: car_value major (PSI 1.50)" in words.getvalue())


async def test_an_alert_is_told_once_when_it_comes(admin):
    async with looking(admin) as (viewer, words):
        await looked(admin)
        admin.firing = ("one",)
        await looked(admin)
        admin.firing = ("one", "other")
        await looked(admin)
        told = [line.strip() for line in words.getvalue().splitlines() if "alert" in line]
        assert told == ["alert: warning: one", "alert: warning: other"]
        assert [alert["summary"] for alert in viewer.summary()["alerts"]] == ["one", "other"]


async def test_a_terminal_gets_frames(admin):
    admin.status, admin.psi, admin.firing = "major", 1.5, ("it drifts",)
    async with looking(admin, terminal=True) as (_, words):
        await until(lambda: "1.50" in words.getvalue())
        assert "it drifts" in words.getvalue()


async def test_drift_and_alerts_that_are_over_stay_in_the_summary(admin):
    admin.status, admin.psi, admin.firing = "major", 1.5, ("it drifts",)
    async with looking(admin) as (viewer, _):
        await looked(admin)
        admin.status, admin.psi, admin.firing = "ok", 0.01, ()
        await looked(admin)
        summary = viewer.summary()
    column = summary["drift"]["stable"]["car_value"]
    assert (column["status"], column["worst"]["status"], column["worst"]["psi"]) == (
        "ok", "major", 1.5,
    )  # fmt: skip
    assert [alert["summary"] for alert in summary["alerts"]] == ["it drifts"]
    assert msgspec.json.encode(summary)


async def test_the_last_figures_stand_while_the_admin_api_is_away(admin):
    admin.requests = 7
    async with looking(admin) as (viewer, words):
        await looked(admin)
        admin.broken, admin.requests = True, 9
        said = words.getvalue().count("drift:")
        await until(lambda: words.getvalue().count("drift:") >= said + 2)
        assert viewer.summary()["requests"] == 7
        admin.broken = False
        await until(lambda: viewer.summary()["requests"] == 9)


async def test_what_is_set_is_what_the_sidecar_routes_by_now(admin):
    async with looking(admin, terminal=True) as (viewer, words):
        await until(lambda: "90.0" in words.getvalue())
        admin.percent = 55.5
        await until(lambda: "55.5" in words.getvalue())
        assert viewer.summary()["models"]["stable"]["configured_percent"] == 55.5


async def test_settling_waits_until_the_sidecar_has_counted_every_answer(admin):
    async with looking(admin) as (viewer, _):
        viewer._traffic.seen.answered["stable"] = 5
        settling = asyncio.create_task(viewer.settle())
        await looked(admin)
        assert not settling.done()
        admin.requests = 5
        await asyncio.wait_for(settling, 2)  # less than it waits at most
        assert viewer.summary()["requests"] == 5


async def test_settling_does_not_wait_for_ever(admin, monkeypatch):
    monkeypatch.setattr(viewers, "_SETTLE_S", 0.1)
    async with looking(admin) as (viewer, _):
        viewer._traffic.seen.answered["stable"] = 5
        await asyncio.wait_for(viewer.settle(), 10)
        assert msgspec.json.encode(viewer.summary())
