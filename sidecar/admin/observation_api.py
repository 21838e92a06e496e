"""The calls about what is observed: snapshots with names, and what models are compared with.

    GET    /api/v1/snapshots                    names, and what all snapshots take
    POST   /api/v1/snapshots   {"name"}         takes one now and names it
    DELETE /api/v1/snapshots?name=              lets it age like the others
    GET    /api/v1/baselines                    what each model is compared with
    GET    /api/v1/baselines/live?model=        a baseline of what passed: &route= &window= and
                                                &snapshot= (up to that one instead of now)
    POST   /api/v1/baselines/relearn {"route"}  forgets what was learned of a primary

Must not know: how snapshots are kept, what drift is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from sidecar.admin.answers import answer, body_of
from sidecar.admin.buckets import NS_PER_S
from sidecar.admin.observation_views import (
    ReferenceView,
    moment,
    pins_view,
    reference_view,
    snapshots_view,
)
from sidecar.baseline import encode
from sidecar.baseline.live import from_area
from sidecar.baseline.records import TimeSpan
from sidecar.config.units import format_duration, parse_duration
from sidecar.control.observation import Observer, Watched
from sidecar.errors import ClientError
from sidecar.model import Role

SnapshotName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(?!\n)$")]

DEFAULT_WINDOW = "1h"

RESERVED = ("baseline", "previous", "day", "week", "now")
"""What references and the newest snapshot are called; a snapshot of such a name could never be
asked for."""


class SnapshotOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/snapshots`."""

    name: SnapshotName


class RelearnOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/baselines/relearn`; `model`, if given, must be the route's primary."""

    route: str
    model: str | None = None


class BaselineView(Struct, frozen=True, kw_only=True):
    """What a model in its role on a route is compared with."""

    route: str
    model: str
    role: Role
    reference: ReferenceView
    segments: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ObservationCalls:
    """The calls, over an observer."""

    observer: Observer

    def routes(self) -> Sequence[web.RouteDef]:
        """The route table, for `Admin.further`."""
        return [
            web.get("/api/v1/snapshots", self.snapshots),
            web.post("/api/v1/snapshots", self.take_snapshot),
            web.delete("/api/v1/snapshots", self.drop_snapshot),
            web.get("/api/v1/baselines", self.baselines),
            web.get("/api/v1/baselines/live", self.live_baseline),
            web.post("/api/v1/baselines/relearn", self.relearn),
        ]

    async def snapshots(self, _request: web.Request) -> web.Response:
        """Snapshots with names, and what all of them take."""
        return answer(self._snapshots())

    async def take_snapshot(self, request: web.Request) -> web.Response:
        """Take a snapshot now and name it; a name that was another's moves."""
        order = await body_of(request, SnapshotOrder)
        if order.name in RESERVED:
            raise ClientError(
                f"{order.name!r} means something else than a snapshot; choose another name",
                status=422,
                code="reserved_name",
            )
        await self.observer.snapshot(order.name)
        return answer(self._snapshots(), status=HTTPStatus.CREATED)

    async def drop_snapshot(self, request: web.Request) -> web.Response:
        """Let a snapshot age like the others."""
        name = request.query.get("name")
        if not name:
            raise ClientError("Say which one: ?name=NAME", status=422, code="bad_query")
        await asyncio.to_thread(self.observer.history.unpin, name)
        return answer(self._snapshots())

    async def baselines(self, _request: web.Request) -> web.Response:
        """What each model is compared with, and how far learning is."""
        return answer({"baselines": self._baselines()})

    async def live_baseline(self, request: web.Request) -> web.Response:
        """The text of a baseline file, of a window up to now or to a snapshot with a name."""
        model, route = request.query.get("model"), request.query.get("route")
        if not model:
            raise ClientError("Say of which model: ?model=NAME", status=422, code="bad_query")
        try:
            length_s = parse_duration(request.query.get("window", DEFAULT_WINDOW))
        except ValueError as error:
            raise ClientError(str(error), status=422, code="bad_query") from error
        watched = self.observer.find(model, route)
        name = request.query.get("snapshot")
        end_ns = self.observer.history.pinned(name).taken_ns if name else await self.observer.take()
        text = await asyncio.to_thread(self._live_baseline, watched, end_ns, length_s)
        return web.Response(
            text=text, content_type="application/json", headers={"Cache-Control": "no-store"}
        )

    def _live_baseline(self, watched: Watched, end_ns: int, length_s: float) -> str:
        window = self.observer.history.window(watched.owner, end_ns, length_s, most_parts=1)
        if window is None:
            oldest_ns = self.observer.history.oldest_ns(watched.owner)
            reach_s = 0 if oldest_ns is None else max(end_ns - oldest_ns, 0) // NS_PER_S
            raise ClientError(
                f"No window of {format_duration(length_s)}: snapshots of {watched.key.model} reach "
                f"back {format_duration(reach_s)} from there; ask for as much, or less",
                status=422,
                code="no_window",
            )
        baseline = from_area(
            window.area,
            model=watched.key.model,
            route=watched.key.route,
            span=TimeSpan(start=moment(window.start_ns), end=moment(window.end_ns)),
            seconds=window.length_s,
            segments=[(segment.name, segment.values) for segment in watched.segments],
            positive=None if watched.baseline is None else watched.baseline.positive,
        )
        return encode(baseline)

    async def relearn(self, request: web.Request) -> web.Response:
        """Forget what was learned of a primary; the next rows are learned from."""
        order = await body_of(request, RelearnOrder)
        primary = self.observer.relearn(order.route, order.model)
        return answer(
            {"route": primary.route, "model": primary.model, "relearning": True},
            status=HTTPStatus.ACCEPTED,
        )

    def _snapshots(self) -> dict[str, object]:
        return {"named": pins_view(self.observer), "all": snapshots_view(self.observer)}

    def _baselines(self) -> list[BaselineView]:
        observer = self.observer
        return [
            BaselineView(
                route=one.key.route,
                model=one.key.model,
                role=one.key.role,
                reference=reference_view(one, observer),
                segments={segment.name: segment.values for segment in one.segments},
            )
            for one in observer.watched()
        ]
