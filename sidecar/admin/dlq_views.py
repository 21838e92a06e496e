"""What the API shows of dead letters and of replays. Pure.

Only `content_view` shows what clients sent and models answered.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from msgspec import Struct, field

from sidecar.admin.observation_views import moment
from sidecar.delivery.dead_letters import (
    Answer,
    Content,
    DeadLetterClass,
    Figures,
    Job,
    JobState,
    Letter,
    LetterState,
    Tally,
)
from sidecar.records.codec import to_document


class LetterView(Struct, frozen=True, kw_only=True):
    """A letter. `at` is when the request began, `arrived` when the letter did; `obstacle` says why
    it cannot be replayed, if it cannot; `replay` and `note` are of the last job that took it.
    """

    id: int
    class_: DeadLetterClass = field(name="class")
    state: LetterState
    sink: str | None
    route: str
    model: str
    role: str
    status: int
    outcome: str
    failure: str | None
    reason: str
    at: str
    arrived: str
    changed: str
    method: str
    path: str
    request_id: str
    record_id: str
    obstacle: str | None
    attempts: int
    replay: str | None
    note: str | None
    size_bytes: int


class HoldingView(Struct, frozen=True, kw_only=True):
    """All letters of a class. `open` ones wait or failed again; `age_s` is that of the oldest.

    `arrived` and `purged` (by reason) count since the file of dead letters was made.
    """

    class_: DeadLetterClass = field(name="class")
    open: int
    letters: dict[str, int]
    bytes: int
    age_s: float
    arrived: int
    purged: dict[str, int]


class TallyView(Struct, frozen=True, kw_only=True):
    """How many letters there are of a kind."""

    class_: DeadLetterClass = field(name="class")
    state: LetterState
    model: str
    sink: str | None
    letters: int


class JobView(Struct, frozen=True, kw_only=True):
    """A replay: `done` of `total` letters are dealt with, `counts` says how.

    `over`: nothing more will become of it.
    """

    id: str
    state: JobState
    over: bool
    total: int
    done: int
    counts: dict[str, int]
    created: str
    ended: str | None
    reason: str | None
    to: str | None
    rate_per_s: float
    concurrency: int
    timeout_s: float
    filter: dict[str, Any]


def letter_view(one: Letter) -> LetterView:
    """A letter without its content."""
    return LetterView(
        id=one.id,
        class_=one.class_,
        state=one.state,
        sink=one.sink or None,
        route=one.route,
        model=one.model,
        role=one.role,
        status=one.status,
        outcome=one.outcome,
        failure=one.failure,
        reason=one.reason,
        at=moment(one.at_ns),
        arrived=moment(one.arrived_ns),
        changed=moment(one.changed_ns),
        method=one.method,
        path=one.path,
        request_id=one.request_id,
        record_id=one.record_id,
        obstacle=None if one.obstacle is None else one.obstacle.sentence,
        attempts=one.attempts,
        replay=one.job or None,
        note=one.note or None,
        size_bytes=one.size_bytes,
    )


def content_view(one: Content) -> dict[str, Any]:
    """A letter with the record, as records are in JSON, and the answer of the last replay.

    `unreadable` are the bytes, as base64, of a record that this version cannot read.
    """
    return {
        **msgspec.to_builtins(letter_view(one.letter)),
        "record": None if one.record is None else to_document(one.record),
        "unreadable": None if one.record is not None else _base64(one.encoded),
        "answer": None if one.answer is None else _answer(one.answer),
    }


def holdings_view(figures: Figures, now_ns: int) -> list[HoldingView]:
    """What there is of each class."""
    return [
        HoldingView(
            class_=class_,
            open=one.open,
            letters={state.value: n for state, n in one.letters.items()},
            bytes=one.bytes,
            age_s=one.age_s(now_ns),
            arrived=one.arrived,
            purged={
                reason.value: n + one.purged_replayed[reason]
                for reason, n in one.purged_open.items()
            },
        )
        for class_, one in figures.items()
    ]


def tally_view(one: Tally) -> TallyView:
    """Letters of one kind."""
    return TallyView(
        class_=one.class_,
        state=one.state,
        model=one.model,
        sink=one.sink or None,
        letters=one.letters,
    )


def job_view(one: Job) -> JobView:
    """A replay as it is now."""
    return JobView(
        id=one.id,
        state=one.state,
        over=one.state.over,
        total=one.total,
        done=one.counts.total,
        counts=msgspec.structs.asdict(one.counts),
        created=moment(one.created_ns),
        ended=None if one.ended_ns is None else moment(one.ended_ns),
        reason=one.reason or None,
        to=one.replay.to,
        rate_per_s=one.replay.rate_per_s,
        concurrency=one.replay.concurrency,
        timeout_s=one.replay.timeout_s,
        filter=_filter(one),
    )


def _filter(one: Job) -> dict[str, Any]:
    """The filter of a replay, with times and names as in a query."""
    words: dict[str, Any] = msgspec.to_builtins(one.replay.filter)
    for name in ("since", "until"):
        if (stamp_ns := words.pop(f"{name}_ns", None)) is not None:
            words[name] = moment(stamp_ns)
    if states := words.pop("states", None):
        words["state"] = states
    return words


def _answer(one: Answer) -> dict[str, Any]:
    try:
        body, encoding = one.body.decode(), "utf-8"
    except UnicodeDecodeError:
        body, encoding = base64.b64encode(one.body).decode(), "base64"
    return {
        "at": moment(one.at_ns),
        "model": one.model,
        "status": one.status,
        "content_type": one.content_type,
        "body": body,
        "body_encoding": encoding,
        "body_cut": one.cut,
        "body_withheld": one.withheld,
    }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
