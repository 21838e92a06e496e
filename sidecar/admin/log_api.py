"""The calls about what was recorded.

    GET /api/v1/log         the newest records: limit=, since=, until=, route=, model=, role=,
                            status=, segment=key:value, request_id=
    GET /api/v1/log/{id}    one record by its id, or those of a request by its
    GET /api/v1/log/books   what became of every exchange, and of every record at every sink

Records may hold what clients sent, so the first two need the token that changes need. Books are
numbers and free to read.

Must not know: how records are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from sidecar.admin.answers import answer
from sidecar.admin.guard import TokenSource, check_payloads
from sidecar.admin.log_views import ledger_view, totals_of
from sidecar.control.recording import Recording
from sidecar.control.recording.search import JournalSearch, Question
from sidecar.errors import ClientError
from sidecar.model import Role
from sidecar.records import Record, to_json
from sidecar.records.codec import time_ns

MOST_RECORDS: Final = 500
USUAL_RECORDS: Final = 50
MOST_BYTES: Final = 256 * 1024 * 1024
"""Of the journal that one call looks through, some seconds; `sidecar log` looks through all."""


class Words(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query of `GET /api/v1/log`."""

    limit: Annotated[int, Meta(ge=1, le=MOST_RECORDS)] = USUAL_RECORDS
    since: str | None = None
    until: str | None = None
    route: str | None = None
    model: str | None = None
    role: Role | None = None
    status: str | None = None
    segment: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class LogCalls:
    """The calls, over a recording."""

    recording: Recording
    token_source: TokenSource

    def routes(self) -> Sequence[web.RouteDef]:
        """The route table, for `Admin.further`."""
        return [
            web.get("/api/v1/log", self.newest),
            web.get("/api/v1/log/books", self.books),
            web.get(r"/api/v1/log/{id}", self.show),
        ]

    async def newest(self, request: web.Request) -> web.Response:
        """The newest records, the oldest of them first."""
        check_payloads(request, self.token_source)
        words = _words(dict(request.query))
        question = question_of(words)
        return await self._search(lambda search: search.newest(question, words.limit))

    async def show(self, request: web.Request) -> web.Response:
        """One record, or all of a request."""
        check_payloads(request, self.token_source)
        name = request.match_info["id"]
        return await self._search(lambda search: search.find(name))

    async def books(self, _request: web.Request) -> web.Response:
        """The books of this moment."""
        balance = await self.recording.balance_now()
        return answer(ledger_view(balance, totals_of(self.recording.deliveries())))

    async def _search(self, look: Callable[[JournalSearch], list[Record]]) -> web.Response:
        """`{"complete", "records"}`, in a thread: it reads the disk."""
        search = JournalSearch(self.recording.directory, most_bytes=MOST_BYTES)
        found = await asyncio.to_thread(lambda: [to_json(one) for one in look(search)])
        return answer({"complete": search.complete, "records": [msgspec.Raw(one) for one in found]})


def question_of(words: Words) -> Question:
    """What the query asks for. Raises ClientError (422)."""
    question = Question(
        since_ns=_time(words.since, "since"),
        until_ns=_time(words.until, "until"),
        route=words.route,
        model=words.model,
        role=words.role,
        status=words.status,
        segment=_segment(words.segment),
        request_id=words.request_id,
    )
    question.check()
    return question


def _words(query: dict[str, str]) -> Words:
    try:
        return msgspec.convert(query, Words, strict=False)
    except msgspec.ValidationError as error:
        raise ClientError(str(error), status=422, code="bad_query") from error


def _time(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        return time_ns(text)
    except ValueError as error:
        raise ClientError(f"{name}: {error}", status=422, code="bad_query") from error


def _segment(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    key, colon, value = text.partition(":")
    if not colon:
        raise ClientError(
            f"segment: expected `key:value`, got {text!r}", status=422, code="bad_query"
        )
    return key, value
