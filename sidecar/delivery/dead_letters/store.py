"""The dead letters of one sidecar: what comes in, what is shown, what goes.

    <state_dir>/dead_letters.sqlite     (and -wal, -shm beside it while it is open)

- What is added is on disk when the call returns, once for each class, sink and record however often
  it is given.
- Bounded by bytes and age (`sidecar.delivery.dead_letters.bounds`); what goes is counted.
- A damaged file is put aside and a new one made (`sidecar.delivery.dead_letters.database`).
- Lists and exports read in pages: memory does not grow with what is there.

While the disk refuses, every call raises StoreUnavailable and nothing is lost: who adds keeps its
place in the journal and tries again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from sidecar.delivery.dead_letters import bounds, rows
from sidecar.delivery.dead_letters.arrivals import (
    Arrival,
    of_failed_prediction,
    of_refused_record,
)
from sidecar.delivery.dead_letters.bounds import Bounds, PurgeReason
from sidecar.delivery.dead_letters.database import Database, StoreUnavailable
from sidecar.delivery.dead_letters.figures import (
    ARRIVED,
    REPEATED,
    Figures,
    read_figures,
)
from sidecar.delivery.dead_letters.job_store import JobStore
from sidecar.delivery.dead_letters.letters import (
    Content,
    DeadLetterClass,
    Letter,
    LetterState,
    Obstacle,
)
from sidecar.delivery.dead_letters.selection import Filter
from sidecar.delivery.sink import Item
from sidecar.errors import ClientError
from sidecar.records import Record, RecordError, decode

LONGEST_PAGE: Final = 500
"""Letters in one page of a list."""

EXPORT_PAGE: Final = 64
EXPORT_BYTES: Final = 4 * 1024 * 1024
"""What an export holds at once: so many letters, or somewhat more than so many bytes."""

TEND_S: Final = 60.0
"""How often it is looked for letters that have become too old, and for free pages of the file."""

FREED_PAGES: Final = 2048
"""Pages given back to the file system at once (8 MiB): arrivals do not wait for more."""

log: Final = logging.getLogger("sidecar.delivery")


class Page(Struct, frozen=True, kw_only=True):
    """Some letters, of `total` that were meant at that moment. `next` is where the next page begins
    (`after`), None: there are no more.
    """

    letters: tuple[Letter, ...]
    next: int | None
    total: int


class Tally(Struct, frozen=True, kw_only=True):
    """How many letters of a kind a filter means."""

    class_: DeadLetterClass
    state: LetterState
    model: str
    sink: str
    obstacle: Obstacle | None
    letters: int


class DeadLetterStore:
    """The store. `wall_ns` is the wall clock, `ids` gives names for replays.

    `figures` is a value that anybody may read at any moment; it is empty until the file was looked
    at, for a counter that stood at 0 at first would seem to have grown since. Between `open()` and
    `close()` every method may be called; without `run()`, what is too old goes only when something
    arrives.
    """

    def __init__(
        self,
        path: Path,
        limits: Bounds,
        *,
        wall_ns: Callable[[], int],
        ids: Callable[[], str],
    ) -> None:
        self.figures: Figures = {}
        self._limits = limits
        self._wall_ns = wall_ns
        self._database = Database(path, wall_ns=wall_ns, after_write=self._look)
        self.jobs = JobStore(self._database, wall_ns=wall_ns, ids=ids)

    @property
    def put_aside(self) -> int:
        """Files that could not be read and were put aside since the start."""
        return self._database.damaged

    @property
    def failures(self) -> int:
        """Calls that failed since the start, as the file could not be used."""
        return self._database.failures

    def size_bytes(self) -> int:
        """What the files take on disk."""
        return self._database.size_bytes()

    async def open(self) -> None:
        """Start. A file that cannot be used now is no reason to fail: it is tried at each call."""
        self._database.start()
        try:
            await self.tend()
        except StoreUnavailable as error:
            log.error("dead letters cannot be kept yet", extra={"reason": str(error)})  # noqa: TRY400

    async def close(self) -> None:
        """Finish what was begun, and let go of the file."""
        await self._database.stop()

    async def run(self) -> None:
        """Keep within the bounds of age, until cancelled."""
        while True:
            await asyncio.sleep(TEND_S)
            try:
                await self.tend()
            except StoreUnavailable:
                continue  # said, and counted, by the database

    def limit(self, limits: Bounds) -> None:
        """Keep within these bounds from now on; `tend()` or the next arrival sees to it."""
        self._limits = limits

    # -- what comes in -----------------------------------------------------------------------------

    async def add_failed_predictions(self, records: Sequence[Record]) -> int:
        """Keep requests that the answering model failed; returns how many are new.

        Raises StoreUnavailable; then none of them was added.
        """
        return await self._add(
            DeadLetterClass.PREDICTION_FAILED,
            [of_failed_prediction(record) for record in records],
        )

    async def add_refused(self, sink: str, items: Sequence[Item], reasons: Sequence[str]) -> None:
        """Keep records that a sink will not take. Raises OSError; then none of them was added."""
        arrivals = [
            of_refused_record(sink, item, reason)
            for item, reason in zip(items, reasons, strict=True)
        ]
        try:
            await self._add(DeadLetterClass.DELIVERY_FAILED, arrivals)
        except StoreUnavailable as error:
            raise OSError(str(error)) from error

    async def _add(self, class_: DeadLetterClass, arrivals: Sequence[Arrival]) -> int:
        if not arrivals:
            return 0
        now_ns = self._wall_ns()

        def work(connection: sqlite3.Connection) -> int:
            added = sum(rows.insert(connection, one, now_ns) for one in arrivals)
            bounds.tally(connection, ARRIVED, class_, added)
            bounds.tally(connection, REPEATED, class_, len(arrivals) - added)
            bounds.keep_within(connection, self._limits, now_ns)
            return added

        return await self._database.write(work, durable=True)

    # -- what is shown -----------------------------------------------------------------------------

    async def page(
        self,
        filter_: Filter,
        *,
        limit: int,
        after: int | None = None,
        newest_first: bool = True,
    ) -> Page:
        """At most `limit` letters beyond the id `after`, without their contents."""
        limit = min(limit, LONGEST_PAGE)

        def work(connection: sqlite3.Connection) -> Page:
            found = rows.letters(
                connection, filter_, limit=limit + 1, after=after, newest_first=newest_first
            )
            return Page(
                letters=tuple(found[:limit]),
                next=found[limit - 1].id if len(found) > limit else None,
                total=sum(row[-1] for row in rows.counted(connection, filter_, ("class",))),
            )

        return await self._database.read(work)

    async def get(self, letter_id: int) -> Content:
        """A letter with all that is kept of it. Raises ClientError (404)."""
        found = await self.find(letter_id)
        if found is None:
            raise ClientError(
                f"There is no dead letter {letter_id}", status=404, code="no_dead_letter"
            )
        return found

    async def find(self, letter_id: int) -> Content | None:
        """A letter with all that is kept of it, None: there is no such letter."""

        def work(connection: sqlite3.Connection) -> tuple[Letter, bytes | None, rows.Kept] | None:
            letter = rows.letter(connection, letter_id)
            if letter is None:
                return None
            return letter, rows.content(connection, letter_id), rows.answer(connection, letter_id)

        found = await self._database.read(work)
        return None if found is None else _content(*found)

    async def export(self, filter_: Filter) -> AsyncIterator[Content]:
        """Every letter that is meant and was not purged, whole, in the order of arrival.

        It reads on where it was, so what arrives meanwhile is exported too, and what goes is not.
        """
        after: int | None = 0
        while after is not None:
            page, after = await self._database.read(_portion(filter_, after))
            for one in page:
                yield _content(*one)

    async def count(self, filter_: Filter) -> tuple[Tally, ...]:
        """How many letters are meant, and of which kind."""
        by = ("class", "state", "model", "sink", "obstacle")
        counted = await self._database.read(
            lambda connection: list(rows.counted(connection, filter_, by))
        )
        return tuple(
            Tally(
                class_=DeadLetterClass(class_),
                state=LetterState(state),
                model=model,
                sink=sink,
                obstacle=None if obstacle is None else Obstacle(obstacle),
                letters=letters,
            )
            for class_, state, model, sink, obstacle, letters in counted
        )

    # -- what goes ---------------------------------------------------------------------------------

    async def purge(self, filter_: Filter) -> int:
        """Forget the contents of all letters that are meant; returns how many there were.

        What was purged is overwritten on disk before this returns.
        """
        purged = 0
        after: int | None = 0
        while after is not None:
            more, after = await self._database.write(self._purging(filter_, after), durable=True)
            purged += more
        while await self._database.shrink(FREED_PAGES):
            pass  # in parts, so that what arrives need not wait for all of it
        await self._database.clean()
        return purged

    def _purging(
        self, filter_: Filter, after: int
    ) -> Callable[[sqlite3.Connection], tuple[int, int | None]]:
        now_ns = self._wall_ns()

        def work(connection: sqlite3.Connection) -> tuple[int, int | None]:
            ids = [
                one.id
                for one in rows.letters(connection, filter_, limit=bounds.PORTION, after=after)
            ]
            purged = bounds.purge(connection, ids, PurgeReason.OPERATOR, now_ns)
            return purged, ids[-1] if len(ids) == bounds.PORTION else None

        return work

    async def tend(self) -> None:
        """Let go of what is too old or too much, and give free pages back to the file system."""
        now_ns = self._wall_ns()

        def work(connection: sqlite3.Connection) -> None:
            bounds.keep_within(connection, self._limits, now_ns)

        await self._database.write(work, durable=False)
        await self._database.shrink(FREED_PAGES)

    def _look(self, connection: sqlite3.Connection) -> None:
        self.figures = read_figures(connection)


def _portion(
    filter_: Filter, after: int
) -> Callable[[sqlite3.Connection], tuple[list[_Found], int | None]]:
    """Reads the next letters of an export, and says where the ones behind them begin."""

    def work(connection: sqlite3.Connection) -> tuple[list[_Found], int | None]:
        found: list[_Found] = []
        taken = 0
        for letter in rows.letters(connection, filter_, limit=EXPORT_PAGE, after=after):
            record = rows.content(connection, letter.id)
            found.append((letter, record, rows.answer(connection, letter.id)))
            taken += letter.size_bytes
            if taken >= EXPORT_BYTES:
                return found, letter.id
        return found, found[-1][0].id if len(found) == EXPORT_PAGE else None

    return work


_Found = tuple[Letter, bytes | None, "rows.Kept"]


def _content(letter: Letter, record: bytes | None, answer: rows.Kept) -> Content:
    try:
        decoded = None if record is None else decode(record)
    except RecordError as error:  # of a version that this one cannot read
        log.warning("a dead letter cannot be read", extra={"id": letter.id, "reason": str(error)})
        decoded = None
    return Content(letter=letter, encoded=record, record=decoded, answer=answer)
