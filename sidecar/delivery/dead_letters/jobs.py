"""Replays that outlive the process: what was ordered, how far it is, and what became of it.

A job is about the letters that its filter meant when it was ordered (`last_letter` is the newest of
those). What became of a letter is written together with the job's counts, in one transaction; so
when a replay dies half way, the next process goes on where it stopped, with exact counts. Letters
whose answer had not been written yet, at most `concurrency`, are sent once more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from sidecar.delivery.dead_letters import rows
from sidecar.delivery.dead_letters.database import Database
from sidecar.delivery.dead_letters.letters import (
    OPEN,
    Answer,
    DeadLetterClass,
    LetterState,
    shortened,
)
from sidecar.delivery.dead_letters.selection import Filter, condition
from sidecar.errors import ClientError

MOST_UNFINISHED: Final = 16
"""Replays that may wait for each other; more are refused."""

KEPT_JOBS: Final = 200
"""Jobs that are remembered after their end."""


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


class Jobs:
    """The jobs of one database. Every method raises StoreUnavailable."""

    def __init__(
        self, database: Database, *, wall_ns: Callable[[], int], ids: Callable[[], str]
    ) -> None:
        self._database = database
        self._wall_ns = wall_ns
        self._ids = ids

    async def order(self, replay: Replay) -> Job:
        """Put a replay into the queue, durably. Raises ClientError (429) when that is full."""
        replay = understood(replay)
        job_id, now_ns = self._ids(), self._wall_ns()

        def work(connection: sqlite3.Connection) -> Job:
            (unfinished,) = connection.execute(
                "SELECT count(*) FROM jobs WHERE state IN (?, ?)", UNFINISHED
            ).fetchone()
            if unfinished >= MOST_UNFINISHED:
                raise ClientError(
                    f"{unfinished} replays are waiting already; cancel one, or wait",
                    status=429,
                    code="too_many_replays",
                )
            where, parameters = condition(replay.filter)
            total, last = connection.execute(
                f"SELECT count(*), coalesce(max(id), 0) FROM letters WHERE {where}",  # noqa: S608
                parameters,
            ).fetchone()
            job = Job(
                id=job_id,
                created_ns=now_ns,
                ended_ns=None,
                state=JobState.QUEUED,
                replay=replay,
                total=total,
                last_letter=last,
                done_to=0,
                counts=Counts(),
                reason="",
            )
            _insert(connection, job)
            _forget_old(connection)
            return job

        return await self._database.write(work, durable=True)

    async def get(self, job_id: str) -> Job:
        """One job. Raises ClientError (404)."""
        found = await self._database.read(lambda connection: _find(connection, job_id))
        if found is None:
            raise ClientError(f"There is no replay {job_id!r}", status=404, code="no_replay")
        return found

    async def recent(self, limit: int = KEPT_JOBS) -> list[Job]:
        """Jobs, the newest first."""
        return await self._database.read(
            lambda connection: [
                _job_of(row)
                for row in connection.execute(
                    f"SELECT {_COLUMNS} FROM jobs ORDER BY rowid DESC LIMIT ?",  # noqa: S608
                    (limit,),
                )
            ]
        )

    async def next_unfinished(self) -> Job | None:
        """The job to go on with: one that was begun, else the one that waits longest."""

        def work(connection: sqlite3.Connection) -> Job | None:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state IN (?, ?) "  # noqa: S608
                "ORDER BY state = ? DESC, rowid LIMIT 1",
                (*UNFINISHED, JobState.RUNNING),
            ).fetchone()
            if row is None:
                return None
            connection.execute("UPDATE jobs SET state = ? WHERE id = ?", (JobState.RUNNING, row[0]))
            return msgspec.structs.replace(_job_of(row), state=JobState.RUNNING)

        return await self._database.write(work, durable=False)

    async def due(self, job: Job, *, after: int, limit: int) -> list[Due]:
        """Letters that the job has not dealt with yet, beyond the id `after`, in order."""

        def work(connection: sqlite3.Connection) -> list[Due]:
            where, parameters = condition(job.replay.filter)
            found = connection.execute(
                "SELECT id, class, sink, size_bytes FROM letters "  # noqa: S608
                f"WHERE {where} AND id > ? AND id <= ? AND job <> ? ORDER BY id LIMIT ?",
                [*parameters, after, job.last_letter, job.id, limit],
            )
            return [
                Due(letter=row[0], class_=DeadLetterClass(row[1]), sink=row[2], size_bytes=row[3])
                for row in found
            ]

        return await self._database.read(work)

    async def settle(self, job_id: str, outcomes: Sequence[Outcome], *, done_to: int) -> Job | None:
        """Write what became of letters, and how far the job is; None: there is no such job."""
        now_ns = self._wall_ns()

        def work(connection: sqlite3.Connection) -> Job | None:
            job = _find(connection, job_id)
            if job is None:
                return None
            counts = msgspec.structs.asdict(job.counts)
            for one in outcomes:
                counts[one.fate.value] += 1
                _settle(connection, job_id, one, now_ns)
            settled = msgspec.structs.replace(
                job, counts=Counts(**counts), done_to=max(done_to, job.done_to)
            )
            connection.execute(
                "UPDATE jobs SET counts = ?, done_to = ? WHERE id = ?",
                (msgspec.json.encode(settled.counts), settled.done_to, job_id),
            )
            return settled

        # A killed process loses none of it; after a power cut some letters are sent once more.
        return await self._database.write(work, durable=False)

    async def end(self, job_id: str, state: JobState, reason: str = "") -> Job:
        """End a job, if it has not ended. Raises ClientError (404)."""
        now_ns = self._wall_ns()

        def work(connection: sqlite3.Connection) -> Job | None:
            connection.execute(
                "UPDATE jobs SET state = ?, ended_ns = ?, reason = ? "
                "WHERE id = ? AND state IN (?, ?)",
                (state, now_ns, shortened(reason), job_id, *UNFINISHED),
            )
            return _find(connection, job_id)

        ended = await self._database.write(work, durable=True)
        if ended is None:
            raise ClientError(f"There is no replay {job_id!r}", status=404, code="no_replay")
        return ended


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


def _settle(connection: sqlite3.Connection, job_id: str, one: Outcome, now_ns: int) -> None:
    if one.fate not in {Fate.REPLAYED, Fate.FAILED_AGAIN}:
        connection.execute(
            "UPDATE letters SET job = ?, note = ? WHERE id = ?",
            (job_id, shortened(one.note), one.letter),
        )
        return
    changed = connection.execute(
        "UPDATE letters SET state = ?, changed_ns = ?, attempts = attempts + 1, job = ?, note = ? "
        "WHERE id = ? AND state <> ?",
        (one.fate, now_ns, job_id, shortened(one.note), one.letter, LetterState.PURGED),
    )
    if one.answer is not None and changed.rowcount:
        rows.keep_answer(connection, one.letter, one.answer)


_COLUMNS: Final = (
    "id, created_ns, ended_ns, state, replay, total, last_letter, done_to, counts, reason"
)


def _insert(connection: sqlite3.Connection, job: Job) -> None:
    connection.execute(
        "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.id, job.created_ns, job.ended_ns, job.state, msgspec.json.encode(job.replay),
            job.total, job.last_letter, job.done_to, msgspec.json.encode(job.counts), job.reason,
        ),
    )  # fmt: skip


def _find(connection: sqlite3.Connection, job_id: str) -> Job | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE id = ?",  # noqa: S608 - our own column names
        (job_id,),
    ).fetchone()
    return None if row is None else _job_of(row)


def _job_of(row: tuple[Any, ...]) -> Job:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["state"] = JobState(values["state"])
    values["replay"] = msgspec.json.decode(values["replay"], type=Replay)
    values["counts"] = msgspec.json.decode(values["counts"], type=Counts)
    return Job(**values)


def _forget_old(connection: sqlite3.Connection) -> None:
    connection.execute(
        "DELETE FROM jobs WHERE state NOT IN (?, ?) AND rowid <= (SELECT max(rowid) FROM jobs) - ?",
        (*UNFINISHED, KEPT_JOBS),
    )
