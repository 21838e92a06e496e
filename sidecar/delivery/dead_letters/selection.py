"""Which letters are meant: a filter, as people write it and as SQL. Pure.

Everything that is given must hold. Values travel as parameters of the statement, never in its text.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from sidecar.delivery.dead_letters.letters import DeadLetterClass, LetterState

StatusText = Annotated[str, Meta(pattern=r"^([1-5]xx|[1-5][0-9][0-9]|none)(?!\n)$")]
"""A status, a class of statuses, or `none`: there was no whole answer."""


class Filter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Some of the letters; an empty filter means all that were not purged.

    `since_ns` and `until_ns` bound when the request began (wall clock, `until_ns` excluded);
    `text` is part of the reason, in any case of letters. `states` empty: all but `purged`.
    """

    class_: DeadLetterClass | None = field(name="class", default=None)
    model: str | None = None
    route: str | None = None
    sink: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    status: StatusText | None = None
    failure: str | None = None
    states: tuple[LetterState, ...] = ()
    text: str | None = None
    request_id: str | None = None
    id: int | None = None


Condition = tuple[str, list[object]]
"""The text after WHERE, and its parameters."""


def condition(filter_: Filter) -> Condition:
    """A filter as a condition on the table `letters`."""
    terms: list[str] = []
    parameters: list[object] = []

    def must(term: str, *values: object) -> None:
        terms.append(term)
        parameters.extend(values)

    for column, value in (
        ("id", filter_.id),
        ("class", filter_.class_),
        ("model", filter_.model),
        ("route", filter_.route),
        ("sink", filter_.sink),
        ("failure", filter_.failure),
        ("request_id", filter_.request_id),
    ):
        if value is not None:
            must(f"{column} = ?", value)
    if filter_.since_ns is not None:
        must("at_ns >= ?", filter_.since_ns)
    if filter_.until_ns is not None:
        must("at_ns < ?", filter_.until_ns)
    if filter_.status is not None:
        lowest, above = _statuses(filter_.status)
        must("status >= ? AND status < ?", lowest, above)
    if filter_.text is not None:
        must("instr(lower(reason), lower(?)) > 0", filter_.text)
    if filter_.states:
        must(f"state IN ({', '.join('?' * len(filter_.states))})", *filter_.states)
    else:
        must("state <> ?", LetterState.PURGED)
    return " AND ".join(terms), parameters


def _statuses(text: str) -> tuple[int, int]:
    """The lowest status that is meant, and the first above."""
    if text == "none":
        return 0, 1
    if text.endswith("xx"):
        lowest = int(text[0]) * 100
        return lowest, lowest + 100
    return int(text), int(text) + 1
