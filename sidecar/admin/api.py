"""The admin API's calls: each reads the request, asks the control plane, and shows the answer.

    GET  /healthz  /readyz  /metrics
    GET  /api/v1/status  /api/v1/routes  /api/v1/weights
    POST /api/v1/weights  {"route", "weights": {canary: percent}}      DELETE ?route= resets
    POST /api/v1/rollback {"route"?}    /api/v1/reload    /api/v1/drain

Parts with calls of their own (`observation_api`, ...) bring them as a route table in `further`.

Must not know: sockets, signals, how metrics are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web
from msgspec import Struct

from sidecar.admin.answers import answer, body_of, errors_as_json
from sidecar.admin.guard import TokenSource, guard_changes
from sidecar.admin.observation_views import ObservationView
from sidecar.admin.readiness import Readiness, readiness
from sidecar.admin.views import change_view, routes_view, status_view, weights_view
from sidecar.board import Snapshot
from sidecar.control.drain import Drain
from sidecar.control.plane import ChangeReport, ControlPlane

LARGEST_BODY_BYTES: Final = 64 * 1024


class WeightsChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/weights`: percentages of canaries."""

    route: str
    weights: dict[str, float]


class RollbackOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/rollback`; without a route, all routes."""

    route: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """What the API speaks for. `render_metrics(accept)` gives an exposition and its type.

    `observation` shows what is observed, when anything is; `further` are calls of other parts.
    """

    plane: ControlPlane
    drain: Drain
    snapshot: Callable[[], Snapshot]
    render_metrics: Callable[[str], tuple[bytes, str]]
    observe_rollback_s: Callable[[float], None]
    token_source: TokenSource
    uptime_s: Callable[[], float]
    version: str
    observation: Callable[[], ObservationView | None] = lambda: None
    further: Sequence[web.RouteDef] = ()

    def application(self) -> web.Application:
        """The aiohttp application with every call and its guard."""
        application = web.Application(
            middlewares=[errors_as_json, guard_changes(self.token_source)],
            client_max_size=LARGEST_BODY_BYTES,
        )
        application.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics),
                web.get("/api/v1/status", self.status),
                web.get("/api/v1/routes", self.routes),
                web.get("/api/v1/weights", self.weights),
                web.post("/api/v1/weights", self.set_weights),
                web.delete("/api/v1/weights", self.reset_weights),
                web.post("/api/v1/rollback", self.rollback),
                web.post("/api/v1/reload", self.reload),
                web.post("/api/v1/drain", self.begin_drain),
                *self.further,
            ]
        )
        return application

    async def healthz(self, _request: web.Request) -> web.Response:
        """200 while the controller runs at all; it says nothing about traffic."""
        return answer({"alive": True})

    async def readyz(self, _request: web.Request) -> web.Response:
        """200 when this sidecar should get traffic, else 503 and the reasons."""
        now = self._readiness()
        return answer(now, status=HTTPStatus.OK if now.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: web.Request) -> web.Response:
        """The Prometheus exposition."""
        body, content_type = self.render_metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def status(self, _request: web.Request) -> web.Response:
        """The whole sidecar at a glance."""
        plane = self.plane
        return answer(
            status_view(
                plane.state,
                self.snapshot(),
                plane.workers.status(),
                self._readiness(),
                sidecar=self.version,
                uptime_s=self.uptime_s(),
                draining=self.drain.begun,
                persisted=plane.persisted,
                observation=self.observation(),
            )
        )

    async def routes(self, _request: web.Request) -> web.Response:
        """Every route with what its models did."""
        state = self.plane.state
        return answer({"version": state.version, "routes": routes_view(state, self.snapshot())})

    async def weights(self, _request: web.Request) -> web.Response:
        """Every route's percentages, and the file's."""
        state = self.plane.state
        return answer({"version": state.version, "routes": weights_view(state)})

    async def set_weights(self, request: web.Request) -> web.Response:
        """Change percentages until they are reset."""
        change = await body_of(request, WeightsChange)
        return self._changed(await self.plane.set_weights(change.route, change.weights))

    async def reset_weights(self, request: web.Request) -> web.Response:
        """Let the file rule again."""
        return self._changed(await self.plane.reset_weights(request.query.get("route")))

    async def rollback(self, request: web.Request) -> web.Response:
        """Take canaries off the traffic."""
        order = await body_of(request, RollbackOrder) if request.can_read_body else RollbackOrder()
        report = await self.plane.rollback(order.route)
        self.observe_rollback_s(report.install.duration_s)
        return self._changed(report)

    async def reload(self, _request: web.Request) -> web.Response:
        """Read the configuration file again; 422 with every problem when it is wrong."""
        return self._changed(await self.plane.reload())

    async def begin_drain(self, _request: web.Request) -> web.Response:
        """Begin to drain and say so at once; `/api/v1/status` shows what is still in flight."""
        self.drain.begin()
        return answer({"draining": True}, status=HTTPStatus.ACCEPTED)

    def _readiness(self) -> Readiness:
        return readiness(
            self.plane.workers.status(),
            version=self.plane.state.version,
            draining=self.drain.begun,
        )

    def _changed(self, report: ChangeReport) -> web.Response:
        """The change as it is now: 504 when a connected worker has not confirmed it (yet)."""
        status = HTTPStatus.OK if report.install.complete else HTTPStatus.GATEWAY_TIMEOUT
        return answer(change_view(self.plane.state, report), status=status)
