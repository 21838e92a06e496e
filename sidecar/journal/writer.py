"""The journal's way in: a worker hands over records, and one thread writes them.

`append` and `extend` are all that happens on the caller's thread. They never wait: a record is
taken into a queue bounded by bytes, or refused and counted. The thread gathers for some
milliseconds, then writes what is there by one call per batch, so that it asks for the interpreter's
lock about twenty times a second, not once per record.

While the disk refuses (full, read-only, broken, or the slot's share used up) records wait in the
queue, and the thread tries again with growing pauses, in a new segment. Nothing that was taken is
given up while it can still be written; once the queue is full, what is refused is counted under
what the disk said.

Two threads, no lock. Each attribute is written by one of them only, but for `_alarm`: when the
queue's bytes pass it, the caller rings the bell. Whoever has to be heard rings after everything
else, so that a thread which goes to sleep at that moment wakes up again.

Must not know what a record says.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sidecar.frames.layout import MAX_PAYLOAD_BYTES, Subjects, subject_of
from sidecar.journal.limits import WriterLimits
from sidecar.journal.segment_writer import Item
from sidecar.journal.slot_writer import SlotWriter, reason_of
from sidecar.model.names import DropReason

QUEUED_BYTES: Final = 128
"""What a waiting record takes beside its payload: a tuple, the head of a bytes, a place in line."""

BATCH_BYTES: Final = 256 * 1024
BATCH_RECORDS: Final = 512
"""At most so many in one call: about 0.2 ms of Python, during which nobody else has the lock."""

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0
"""After a refusal: soon again, since it may be a moment's; never so late that people wonder."""

log: Final = logging.getLogger("sidecar.journal")


class _Bell:
    """Wakes one thread up; costs less than `threading.Event`, which makes a lock for each wait."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the thread, or let its next wait end at once. Rung twice is rung."""
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def wait(self, timeout_s: float | None) -> bool:
        """Until it rings; False: it did not in time."""
        return self._lock.acquire(timeout=-1 if timeout_s is None else timeout_s)


class _Lane:
    """Records that were appended under one table."""

    __slots__ = ("items", "table")

    def __init__(self, table: Subjects) -> None:
        self.table = table
        self.items: deque[Item] = deque()


class Writer:
    """Writes the records of one worker; see the module's text.

    `directory` is the journal's, `boot` 32 hexadecimal digits that name this run of the worker.
    The first segment is made when the first record comes. To be made after a fork, not before.
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
        self.refusing: DropReason | None = None
        """What keeps records out of the files at the moment."""
        self._slot = slot
        self._gather_s = limits.gather_s
        self._monotonic_s = monotonic_s
        self._out = SlotWriter(
            directory, slot, boot, limits, wall_ns=wall_ns, monotonic_s=monotonic_s
        )
        # The caller's side.
        lane = _Lane({})
        self._lanes = deque([lane])
        self._add = lane.items.append
        self._add_all = lane.items.extend
        self._offered = 0
        self._bound = min(limits.queue_bytes, MAX_PAYLOAD_BYTES)
        self._refused: dict[tuple[DropReason, int], int] = {}
        self._closing = False
        # Between the two.
        self._alarm = 0
        self._bell = _Bell()
        self._waiters: deque[tuple[int, threading.Event]] = deque()
        # The thread's side.
        self._taken = 0
        self._dropped: dict[tuple[DropReason, int], int] = {}
        self._held: list[Item] = []
        self._hurry_bytes = self._bound // 4
        self._busy = False
        self._retry_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._thread = threading.Thread(target=self._run, name=f"journal-{slot:02d}", daemon=True)
        self._thread.start()

    def append(self, subject: int, payload: bytes) -> bool:
        """Take a record of this row of the table; False: refused, and counted in `failures`.

        `subject | FAILURE` marks what an answering model failed: it is found without decoding.

        On the request path and written for it: a comparison and a deque, until the alarm is due.
        """
        offered = self._offered + len(payload) + QUEUED_BYTES
        if offered > self._alarm:
            return self._append_and_ring(offered, subject, payload)
        self._offered = offered
        self._add((subject, payload))
        return True

    def extend(self, items: Sequence[Item]) -> None:
        """Take many records as `append` takes one: those for which there is room.

        When the alarm would be due on the way, each of them is looked at.
        """
        offered = self._offered + _queued_bytes(items)
        if offered > self._alarm:
            for subject, payload in items:
                self.append(subject, payload)
            return
        self._offered = offered
        self._add_all(items)

    def subjects(self, table: Subjects) -> None:
        """Say what the subjects of the records from now on mean, each from 0 to 65,535."""
        if table != self._lanes[-1].table:
            lane = _Lane(dict(table))
            self._lanes.append(lane)
            self._add = lane.items.append
            self._add_all = lane.items.extend

    @property
    def written(self) -> int:
        """The number of the last record that the system has: a kill does not lose it any more."""
        return self._out.written

    @property
    def durable(self) -> int:
        """The number of the last record that was forced to the disk; 0 with fsync `never`."""
        return self._out.durable

    @property
    def uncertain(self) -> int:
        """Records up to `durable` that may be lost all the same: the system once said it could not
        force them, or somebody deleted their file."""
        return self._out.uncertain

    @property
    def depth_bytes(self) -> int:
        """Memory that records take which are not written yet."""
        return self._offered - self._taken

    @property
    def failures(self) -> Mapping[tuple[DropReason, int], int]:
        """How many records were not written, by reason and subject, since the start."""
        total = dict(self._refused)
        for key, count in tuple(self._dropped.items()):
            total[key] = total.get(key, 0) + count
        return total

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was taken is written, and forced unless fsync is `never`."""
        uncertain = self.uncertain
        done = threading.Event()
        self._waiters.append((self._offered, done))
        self._bell.ring()
        return done.wait(timeout_s) and self.uncertain == uncertain

    def close(self, timeout_s: float) -> bool:
        """Write what is waiting, end the segment and the thread; False: not all got there.

        What the disk refuses at the last attempt is dropped and counted. Blocking: from an event
        loop, use a thread. Nothing may be appended meanwhile; afterwards it is refused.
        """
        self._closing = True
        self._alarm = -1
        self._bell.ring()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self._dropped

    # The caller's side: what is rare.

    def _append_and_ring(self, offered: int, subject: int, payload: bytes) -> bool:
        objection = self._objection(offered)
        if objection is not None:
            key = (objection, subject_of(subject))
            self._refused[key] = self._refused.get(key, 0) + 1
            return False
        self._offered = offered
        self._add((subject, payload))
        self._alarm = self._taken + self._bound
        self._bell.ring()
        return True

    def _objection(self, offered: int) -> DropReason | None:
        if self._closing:
            return DropReason.CLOSED
        if offered - self._taken <= self._bound:
            return None
        if offered - self._offered > self._bound:
            return DropReason.TOO_LARGE
        return self.refusing or DropReason.QUEUE_FULL

    # The thread's side.

    def _run(self) -> None:
        closing = False
        while not closing:
            try:
                self._sleep()
                closing = self._closing  # before the last look into the queue, never after it
                self._drain(at_once=closing)
                self._tend()
                self._answer_waiters()
            except Exception:  # the proxy goes on whatever happens here
                log.exception("the journal's writer failed, and tries again with the next record")
                self._give_up(self._held, DropReason.FAULT)  # one of them may be what it is
                self._held = []
                self._put_off(DropReason.FAULT, None)
        self._end()

    def _sleep(self) -> None:
        """Until there is something to write, or to look after.

        While records keep coming, one wait a turn: a thread that wakes up costs about 50 us.
        """
        bell = self._bell
        if self._retry_s:
            self._set_alarm(self._bound)
            bell.wait(max(self._retry_s - self._monotonic_s(), 0.0))
            return
        if self._busy:
            self._gather()
        self._set_alarm(-self._taken)  # the next record rings
        if self._is_idle():
            due_s = self._out.due_s
            bell.wait(None if due_s is None else max(due_s - self._monotonic_s(), 0.001))
            if not self._is_idle():
                self._gather()
        self._set_alarm(self._bound)
        self._busy = self._has_records()

    def _gather(self) -> None:
        """Until some milliseconds are over, or there is much to write, or somebody waits for it."""
        if not (self._waiters or self._closing):
            self._set_alarm(self._hurry_bytes)
            self._bell.wait(self._gather_s)

    def _is_idle(self) -> bool:
        return not (self._has_records() or self._waiters or self._closing)

    def _set_alarm(self, depth_bytes: int) -> None:
        self._alarm = -1 if self._closing else self._taken + depth_bytes

    def _has_records(self) -> bool:
        return bool(self._held or self._lanes[0].items or len(self._lanes) > 1)

    def _drain(self, *, at_once: bool) -> None:
        """Write all that is waiting, or as much as the disk takes."""
        if not at_once and self._monotonic_s() < self._retry_s:
            return
        self._retry_s = 0.0
        while self._held or self._next_lane():
            if not self._held:
                self._held = self._batch()
            taken, error = self._out.write(self._held)
            written, self._held = self._held[:taken], self._held[taken:]
            self._taken += _queued_bytes(written)
            if error is not None:
                self._put_off(reason_of(error), error)
                return
            self._succeed()

    def _next_lane(self) -> bool:
        """Whether there are records; goes on to the next table when those of this one are done."""
        lanes = self._lanes
        while len(lanes) > 1 and not lanes[0].items:
            lanes.popleft()
            try:
                self._out.use(lanes[0].table)
            except OSError as error:
                self._put_off(reason_of(error), error)
        return bool(lanes[0].items)

    def _batch(self) -> list[Item]:
        """Take the next records out of the queue, about as many as a batch may have."""
        items = self._lanes[0].items
        mean_bytes = max(self.depth_bytes // len(items), 1)
        count = min(len(items), BATCH_RECORDS, max(BATCH_BYTES // mean_bytes, 1))
        take = items.popleft
        return [take() for _ in range(count)]

    def _tend(self) -> None:
        try:
            self._out.tend(sync=bool(self._waiters))
        except OSError as error:
            self._put_off(reason_of(error), error)

    def _put_off(self, failure: DropReason, error: OSError | None) -> None:
        """Let the disk alone for a while."""
        if self.refusing is None:
            log.error(
                "the journal cannot be written; records wait in memory, and are dropped when that "
                "is full",
                extra={"slot": self._slot, "failure": failure.value, "reason": str(error)},
            )
        self.refusing = failure
        self._retry_s = self._monotonic_s() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _succeed(self) -> None:
        if self.refusing is not None:
            log.warning("the journal is written again", extra={"slot": self._slot})
            self.refusing = None
            self._pause_s = FIRST_PAUSE_S

    def _answer_waiters(self) -> None:
        waiters = self._waiters
        while waiters and self._taken >= waiters[0][0] and not self._out.dirty:
            waiters.popleft()[1].set()

    def _end(self) -> None:
        """What could not be written is given up, and counted."""
        self._alarm = -1  # `close` may have come between two looks of this thread
        left = [*self._held, *(item for lane in self._lanes for item in lane.items)]
        self._give_up(left, self.refusing or DropReason.WRITE_ERROR)
        try:
            self._out.close()
        except OSError as error:
            log.warning(
                "the journal's last segment has no proper end", extra={"reason": str(error)}
            )
        self._answer_waiters()

    def _give_up(self, items: list[Item], failure: DropReason) -> None:
        for subject, _ in items:
            key = (failure, subject_of(subject))
            self._dropped[key] = self._dropped.get(key, 0) + 1
        self._taken += _queued_bytes(items)


def _queued_bytes(items: Sequence[Item]) -> int:
    return sum([len(payload) for _, payload in items]) + QUEUED_BYTES * len(items)
