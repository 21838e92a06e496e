"""Reads a journal from a position on, all slots of it; see `sidecar.journal.slot_reader`.

The position is the caller's: a reader only keeps files open between two calls. Blocking, and not
thread-safe: one reader per consumer.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from sidecar.frames.walk import Walk, walk_plainly
from sidecar.journal.position import Position
from sidecar.journal.quarantine import Quarantine
from sidecar.journal.runs import Entry, Run
from sidecar.journal.segments import SlotListing, segment_bytes, slots_of
from sidecar.journal.slot_reader import SlotReader
from sidecar.model.cells import CellKey


class Batch(Struct, frozen=True, kw_only=True):
    """What one call of `read` found; records of one slot are in the order they were written.

    `corrupt` counts records that were passed over, `skipped` their bytes.
    """

    runs: list[Run]
    next: Position
    corrupt: dict[CellKey, int]
    skipped: int

    @property
    def entries(self) -> list[Entry]:
        """The records."""
        return [entry for run in self.runs for entry in run.entries()]


class Reader:
    """Reads the journal in `directory`; bytes that are passed over go into `quarantine`."""

    def __init__(
        self, directory: Path, *, quarantine: Quarantine | None = None, walk: Walk = walk_plainly
    ) -> None:
        self._directory = directory
        self._quarantine = quarantine
        self._walk = walk
        self._slots: dict[int, SlotReader] = {}
        self._turn = 0

    def read(
        self, position: Position, *, max_records: int = 500, max_bytes: int = 1024 * 1024
    ) -> Batch:
        """Records after `position`: at most `max_records`, and about `max_bytes` of them.

        Slots take turns at being first. Returns what there is, perhaps nothing; never waits.
        Raises OSError (the journal cannot be read), ConfigError (zstandard is not installed).
        """
        runs: list[Run] = []
        corrupt: dict[CellKey, int] = {}
        skipped = 0
        slots = slots_of(self._directory)
        self._turn += 1
        first = self._turn % len(slots) if slots else 0
        for slot in slots[first:] + slots[:first]:
            reader = self.slot(slot)
            portion = reader.read(position.of(slot), max_records, max_bytes)
            runs += portion.runs
            max_records -= portion.records
            max_bytes -= portion.size_bytes
            skipped += portion.skipped
            for lost in portion.lost:
                corrupt[lost.cell] = corrupt.get(lost.cell, 0) + lost.records
            if portion.next != position.of(slot):
                position = position.moved(slot, portion.next)
            if max_records <= 0 or max_bytes <= 0:
                break
        return Batch(runs=runs, next=position, corrupt=corrupt, skipped=skipped)

    def slot(self, slot: int) -> SlotReader:
        """What reads one slot."""
        reader = self._slots.get(slot)
        if reader is None:
            reader = SlotReader(self._directory, slot, self._quarantine, self._walk)
            self._slots[slot] = reader
        return reader

    def close(self) -> None:
        """Let go of the files."""
        for reader in self._slots.values():
            reader.close()
        self._slots.clear()


def read(
    directory: Path, position: Position, *, max_records: int = 500, max_bytes: int = 1024 * 1024
) -> Batch:
    """One look into a journal, for those who do not come back. Raises as `Reader.read` does."""
    reader = Reader(directory)
    try:
        return reader.read(position, max_records=max_records, max_bytes=max_bytes)
    finally:
        reader.close()


def bytes_behind(directory: Path, position: Position) -> int:
    """About how many bytes of segments a consumer at `position` has yet to read.

    Of compressed ones, as they lie there. Raises OSError.
    """
    total = 0
    for slot in slots_of(directory):
        at = position.of(slot)
        sequence: int | None = at.sequence
        size = segment_bytes(directory, slot, at.sequence)
        total -= min(at.offset, size)
        if not size:  # read to the end and deleted, or nothing was read yet
            sequence = SlotListing(directory, slot).after(at.sequence)
        while sequence is not None and (size := segment_bytes(directory, slot, sequence)):
            total += size
            sequence += 1
    return total
