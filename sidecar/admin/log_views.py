"""What the API and the command line show of the books: plain values, made from balances.

Must not know: HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from sidecar.admin.observation_views import moment
from sidecar.control.recording import Balance, Books
from sidecar.delivery.figures import DeliveryFigures


class BooksView(Struct, frozen=True, kw_only=True):
    """What became of the exchanges of one route, model and role; the parts add up to `requests`."""

    route: str
    model: str
    role: str
    requests: int
    logged: int
    sampled_out: int
    dropped: dict[str, int]
    lost_in_crash: int
    corrupt: int
    in_memory: int


class SinkView(Struct, frozen=True, kw_only=True):
    """What became of the records of a model at one sink; the parts add up to `logged`."""

    sink: str
    model: str
    logged: int
    delivered: int
    pending: int
    dead_lettered: int
    expired: int


class LedgerView(Struct, frozen=True, kw_only=True):
    """The books at one moment; `complete` says that the journal was read to its end."""

    at: str | None
    complete: bool
    requests: list[BooksView]
    sinks: list[SinkView]


def ledger_view(
    balance: Balance, totals: Sequence[tuple[str, Mapping[str, Mapping[str, int]]]]
) -> LedgerView:
    """The books, and those of the sinks by their cursors' totals."""
    return LedgerView(
        at=moment(balance.at_ns) if balance.at_ns else None,
        complete=balance.complete,
        requests=[
            _books(key.route, key.model, key.role.value, books) for key, books in balance.books
        ],
        sinks=[
            _sink(sink, model, logged, of_sink)
            for sink, of_sink in totals
            for model, logged in sorted(balance.logged.items())
        ],
    )


def totals_of(
    deliveries: Sequence[DeliveryFigures],
) -> list[tuple[str, Mapping[str, Mapping[str, int]]]]:
    """The totals of the cursors of sinks that are served."""
    return [(one.sink, one.totals) for one in deliveries]


def _books(route: str, model: str, role: str, books: Books) -> BooksView:
    return BooksView(
        route=route,
        model=model,
        role=role,
        requests=books.requests,
        logged=books.logged,
        sampled_out=books.sampled_out,
        dropped={reason.value: count for reason, count in books.dropped.items()},
        lost_in_crash=books.lost_in_crash,
        corrupt=books.corrupt,
        in_memory=books.in_memory,
    )


def _sink(sink: str, model: str, logged: int, totals: Mapping[str, Mapping[str, int]]) -> SinkView:
    delivered, dead_lettered, expired = (
        totals.get(outcome, {}).get(model, 0)
        for outcome in ("delivered", "dead_lettered", "expired")
    )
    return SinkView(
        sink=sink,
        model=model,
        logged=logged,
        delivered=delivered,
        pending=logged - delivered - dead_lettered - expired,
        dead_lettered=dead_lettered,
        expired=expired,
    )
