"""The calls about dead letters: what there is, what to send again, what to forget.

    GET    /api/v1/dlq                filters (`sidecar.admin.dlq_filters`), limit= after= order=
    GET    /api/v1/dlq/{id}           one letter, with the whole record and the answer of a replay
    GET    /api/v1/dlq/export         filters; JSON Lines, each as the call before
    POST   /api/v1/dlq/replay         {"filter", "to"?, "rate_per_s"?, "concurrency"?, "timeout"?,
                                       "dry_run"?}
    GET    /api/v1/dlq/jobs           replays, the newest first
    GET    /api/v1/dlq/jobs/{id}      how far one is
    DELETE /api/v1/dlq/jobs/{id}      end it after the letters under way
    POST   /api/v1/dlq/purge          {"filter", "dry_run"?}

A letter's content and an export show payloads: they need the token that changes need.

Must not know: how letters are kept, how they are replayed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct, field

from sidecar.admin.answers import answer, body_of
from sidecar.admin.dlq_filters import FilterText, filter_of, filter_of_query
from sidecar.admin.dlq_views import (
    content_view,
    holdings_view,
    job_view,
    letter_view,
    tally_view,
)
from sidecar.admin.guard import TokenSource, check_payloads
from sidecar.config.units import parse_duration
from sidecar.delivery.dead_letters import DeadLetterStore, Filter, Replay, Replayer
from sidecar.errors import ClientError, SidecarError

USUAL_PAGE: Final = 50

WRITE_TIMEOUT_S: Final = 60.0
"""A caller who takes nothing of an export for so long has left."""

log: Final = logging.getLogger("sidecar.admin")


class Paging(Struct, frozen=True, kw_only=True):
    """Which part of a list: at most `limit` letters beyond the id `after`."""

    limit: Annotated[int, Meta(ge=1, le=500)] = USUAL_PAGE
    after: int | None = None
    order: Annotated[str, Meta(pattern=r"^(newest|oldest)(?!\n)$")] = "newest"


class ReplayOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/dlq/replay`; `timeout` is a duration, for each letter."""

    filter: FilterText = field(default_factory=FilterText)
    to: str | None = None
    rate_per_s: float = 0.0
    concurrency: int = 4
    timeout: str = "60s"
    dry_run: bool = False


class PurgeOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/dlq/purge`; the filter has to be there, and `{}` means all."""

    filter: FilterText
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetterCalls:
    """The calls, over a store and its replayer. `now_ns` is the wall clock."""

    store: DeadLetterStore
    replayer: Replayer
    token_source: TokenSource
    now_ns: Callable[[], int]

    def routes(self) -> Sequence[web.RouteDef]:
        """The route table, for `Admin.further`."""
        return [
            web.get("/api/v1/dlq", self.letters),
            web.get(r"/api/v1/dlq/{id:\d{1,18}}", self.letter),
            web.get("/api/v1/dlq/export", self.export),
            web.post("/api/v1/dlq/replay", self.replay),
            web.get("/api/v1/dlq/jobs", self.jobs),
            web.get("/api/v1/dlq/jobs/{id}", self.job),
            web.delete("/api/v1/dlq/jobs/{id}", self.cancel),
            web.post("/api/v1/dlq/purge", self.purge),
        ]

    async def letters(self, request: web.Request) -> web.Response:
        """A page of letters without their contents, and how many there are in all."""
        words = dict(request.query)
        paging = _paging(
            {name: words.pop(name) for name in Paging.__struct_fields__ if name in words}
        )
        filter_ = filter_of_query(words, self.now_ns())
        page = await self.store.page(
            filter_,
            limit=paging.limit,
            after=paging.after,
            newest_first=paging.order == "newest",
        )
        return answer(
            {
                "letters": [letter_view(one) for one in page.letters],
                "next": page.next,
                "total": page.total,
                "classes": holdings_view(self.store.figures, self.now_ns()),
            }
        )

    async def letter(self, request: web.Request) -> web.Response:
        """One letter with everything that is kept of it."""
        check_payloads(request, self.token_source)
        return answer(content_view(await self.store.get(int(request.match_info["id"]))))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Letters with everything, one a line, while they are read. Whole only if it ends well."""
        check_payloads(request, self.token_source)
        filter_ = filter_of_query(dict(request.query), self.now_ns())
        await self.store.count(Filter(id=0))  # says no in words while that is still possible
        response = web.StreamResponse(
            headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        try:
            async for one in self.store.export(filter_):
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await response.write(msgspec.json.encode(content_view(one)) + b"\n")
            await response.write_eof()
        except (SidecarError, TimeoutError) as error:
            # Without the last chunk the caller sees that it is not all.
            log.warning("an export broke off", extra={"reason": str(error) or "nobody reads it"})
            if request.transport is not None:
                request.transport.close()
        return response

    async def replay(self, request: web.Request) -> web.Response:
        """Send letters again, or say what that would do. 202: it goes on by itself."""
        order = await body_of(request, ReplayOrder)
        replay = _replay_of(order, self.now_ns())
        if order.dry_run:
            return answer({"dry_run": await self.replayer.preview(replay)})
        job = await self.replayer.order(replay)
        return answer({"job": job_view(job)}, status=HTTPStatus.ACCEPTED)

    async def jobs(self, _request: web.Request) -> web.Response:
        """Replays, the newest first."""
        return answer({"jobs": [job_view(one) for one in await self.store.jobs.recent()]})

    async def job(self, request: web.Request) -> web.Response:
        """How far a replay is."""
        return answer({"job": job_view(await self.store.jobs.get(request.match_info["id"]))})

    async def cancel(self, request: web.Request) -> web.Response:
        """End a replay; what is under way is finished."""
        return answer({"job": job_view(await self.replayer.cancel(request.match_info["id"]))})

    async def purge(self, request: web.Request) -> web.Response:
        """Forget letters, or say how many that would be."""
        order = await body_of(request, PurgeOrder)
        filter_ = filter_of(order.filter, self.now_ns())
        tallies = await self.store.count(filter_)
        if order.dry_run:
            return answer(
                {
                    "total": sum(one.letters for one in tallies),
                    "letters": [tally_view(one) for one in tallies],
                }
            )
        purged = await self.store.purge(filter_)
        log.warning("dead letters were purged", extra={"letters": purged})
        return answer({"purged": purged})


def _paging(words: dict[str, str]) -> Paging:
    try:
        return msgspec.convert(words, Paging, strict=False)
    except msgspec.ValidationError as error:
        raise ClientError(str(error), status=422, code="bad_query") from error


def _replay_of(order: ReplayOrder, now_ns: int) -> Replay:
    try:
        return msgspec.convert(
            {
                "filter": filter_of(order.filter, now_ns),
                "to": order.to,
                "rate_per_s": order.rate_per_s,
                "concurrency": order.concurrency,
                "timeout_s": float(parse_duration(order.timeout)),
            },
            Replay,
        )
    except (msgspec.ValidationError, ValueError) as error:
        raise ClientError(str(error), status=422, code="bad_replay") from error
