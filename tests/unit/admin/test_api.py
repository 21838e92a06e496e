"""The admin API over real HTTP, in front of a real control plane without workers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp.test_utils import TestClient, TestServer

from sidecar.admin.api import LARGEST_BODY_BYTES, Admin
from sidecar.board import Board, BoardLayout, CellCounter
from sidecar.config.problems import InvalidConfig, Problem
from sidecar.config.settings import Canary, ModelSettings, RouteSettings, Settings, Shadow
from sidecar.control.drain import Drain
from sidecar.control.persistence import StateFile
from sidecar.control.plane import ControlPlane
from sidecar.control.state import Remembered
from sidecar.control.workers import WorkerControl

TOKEN = b"a-token-of-many-bytes"
CELLS = 8


@dataclass
class World:
    """Everything behind one API, and a client in front of it."""

    client: TestClient
    plane: ControlPlane
    board: Board
    rollbacks_s: list[float]
    drains: list[str] = field(default_factory=list)
    token: list[bytes | OSError | None] = field(default_factory=lambda: [None])
    load: list[Settings | Exception] = field(default_factory=list)

    async def call(self, method: str, path: str, **options):
        """Status and JSON of a call."""
        async with self.client.request(method, path, **options) as response:
            return response.status, await response.json()


@pytest.fixture
async def world(tmp_path, kernels) -> AsyncIterator[World]:
    settings = Settings(
        models={name: ModelSettings(url="http://m:1") for name in ("stable", "next", "trial")},
        routes=(
            RouteSettings(
                name="iris",
                primary="stable",
                canaries=(Canary(model="next", percent=5),),
                shadows=(Shadow(model="trial", sample=0.5),),
            ),
        ),
    )
    size = {"cells": CELLS, "model_rows": CELLS}
    state = Remembered.nothing(**size).started(settings, **size, salts=lambda: "salt")
    made: World
    rollbacks_s: list[float] = []

    def load() -> Settings:
        if isinstance(made.load[0], Exception):
            raise made.load[0]
        return made.load[0]

    def token() -> bytes | None:
        if isinstance(made.token[0], OSError):
            raise made.token[0]
        return made.token[0]

    plane = ControlPlane(
        state,
        running=settings,
        store=StateFile(tmp_path / "routing.msgpack"),
        workers=WorkerControl(state.update(), expected=1, clock=time.monotonic),
        load=load,
        salts=lambda: "salt",
    )
    board = Board.allocate(BoardLayout(workers=1, cells=CELLS, model_rows=CELLS), kernels)
    admin = Admin(
        plane=plane,
        drain=Drain(lambda: made.drains.append("asked")),
        snapshot=board.snapshot,
        render_metrics=lambda accept: (
            f"# accept={accept}\n".encode(),
            "text/plain; version=0.0.4",
        ),
        observe_rollback_s=rollbacks_s.append,
        token_source=token,
        uptime_s=lambda: 12.5,
        version="1.2.3",
    )
    async with TestClient(TestServer(admin.application())) as client:
        made = World(
            client=client, plane=plane, board=board, rollbacks_s=rollbacks_s, load=[settings]
        )
        yield made


async def test_alive_is_always_yes_and_ready_says_why_not(world):
    assert await world.call("GET", "/healthz") == (200, {"alive": True})
    status, now = await world.call("GET", "/readyz")
    assert status == 503
    assert now == {
        "ready": False,
        "reasons": ["worker 0 is not connected to the controller"],
    }


async def test_metrics_are_rendered_as_the_scraper_accepts_them(world):
    async with world.client.get("/metrics", headers={"Accept": "x/y"}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4"
        assert await response.text() == "# accept=x/y\n"


async def test_status_shows_the_whole_sidecar(world):
    status, view = await world.call("GET", "/api/v1/status")
    assert status == 200
    assert (view["sidecar"], view["uptime_s"], view["routing_version"]) == ("1.2.3", 12.5, 1)
    assert view["workers"][0]["connected"] is False
    assert [model["model"] for model in view["models"]] == ["stable", "next", "trial"]
    assert view["models"][0]["breaker"] == "closed"


async def test_routes_show_percentages_counts_and_quantiles_with_their_n(world):
    recorder = world.board.recorder(0)
    for _ in range(10):
        recorder.record(0, CellCounter.STATUS_2XX, 2_000_000, 1_000_000, -1, -1)
    recorder.flush()
    recorder.count(2, CellCounter.SHADOW_TIMEOUT)
    _, view = await world.call("GET", "/api/v1/routes")
    primary, canary, shadow = view["routes"][0]["targets"]
    assert (primary["model"], primary["percent"]) == ("stable", 95.0)
    assert primary["requests"] == {"2xx": 10}
    assert primary["latency"]["n"] == 10
    assert primary["latency"]["p99_ms"] == pytest.approx(2.0, rel=0.02)
    assert canary["latency"] == {"n": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None}
    assert (shadow["role"], shadow["percent"]) == ("shadow", 50.0)
    assert shadow["requests"] == {"timeout": 1}


async def test_weights_are_set_shown_and_reset(world):
    status, change = await world.call(
        "POST", "/api/v1/weights", json={"route": "iris", "weights": {"next": 25}}
    )
    assert status == 200
    assert change["version"] == 2
    assert change["persisted"] is True
    assert change["workers"]["absent"] == [0]
    _, view = await world.call("GET", "/api/v1/weights")
    assert view == {
        "version": 2,
        "routes": {
            "iris": {
                "weights": {"stable": 75.0, "next": 25.0},
                "file": {"next": 5.0},
                "overridden": True,
            }
        },
    }
    _, change = await world.call("DELETE", "/api/v1/weights")
    assert change["weights"]["iris"]["next"] == 5.0
    assert change["overrides"] == []


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"json": {"route": "iris"}}])
async def test_a_rollback_of_one_or_all_routes_is_measured(world, options):
    status, change = await world.call("POST", "/api/v1/rollback", **options)
    assert status == 200
    assert change["weights"]["iris"] == {"stable": 100.0, "next": 0.0}
    assert len(world.rollbacks_s) == 1
    assert change["duration_ms"] == pytest.approx(world.rollbacks_s[0] * 1000, abs=0.001)


async def test_a_reload_of_a_wrong_file_lists_every_problem(world):
    problems = [Problem(path=f"$.models.m{n}.url", expected="a URL", found='"x"') for n in range(2)]
    world.load[0] = InvalidConfig(problems)
    status, answer = await world.call("POST", "/api/v1/reload")
    assert status == 422
    assert answer["error"]["code"] == "bad_config"
    assert len(answer["error"]["problems"]) == 2
    assert "$.models.m1.url" in answer["error"]["problems"][1]
    assert world.plane.state.version == 1


async def test_a_drain_is_asked_for_once_and_shows_in_readiness(world):
    for _ in range(2):
        assert await world.call("POST", "/api/v1/drain") == (202, {"draining": True})
    assert world.drains == ["asked"]
    _, now = await world.call("GET", "/readyz")
    assert now["reasons"][0] == "draining"


CHANGES = [
    ("POST", "/api/v1/weights"),
    ("DELETE", "/api/v1/weights"),
    ("POST", "/api/v1/rollback"),
    ("POST", "/api/v1/reload"),
    ("POST", "/api/v1/drain"),
]


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_every_changing_call_needs_the_token_where_one_is_configured(world, method, path):
    world.token[0] = TOKEN
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        async with world.client.request(method, path, headers=headers) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert response.headers["X-Sidecar-Error"] == "unauthorized"
    assert world.plane.state.version == 1
    assert world.drains == []


async def test_with_the_token_changes_pass_and_reading_needs_none(world):
    world.token[0] = TOKEN
    headers = {"Authorization": f"Bearer {TOKEN.decode()}"}
    assert (await world.call("POST", "/api/v1/rollback", headers=headers))[0] == 200
    for path in ("/healthz", "/api/v1/status", "/api/v1/routes", "/api/v1/weights"):
        assert (await world.call("GET", path))[0] == 200


async def test_a_token_that_cannot_be_read_refuses_changes_instead_of_allowing_them(world):
    world.token[0] = OSError("gone")
    status, answer = await world.call("POST", "/api/v1/rollback")
    assert (status, answer["error"]["code"]) == (503, "token_unreadable")
    assert world.plane.state.version == 1


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_a_page_of_another_origin_changes_nothing(world, method, path):
    headers = {"Origin": "http://evil.example"}
    status, answer = await world.call(method, path, headers=headers)
    assert (status, answer["error"]["code"]) == (403, "forbidden")


async def test_a_body_that_a_form_could_send_is_refused(world):
    status, answer = await world.call("POST", "/api/v1/rollback", data={"route": "iris"})
    assert (status, answer["error"]["code"]) == (415, "not_json")


@pytest.mark.parametrize("body", ["", "{", "[]", '{"route": 1}', '{"route": "iris", "x": 1}'])
async def test_a_body_that_is_not_the_expected_json_is_refused(world, body):
    headers = {"Content-Type": "application/json"}
    status, answer = await world.call("POST", "/api/v1/weights", data=body, headers=headers)
    assert (status, answer["error"]["code"]) == (422, "bad_body")


async def test_a_body_beyond_the_bound_is_refused(world):
    status, answer = await world.call(
        "POST", "/api/v1/weights", json={"route": "x" * LARGEST_BODY_BYTES, "weights": {}}
    )
    assert status == 413
    assert "error" in answer


async def test_unknown_paths_and_methods_are_json_errors_too(world):
    assert (await world.call("GET", "/api/v1/nope"))[0] == 404
    async with world.client.request("PUT", "/api/v1/weights") as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) >= {"GET", "POST", "DELETE"}
        assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_a_bug_is_an_internal_error_without_details(world, caplog):
    world.load[0] = RuntimeError("a secret detail")
    status, answer = await world.call("POST", "/api/v1/reload")
    assert status == 500
    assert answer == {"error": {"code": "internal", "message": "see the sidecar's log"}}
    assert "a secret detail" in caplog.text
