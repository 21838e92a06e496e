"""Which segments go: by bytes and by age, those that nobody needs before those that somebody does.

    segments = survey(directory)
    plan = plan_retention(segments, positions, bounds, now_ns)
    `remove` each of plan.free
    for each of plan.expired: every consumer for which `needs` is true counts what it loses
        (`count_after`), saves a cursor that is `past` the segment, and then it is removed

A process that dies in between has lost nothing that is not counted: the segment is still there, and
nobody needs it any more.

The segment that a living writer has open is never removed. The last one of a slot goes only by age,
and leaves an empty one behind: from it the next writer knows where numbers go on.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.config.recording import Fsync, JournalSettings
from sidecar.journal.compression import compress_file
from sidecar.journal.limits import WriterLimits
from sidecar.journal.position import Position, SlotPosition
from sidecar.journal.reader import Reader
from sidecar.journal.segments import (
    COMPRESSED,
    SUFFIX,
    files_of,
    slots_of,
    writer_lives,
)
from sidecar.journal.slot_writer import SlotWriter
from sidecar.model.cells import CellKey

NO_BOOT: Final = "0" * 32
"""In the head of a segment that no worker wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment as it lies there. `last` of its slot; `open`: a living writer may append to it."""

    slot: int
    sequence: int
    path: Path
    size_bytes: int
    ended_ns: int  # wall clock of its last record
    last: bool
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much may stay: of all slots, of one slot, and for how long."""

    total_bytes: int
    slot_bytes: int
    age_s: float

    @classmethod
    def of(cls, settings: JournalSettings, *, workers: int) -> Bounds:
        """`retain` for all, and an equal share of it for each of so many workers.

        Without a share of its own, a worker with more traffic than the others could use up what
        its writer may take (`WriterLimits`) long before there is too much in total.
        """
        return cls(
            total_bytes=settings.retain,
            slot_bytes=settings.retain // workers,
            age_s=settings.retain_age,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What goes: `free` nobody needs, `expired` somebody has not read yet."""

    free: tuple[Segment, ...]
    expired: tuple[Segment, ...]


def survey(directory: Path) -> list[Segment]:
    """All segments, the oldest first, those of a slot in their order. Raises OSError.

    When the clock was put back, or a file was touched, a segment counts as no older than the one
    before it: consumers let go of the segments of a slot one after the other.
    """
    found = []
    for slot in slots_of(directory):
        lives = writer_lives(directory, slot)
        files = files_of(directory, slot)
        latest_ns = 0
        for file in files:
            latest_ns = max(latest_ns, file.ended_ns)
            last = file is files[-1]
            found.append(
                Segment(
                    slot=slot,
                    sequence=file.sequence,
                    path=file.path,
                    size_bytes=file.size_bytes,
                    ended_ns=latest_ns,
                    last=last,
                    open=last and lives,
                )
            )
    return sorted(found, key=lambda one: (one.ended_ns, one.slot, one.sequence))


def needs(segment: Segment, position: Position) -> bool:
    """Whether a consumer at `position` may have something to read in a segment."""
    return position.of(segment.slot).sequence <= segment.sequence


def plan_retention(
    segments: Sequence[Segment], positions: Collection[Position], bounds: Bounds, now_ns: int
) -> Plan:
    """Choose what goes. Pure; `segments` oldest first.

    What is over age goes. Where there are too many bytes, the oldest that nobody needs go first,
    then the oldest that somebody needs.
    """
    before_ns = now_ns - int(bounds.age_s * 1e9)
    gone = [one for one in segments if one.ended_ns < before_ns and not one.open]
    by_slot: dict[int, list[Segment]] = {}
    for segment in _without(segments, gone):
        by_slot.setdefault(segment.slot, []).append(segment)
    for slot in sorted(by_slot):
        gone += _oldest(by_slot[slot], positions, bounds.slot_bytes)
    gone += _oldest(_without(segments, gone), positions, bounds.total_bytes)
    return Plan(
        free=tuple(one for one in gone if not _needed(one, positions)),
        expired=tuple(one for one in gone if _needed(one, positions)),
    )


def count_after(directory: Path, segment: Segment, position: Position) -> dict[CellKey, int]:
    """The records of a segment that a consumer at `position` has not read.

    Raises OSError, ConfigError (zstandard is not installed).
    """
    at = position.of(segment.slot)
    if at.sequence > segment.sequence:
        return {}
    if at.sequence < segment.sequence:
        at = SlotPosition(sequence=segment.sequence)
    counts: dict[CellKey, int] = {}
    reader = Reader(directory)
    try:
        while True:
            portion = reader.slot(segment.slot).read(at, 4096, 4 * 1024 * 1024)
            for run in portion.runs:
                if run.segment == segment.sequence:
                    for cell, count in run.counts().items():
                        counts[cell] = counts.get(cell, 0) + count
            if portion.next == at or portion.next.sequence > segment.sequence:
                return counts
            at = portion.next
    finally:
        reader.close()


def past(segment: Segment, position: Position) -> Position:
    """The position of a consumer that lets go of a segment."""
    if not needs(segment, position):
        return position
    return position.moved(segment.slot, SlotPosition(sequence=segment.sequence + 1))


def remove(directory: Path, segment: Segment, wall_ns: Callable[[], int]) -> None:
    """Delete a segment. Raises OSError, as when the last one of a slot is being written again.

    That it is gone already is no error.
    """
    if segment.last:
        limits = WriterLimits(fsync=Fsync.ALWAYS, most_bytes=sys.maxsize)  # it makes room
        heir = SlotWriter(
            directory, segment.slot, NO_BOOT, limits, wall_ns=wall_ns, monotonic_s=time.monotonic
        )
        heir.begin()
        heir.close()
    with contextlib.suppress(FileNotFoundError):
        segment.path.unlink()


def compress(segment: Segment) -> int:
    """Compress a segment that is closed; how many bytes that saved.

    Raises OSError (and it stays as it was), ConfigError (zstandard is not installed).
    """
    if segment.path.suffix != SUFFIX:
        return 0
    return compress_file(segment.path, segment.path.with_suffix(COMPRESSED))


def _without(segments: Sequence[Segment], gone: Sequence[Segment]) -> list[Segment]:
    """Those that stay: there are ten thousands of them after a quiet week."""
    names = {(one.slot, one.sequence) for one in gone}
    return [one for one in segments if (one.slot, one.sequence) not in names]


def _needed(segment: Segment, positions: Collection[Position]) -> bool:
    return any(needs(segment, position) for position in positions)


def _oldest(
    segments: Sequence[Segment], positions: Collection[Position], most_bytes: int
) -> list[Segment]:
    """Those that must go for the others to take `most_bytes` or less."""
    excess_bytes = sum(one.size_bytes for one in segments) - most_bytes
    gone = []
    for segment in sorted(segments, key=lambda one: _needed(one, positions)):
        if excess_bytes <= 0:
            break
        if not segment.last:
            excess_bytes -= segment.size_bytes
            gone.append(segment)
    return gone
