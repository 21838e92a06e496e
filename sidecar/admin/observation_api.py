"""The calls about what is observed: snapshots with names, and what models are compared with.

    GET    /api/v1/snapshots                    names, and what all snapshots take
    POST   /api/v1/snapshots   {"name"}         takes one now and names it
    DELETE /api/v1/snapshots?name=              lets it age like the others
    GET    /api/v1/baselines                    what each model is compared with
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
from sidecar.admin.observation_views import (
    ReferenceView,
    pins_view,
    reference_view,
    snapshots_view,
)
from sidecar.control.observation import Observer
from sidecar.errors import ClientError
from sidecar.model import Role

SnapshotName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(?!\n)$")]

RESERVED = ("baseline", "previous", "day", "week")
"""What references are called; a snapshot of such a name could never be one."""


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
                f"{order.name!r} means something else as a reference; choose another name",
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
