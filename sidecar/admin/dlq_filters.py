"""Filters of dead letters as people write them: in a query, or in the JSON of an order.

    class= state= model= route= sink= status= failure= text= request_id= id=    must be so
    since= until=     when the request began: `2026-03-01T12:00:00Z`, or `2h` (ago)

Several states are separated by commas. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, field

from sidecar.config.units import parse_duration
from sidecar.delivery.dead_letters import DeadLetterClass, Filter, LetterState
from sidecar.delivery.dead_letters.selection import StatusText
from sidecar.errors import ClientError


class FilterText(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A filter in words; see `Filter`."""

    class_: DeadLetterClass | None = field(name="class", default=None)
    state: tuple[LetterState, ...] = ()
    model: str | None = None
    route: str | None = None
    sink: str | None = None
    since: str | None = None
    until: str | None = None
    status: StatusText | None = None
    failure: str | None = None
    text: str | None = None
    request_id: str | None = None
    id: int | None = None


def filter_of(text: FilterText, now_ns: int) -> Filter:
    """The filter that is meant; `now_ns` is the wall clock. Raises ClientError (422)."""
    return Filter(
        class_=text.class_,
        model=text.model,
        route=text.route,
        sink=text.sink,
        since_ns=None if text.since is None else moment_ns(text.since, now_ns),
        until_ns=None if text.until is None else moment_ns(text.until, now_ns),
        status=text.status,
        failure=text.failure,
        states=text.state,
        text=text.text,
        request_id=text.request_id,
        id=text.id,
    )


def filter_of_query(query: Mapping[str, str], now_ns: int) -> Filter:
    """The filter in the query of a call. Raises ClientError (422)."""
    words: dict[str, object] = dict(query)
    if "state" in words:
        words["state"] = query["state"].split(",")
    try:
        text = msgspec.convert(words, FilterText, strict=False)
    except msgspec.ValidationError as error:
        raise ClientError(str(error), status=422, code="bad_query") from error
    return filter_of(text, now_ns)


def moment_ns(text: str, now_ns: int) -> int:
    """A moment: an ISO 8601 time (UTC unless it says otherwise), or a duration before now.

    Raises ClientError (422).
    """
    try:
        return now_ns - int(parse_duration(text) * 1e9)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ClientError(
            f"Expected a time such as `2026-03-01T12:00:00Z`, or how long ago, such as `2h`; got "
            f"{text[:40]!r}",
            status=422,
            code="bad_time",
        ) from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    since_epoch = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 10**9 + (
        since_epoch.microseconds * 1000
    )
