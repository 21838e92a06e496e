"""Replays that outlive the process: jobs as rows of the database.

What became of a letter is written together with the job's counts, in one transaction. So when a
replay dies half way, the next process goes on where it stopped, with exact counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from sidecar.delivery.dead_letters import rows
from sidecar.delivery.dead_letters.database import Database
from sidecar.delivery.dead_letters.jobs import (
    UNFINISHED,
    Counts,
    Due,
    Fate,
    Job,
    JobState,
    Outcome,
    Replay,
    understood,
)
from sidecar.delivery.dead_letters.letters import DeadLetterClass, LetterState, shortened
from sidecar.delivery.dead_letters.selection import condition
from sidecar.errors import ClientError

MOST_UNFINISHED: Final = 16
"""Replays that may wait for each other; more are refused."""

KEPT_JOBS: Final = 200
"""Jobs that are remembered after their end."""


class JobStore:
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
