"""What a replay is: an order, how far it is, and what became of its letters. Pure.

A job is about the letters that its filter meant when it was ordered; `last_letter` is the newest of
those. It goes on until each of them has a `Fate`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from sidecar.delivery.dead_letters.letters import OPEN, Answer, DeadLetterClass, LetterState
from sidecar.delivery.dead_letters.selection import Filter
from sidecar.errors import ClientError


class JobState(StrEnum):
    """How far a replay is. `GAVE_UP`: a model or sink could not be reached; its letters are as
    they were, those of others are dealt with."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    GAVE_UP = "gave_up"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more will become of the job."""
        return self not in UNFINISHED


UNFINISHED: Final = (JobState.QUEUED, JobState.RUNNING)


class Replay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order to replay letters.

    `to` is the model that failed predictions go to, None: each to its own. `rate_per_s` 0 is as
    fast as `concurrency` allows; `timeout_s` is for each letter.
    """

    filter: Filter = field(default_factory=Filter)
    to: str | None = None
    rate_per_s: Annotated[float, Meta(ge=0, le=100_000)] = 0.0
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 4
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0


class Fate(StrEnum):
    """What became of a letter in a replay; the names are those of Counts."""

    REPLAYED = "replayed"
    FAILED_AGAIN = "failed_again"
    REFUSED = "refused"
    UNREACHED = "unreached"
    SKIPPED = "skipped"


class Counts(Struct, frozen=True, kw_only=True):
    """What became of a job's letters.

    `refused` cannot be sent at all, of `unreached` ones the model or sink did not answer, `skipped`
    were purged meanwhile: these letters stay as they are.
    """

    replayed: int = 0
    failed_again: int = 0
    refused: int = 0
    unreached: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """Letters that are dealt with."""
        return sum(getattr(self, fate) for fate in Fate)


class Job(Struct, frozen=True, kw_only=True):
    """A replay. Every letter up to the id `done_to` is dealt with; times by the wall clock."""

    id: str
    created_ns: int
    ended_ns: int | None
    state: JobState
    replay: Replay
    total: int
    last_letter: int
    done_to: int
    counts: Counts
    reason: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one letter, why, and what was answered."""

    letter: int
    fate: Fate
    note: str = ""
    answer: Answer | None = None


class Due(Struct, frozen=True, kw_only=True):
    """A letter that a job has still to deal with."""

    letter: int
    class_: DeadLetterClass
    sink: str
    size_bytes: int


def understood(replay: Replay) -> Replay:
    """The order with what it leaves open: letters that are still open; predictions with `to`.

    Raises ClientError (422) for an order that makes no sense.
    """
    filter_ = replay.filter
    if LetterState.PURGED in filter_.states:
        raise ClientError(
            "What was purged cannot be replayed: nothing is left to send",
            status=422,
            code="bad_replay",
        )
    if replay.to is not None:
        if filter_.class_ is DeadLetterClass.DELIVERY_FAILED:
            raise ClientError(
                "`to` is about failed predictions; failed deliveries go to their own sink",
                status=422,
                code="bad_replay",
            )
        filter_ = msgspec.structs.replace(filter_, class_=DeadLetterClass.PREDICTION_FAILED)
    if not filter_.states:
        filter_ = msgspec.structs.replace(filter_, states=OPEN)
    return msgspec.structs.replace(replay, filter=filter_)
