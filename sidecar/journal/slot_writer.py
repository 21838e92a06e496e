"""Writes the segments of one slot, one after the other; no thread, no queue, no patience.

It holds the slot (a lock on its directory, which ends with the process), numbers the records, ends
a segment when it is large or old enough or the table changes, forces it to the disk as the policy
says, and stays within the slot's share. What the system refuses ends the segment that is open: the
next attempt begins another. Bytes that were written are never written over.

Not thread-safe. Must not know what a record says.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sidecar.config.recording import Fsync
from sidecar.disk import PRIVATE, sync_directory
from sidecar.frames.layout import Head, Subjects, mark_of
from sidecar.journal.limits import WriterLimits
from sidecar.journal.predecessor import inspect
from sidecar.journal.segment_writer import Item, SegmentWriter
from sidecar.journal.segments import segment_path, slot_directory
from sidecar.model.names import DropReason

LOOK_EVERY_S: Final = 1.0
"""How often the writer looks whether its file still has a name."""

log: Final = logging.getLogger("sidecar.journal")


class JournalFullError(OSError):
    """The slot has all the bytes it may have."""


class SlotWriter:
    """Writes records into the slot; nothing is opened before the first of them comes."""

    def __init__(
        self,
        directory: Path,
        slot: int,
        boot: str,
        limits: WriterLimits,
        *,
        wall_ns: Callable[[], int],
        monotonic_s: Callable[[], float],
    ) -> None:
        self.written = 0
        """The number of the last record that the system has."""
        self.durable = 0
        """The number of the last record that was forced to the disk."""
        self.uncertain = 0
        """Records up to `durable` that may be lost all the same: the system once said it could not
        force them, or somebody deleted their file."""
        self._directory = directory
        self._slot = slot
        self._boot = boot
        self._limits = limits
        self._wall_ns = wall_ns
        self._monotonic_s = monotonic_s
        self._table: Subjects = {}
        self._lock: int | None = None
        self._segment: SegmentWriter | None = None
        self._sequence = 0
        self._next_number = 0
        self._slot_bytes = 0
        self._unsynced = False
        self._synced_s = 0.0
        self._born_s = 0.0
        self._looked_s = 0.0

    @property
    def dirty(self) -> bool:
        """Whether something was written that is yet to be forced to the disk."""
        return self._unsynced and self._limits.fsync is not Fsync.NEVER

    @property
    def due_s(self) -> float | None:
        """When `tend` has something to do, if nothing is written before; None: never."""
        if self._segment is None:
            return None
        due_s = self._looked_s + LOOK_EVERY_S
        if self._segment.records:
            due_s = min(due_s, self._born_s + self._limits.segment_age_s)
        if self.dirty:
            due_s = min(due_s, self._synced_s + self._limits.fsync_interval_s)
        return due_s

    def use(self, table: Subjects) -> None:
        """Say what the subjects of the records from now on mean. Raises OSError, and does it."""
        self._table = table
        self.finish()

    def write(self, items: Sequence[Item]) -> tuple[int, OSError | None]:
        """Write records; how many are in, and what kept the others out."""
        try:
            segment = self._roomy_segment()
        except OSError as error:
            return 0, error
        before = segment.size_bytes
        taken, refusal = segment.append(items)
        self._slot_bytes += segment.size_bytes - before
        self._next_number = segment.number
        self._unsynced = self._unsynced or taken > 0
        self.written = segment.number - 1
        try:
            if refusal is not None:
                self._sync()
                self._abandon()
            elif segment.size_bytes >= self._limits.segment_bytes:
                self.finish()
                self.begin()
        except OSError as error:
            refusal = refusal or error
        return taken, refusal

    def tend(self, *, sync: bool = False) -> None:
        """Do what is due, and force everything to the disk if asked to. Raises OSError."""
        segment = self._segment
        if segment is None:
            return
        now_s = self._monotonic_s()
        limits = self._limits
        since_s = now_s - self._synced_s
        if sync or limits.fsync is Fsync.ALWAYS or since_s >= limits.fsync_interval_s:
            self._sync()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            if segment.vanished():
                log.error(
                    "a segment was deleted while it was written; its records are lost",
                    extra={"slot": self._slot, "file": segment.path.name},
                )
                self.uncertain += segment.records
                self._unsynced = False
                self._abandon()
                self._unlock()
                return
        if segment.records and now_s - self._born_s >= limits.segment_age_s:
            self.finish()
            self.begin()

    def begin(self) -> None:
        """Begin a segment, if none is open. Raises OSError.

        Done without waiting for a record after a segment has ended by age, so that the last one of
        a slot, which retention cannot do without, holds no old records.
        """
        self._roomy_segment()

    def finish(self) -> None:
        """End the segment that is open, if any. Raises OSError; it is ended all the same."""
        segment = self._segment
        if segment is None:
            return
        before = segment.size_bytes
        try:
            segment.finish()
            self._slot_bytes += segment.size_bytes - before
        finally:
            self._sync()
            self._abandon()

    def close(self) -> None:
        """Let go of the slot. Raises OSError; it is let go of all the same."""
        try:
            self.finish()
        finally:
            self._unlock()

    def _roomy_segment(self) -> SegmentWriter:
        if self._lock is None:
            self._hold()
        most_bytes = self._limits.most_bytes
        if self._slot_bytes >= most_bytes:
            self.finish()  # so that it, too, may be removed
            self._slot_bytes = _bytes_in(slot_directory(self._directory, self._slot))
            if self._slot_bytes >= most_bytes:
                raise JournalFullError(f"the journal's share of {most_bytes} bytes is used up")
        return self._segment or self._next_segment()

    def _hold(self) -> None:
        """Become the slot's writer, and find out where to go on. Raises OSError."""
        directory = slot_directory(self._directory, self._slot)
        directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        lock = _locked(directory)
        try:
            found = inspect(self._directory, self._slot)
            self._slot_bytes = _bytes_in(directory)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock
        self._sequence = max(self._sequence, found.sequence)
        self._next_number = max(self._next_number, found.next_number)
        if found.cut_bytes:
            log.warning(
                "half a record at the end of the journal was cut off",
                extra={"slot": self._slot, "bytes": found.cut_bytes},
            )

    def _next_segment(self) -> SegmentWriter:
        head = Head(
            slot=self._slot,
            sequence=self._sequence + 1,
            first_number=self._next_number,
            created_ns=self._wall_ns(),
            boot=self._boot,
            mark=mark_of(int.from_bytes(os.urandom(4), "little")),
        )
        path = segment_path(self._directory, self._slot, head.sequence)
        try:
            segment = SegmentWriter(path, head, self._table)
        except FileNotFoundError:
            self._unlock()  # the directory was deleted; the next attempt makes another
            raise
        self._sequence += 1
        self._slot_bytes += segment.size_bytes
        if self._limits.fsync is not Fsync.NEVER:
            try:
                sync_directory(path.parent)  # the file's name
            except OSError:
                segment.close()
                raise
        self._segment = segment
        self._born_s = self._looked_s = self._monotonic_s()
        return segment

    def _sync(self) -> None:
        segment = self._segment
        if segment is None or not self.dirty:
            return
        self._unsynced = False
        try:
            segment.sync()
        except OSError:
            # The kernel may have let go of the pages, and then the next fsync would say "done":
            # https://wiki.postgresql.org/wiki/Fsync_Errors
            self.uncertain += self.written - self.durable
            self._abandon()
            raise
        self.durable = self.written
        self._synced_s = self._monotonic_s()

    def _abandon(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def reason_of(error: OSError) -> DropReason:
    """What to count a record under that `error` kept out."""
    if isinstance(error, JournalFullError):
        return DropReason.JOURNAL_FULL
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return DropReason.DISK_FULL if full else DropReason.WRITE_ERROR


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
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total
