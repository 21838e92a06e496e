"""The journal's way in: a worker hands over records, and one thread writes them.

`append` is all that happens on the caller's thread. It never waits: a record is taken into a queue
bounded by bytes, or refused and counted. The thread gathers for some milliseconds, then writes what
is there by one call per batch, so that it asks for the interpreter's lock about a hundred times a
second, not once per record.

While the disk refuses (full, read-only, broken, or the slot's share used up) records wait in the
queue, and the thread tries again with growing pauses, in a new segment. Nothing that was taken is
given up while it can still be written; once the queue is full, what is refused is counted under
what the disk said.

Numbers are given when a record is written, so they have no gaps but those that damage makes.

One caller's thread, one writer's thread. Every number below is written by only one of them.
Must not know what a record says.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from sidecar.journal.layout import MAX_PAYLOAD_BYTES, Head, Subjects, mark_of
from sidecar.journal.limits import Fsync, WriterLimits
from sidecar.journal.predecessor import inspect
from sidecar.journal.segment_writer import Item, SegmentWriter
from sidecar.journal.segments import PRIVATE, segment_path, slot_directory

log: Final = logging.getLogger("sidecar.journal")

QUEUED_BYTES: Final = 128
"""What a waiting record takes beside its payload: a tuple, the head of a bytes, a place in line."""

_BATCH_BYTES: Final = 256 * 1024
_BATCH_RECORDS: Final = 512
"""At most so many in one call: about 0.2 ms of Python, during which nobody else has the lock."""

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
_LOOK_EVERY_S: Final = 1.0
"""How often the writer looks whether its file still has a name."""


class Failure(StrEnum):
    """Why a record was not written."""

    QUEUE_FULL = "queue_full"  # they come faster than the disk takes them
    TOO_LARGE = "too_large"  # larger than the queue
    DISK_FULL = "disk_full"
    JOURNAL_FULL = "journal_full"  # the slot's share is used up, and nobody prunes
    WRITE_ERROR = "write_error"
    CLOSED = "closed"  # came after `close`


class Writer:
    """Writes the records of one worker; see the module's text.

    `directory` is the journal's, `boot` 32 hexadecimal digits of this run of the worker. The first
    segment is made when the first record comes.
    """

    def __init__(
        self,
        directory: Path,
        slot: int,
        boot: str,
        limits: WriterLimits,
        *,
        wall_ns: Callable[[], int],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.written = 0
        """The number of the last record that the operating system has."""
        self.durable = 0
        """The number of the last record that was forced to the disk."""
        self.refusing: Failure | None = None
        """What keeps the disk from taking records, None when nothing does."""
        self._directory = directory
        self._slot = slot
        self._boot = boot
        self._limits = limits
        self._wall_ns = wall_ns
        self._monotonic_s = monotonic_s

        # The caller's side.
        self._offered = 0
        self._refused: dict[tuple[Failure, int], int] = {}
        self._closing = False
        self._bound = min(limits.queue_bytes, MAX_PAYLOAD_BYTES)
        self._hurry = min(_BATCH_BYTES, self._bound // 2)
        lane = _Lane({})
        self._lanes: deque[_Lane] = deque([lane])
        self._add = lane.items.append
        self._bell = threading.Event()
        self._alarm = 0
        self._waiters: deque[tuple[int, threading.Event]] = deque()

        # The thread's side.
        self._taken = 0
        self._dropped: dict[tuple[Failure, int], int] = {}
        self._held: list[Item] = []
        self._segment: SegmentWriter | None = None
        self._born_s = 0.0
        self._synced_s = 0.0
        self._looked_s = 0.0
        self._retry_s = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._lock: int | None = None
        self._sequence = 0
        self._number = 0
        self._slot_bytes = 0
        self._thread = threading.Thread(target=self._run, name=f"journal-{slot:02d}", daemon=True)
        self._thread.start()

    def append(self, subject: int, payload: bytes) -> bool:
        """Take a record of this row of the table; False: refused, and counted in `failures`.

        On the request path and written for it: a comparison and a deque, until the alarm is due.
        """
        offered = self._offered + len(payload) + QUEUED_BYTES
        if offered > self._alarm:
            return self._append_and_ring(offered, subject, payload)
        self._offered = offered
        self._add((subject, payload))
        return True

    def subjects(self, table: Subjects) -> None:
        """Say what the subjects of the records from now on mean."""
        lane = _Lane(dict(table))
        self._lanes.append(lane)
        self._add = lane.items.append

    @property
    def depth_bytes(self) -> int:
        """Memory that records take which are not written yet."""
        return self._offered - self._taken

    @property
    def failures(self) -> Mapping[tuple[Failure, int], int]:
        """How many records were not written, by reason and subject, since the start."""
        total = dict(self._refused)
        for key, count in tuple(self._dropped.items()):
            total[key] = total.get(key, 0) + count
        return total

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was taken is written, and durable unless fsync is `never`."""
        done = threading.Event()
        self._waiters.append((self._offered, done))
        self._bell.set()
        return done.wait(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write what is waiting, finish the segment, end the thread; False: not all got there.

        What the disk refuses until then is dropped and counted. Blocking: from an event loop, use
        a thread.
        """
        self._closing = True
        self._alarm = 0
        self._bell.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self._dropped

    # The caller's side: rare cases.

    def _append_and_ring(self, offered: int, subject: int, payload: bytes) -> bool:
        failure = self._objection(offered)
        if failure is not None:
            key = (failure, subject)
            self._refused[key] = self._refused.get(key, 0) + 1
            return False
        self._offered = offered
        self._add((subject, payload))
        # The bell comes last: a thread that set the alarm to 0 meanwhile will still hear it.
        self._alarm = self._taken + self._bound
        self._bell.set()
        return True

    def _objection(self, offered: int) -> Failure | None:
        if self._closing:
            return Failure.CLOSED
        if offered - self._taken <= self._bound:
            return None
        if offered - self._offered > self._bound:
            return Failure.TOO_LARGE
        return self.refusing or Failure.QUEUE_FULL

    # The thread's side.

    def _run(self) -> None:
        while True:
            try:
                if self._turn():
                    break
            except Exception:  # the proxy goes on whatever happens here
                log.exception("the journal's writer failed and tries again")
                self._give_up(self._held, Failure.WRITE_ERROR)  # it might be what one of them is
                self._held = []
                self._abandon_segment()
                self._put_off(Failure.WRITE_ERROR, None)
        self._end()

    def _turn(self) -> bool:
        """Wait for records and write them; True when there is nothing left to do."""
        self._sleep()
        self._drain()
        self._tend()
        self._answer_waiters()
        return self._closing

    def _sleep(self) -> None:
        """Until there is something to write, or to look after."""
        bell = self._bell
        if self._retry_s:
            self._alarm = self._taken + self._bound
            bell.wait(max(self._retry_s - self._monotonic_s(), 0.0))
            bell.clear()
            return
        self._alarm = 0
        if self._waiting_items() or self._closing or self._waiters:
            pass
        elif not bell.wait(self._patience_s()):
            return
        bell.clear()
        if not self._closing and not self._waiters:
            # Gather: until some milliseconds are over, or there is enough for a batch.
            self._alarm = self._taken + self._hurry
            bell.wait(self._limits.gather_s)
        bell.clear()
        self._alarm = self._taken + self._bound

    def _waiting_items(self) -> bool:
        return bool(self._held or self._lanes[0].items or len(self._lanes) > 1)

    def _patience_s(self) -> float | None:
        """How long the thread may sleep when nothing comes; None: for ever."""
        segment = self._segment
        if segment is None:
            return None
        now_s = self._monotonic_s()
        due_s = self._born_s + self._limits.segment_age_s
        if self._dirty() and self._limits.fsync is Fsync.INTERVAL:
            due_s = min(due_s, self._synced_s + self._limits.fsync_interval_s)
        return min(max(due_s - now_s, 0.001), _LOOK_EVERY_S)

    def _dirty(self) -> bool:
        return self.written > self.durable and self._limits.fsync is not Fsync.NEVER

    def _drain(self) -> None:
        """Write all that is waiting, or as much as the disk takes."""
        if self._retry_s and self._monotonic_s() < self._retry_s and not self._closing:
            return
        while self._held or self._next_lane():
            if not self._held:
                self._held = self._batch()
            if not self._write_held():
                return

    def _next_lane(self) -> bool:
        """Whether there is a record; goes on to the next table when those of this one are done."""
        lanes = self._lanes
        while len(lanes) > 1 and not lanes[0].items:
            lanes.popleft()
            if self._segment is not None:
                self._finish_segment()
        return bool(lanes[0].items)

    def _batch(self) -> list[Item]:
        """Take the next records out of the queue, about as many as a batch may have."""
        items = self._lanes[0].items
        waiting = len(items)
        mean_bytes = max(self.depth_bytes // waiting, 1)
        take = items.popleft
        count = min(waiting, _BATCH_RECORDS, max(_BATCH_BYTES // mean_bytes, 1))
        return [take() for _ in range(count)]

    def _write_held(self) -> bool:
        try:
            segment = self._segment or self._begin_segment()
        except OSError as refused:
            self._put_off(_reason(refused), refused)
            return False
        before = segment.size_bytes
        taken, error = segment.append(self._held)
        self._taken += sum(map(_queued_bytes, self._held[:taken]))
        self._held = self._held[taken:]
        self._number = segment.number
        self._slot_bytes += segment.size_bytes - before
        self.written = segment.number - 1
        if error is not None:
            self._abandon_segment()
            self._put_off(_reason(error), error)
            return False
        if self.refusing is not None:
            log.warning("the journal is written again", extra={"slot": self._slot})
        self.refusing, self._retry_s, self._pause_s = None, 0.0, _FIRST_PAUSE_S
        if self._limits.fsync is Fsync.ALWAYS and not self._sync():
            return False
        if segment.size_bytes >= self._limits.segment_bytes:
            self._finish_segment()
        return True

    def _tend(self) -> None:
        """What is due by time: to sync, to end a segment, to see that it is still there."""
        segment = self._segment
        if segment is None:
            return
        now_s = self._monotonic_s()
        limits = self._limits
        wanted = self._waiters or now_s - self._synced_s >= limits.fsync_interval_s
        if self._dirty() and wanted and not self._sync():
            return
        if now_s - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = now_s
            if segment.vanished():
                log.error("a segment was deleted while it was written", extra={"slot": self._slot})
                self._abandon_segment()
                self._unlock()
                return
        if now_s - self._born_s >= limits.segment_age_s:
            self._finish_segment()

    def _sync(self) -> bool:
        segment = self._segment
        if segment is None or not self._dirty():
            return True
        try:
            segment.sync()
        except OSError as error:
            # What the kernel did with the pages is unknown, and a second fsync would say "done".
            self._abandon_segment()
            self._put_off(Failure.WRITE_ERROR, error)
            return False
        self.durable = self.written
        self._synced_s = self._monotonic_s()
        return True

    def _begin_segment(self) -> SegmentWriter:
        directory = slot_directory(self._directory, self._slot)
        if self._lock is None:
            directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            self._lock = _locked(directory)
            found = inspect(self._directory, self._slot)
            self._sequence = max(self._sequence, found.sequence)
            self._number = max(self._number, found.next_number)
            self._slot_bytes = _bytes_in(directory)
        if self._slot_bytes >= self._limits.most_bytes:
            self._slot_bytes = _bytes_in(directory)
            if self._slot_bytes >= self._limits.most_bytes:
                raise JournalFullError(errno.EDQUOT, "the journal's share is used up")
        sequence = self._sequence + 1
        head = Head(
            slot=self._slot,
            sequence=sequence,
            first_number=self._number,
            created_ns=self._wall_ns(),
            boot=self._boot,
            mark=mark_of(int.from_bytes(os.urandom(4), "little")),
        )
        path = segment_path(self._directory, self._slot, sequence)
        try:
            segment = SegmentWriter(path, head, self._lanes[0].table)
        except FileNotFoundError:
            self._unlock()  # the directory was deleted: made anew at the next try
            raise
        except FileExistsError:
            self._sequence = sequence
            raise
        self._sequence = sequence
        self._slot_bytes += segment.size_bytes
        self._segment = segment
        self._born_s = self._looked_s = self._monotonic_s()
        if self._limits.fsync is not Fsync.NEVER:
            segment.sync_name()
        return segment

    def _finish_segment(self) -> None:
        segment = self._segment
        if segment is None:
            return
        before = segment.size_bytes
        try:
            segment.finish()
            self._slot_bytes += segment.size_bytes - before
            if self._limits.fsync is not Fsync.NEVER:
                segment.sync()
                self.durable = self.written
                self._synced_s = self._monotonic_s()
        except OSError as error:
            self._put_off(_reason(error), error)
        self._abandon_segment()

    def _abandon_segment(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _put_off(self, failure: Failure, error: OSError | None) -> None:
        """Let the disk alone for a while."""
        if self.refusing is None:
            log.error(
                "the journal cannot be written; records wait in memory, then are dropped",
                extra={"slot": self._slot, "failure": failure.value, "reason": str(error)},
            )
        self.refusing = failure
        self._retry_s = self._monotonic_s() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _answer_waiters(self) -> None:
        waiters = self._waiters
        while waiters and self._taken >= waiters[0][0] and not self._dirty():
            waiters.popleft()[1].set()

    def _end(self) -> None:
        """After `close`: what could not be written is given up, and counted."""
        self._alarm = -1
        left = [*self._held, *(item for lane in self._lanes for item in lane.items)]
        self._give_up(left, self.refusing or Failure.WRITE_ERROR)
        self._held = []
        self._finish_segment()
        self._answer_waiters()
        self._unlock()

    def _give_up(self, items: list[Item], failure: Failure) -> None:
        for subject, _ in items:
            key = (failure, subject)
            self._dropped[key] = self._dropped.get(key, 0) + 1
        self._taken += sum(map(_queued_bytes, items))

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class JournalFullError(OSError):
    """The slot has as many bytes as it may."""


class _Lane:
    """Records that were appended under one table."""

    __slots__ = ("items", "table")

    def __init__(self, table: dict[int, object] | Subjects) -> None:
        self.table: Subjects = table  # type: ignore[assignment]
        self.items: deque[Item] = deque()


def _queued_bytes(item: Item) -> int:
    return len(item[1]) + QUEUED_BYTES


def _reason(error: OSError) -> Failure:
    if isinstance(error, JournalFullError):
        return Failure.JOURNAL_FULL
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Failure.DISK_FULL if full else Failure.WRITE_ERROR


def _locked(directory: Path) -> int:
    """Hold the slot as its only writer, as long as the process lives. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _bytes_in(directory: Path) -> int:
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total
