"""Reads one slot from a position on, across segments and damage, while it grows.

- What is returned is intact, every byte of it, and in the order in which it was written.
- Of a segment that may still grow, half a frame at the end is left alone until there is more. It is
  final when a newer one exists, or when no writer holds the slot.
- Damage is passed over up to the next intact frame. How many records were lost is known exactly,
  from the numbers around it; whose they were is known where the heads of their frames survived.
- A slot that began anew (its directory was deleted) is read from its new beginning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from sidecar.frames.layout import (
    FLAGS_SHIFT,
    FRAME_BYTES,
    FRAMES_AT,
    UNKNOWN_CELL,
    Head,
    Kind,
    claims,
    decode_subjects,
    decode_tally,
    take,
)
from sidecar.frames.walk import Walk, Walked, walk_plainly
from sidecar.journal.damage import blamed, is_intact, next_intact
from sidecar.journal.opened import WINDOW_BYTES, OpenedSegment
from sidecar.journal.position import SlotPosition
from sidecar.journal.quarantine import Quarantine
from sidecar.journal.runs import Entry, Run
from sidecar.journal.segments import SlotListing, open_segment, sequences_of, writer_lives
from sidecar.model.cells import CellKey

_MOST_WALKED: Final = 2**63 - 2**32
"""Numbers beyond it, which only a forged file has, are none for a `Walk`."""


class Lost(NamedTuple):
    """Records that are missing in a segment, or, `between`, from it back to the one before."""

    sequence: int
    cell: CellKey
    records: int
    between: bool


class Portion:
    """What was read of one slot.

    `runs` are the records, `records` how many, `size_bytes` what they take there. `heads` and
    `closings` tell by sequence of the segment: its head, and how many records of which cell its
    last frame says it was given.
    """

    __slots__ = (
        "closings",
        "heads",
        "lost",
        "next",
        "records",
        "runs",
        "size_bytes",
        "skipped",
    )

    def __init__(self, at: SlotPosition) -> None:
        self.next = at
        self.runs: list[Run] = []
        self.records = 0
        self.heads: dict[int, Head] = {}
        self.closings: dict[int, dict[CellKey, int]] = {}
        self.lost: list[Lost] = []
        self.skipped = 0
        self.size_bytes = 0

    @property
    def entries(self) -> list[Entry]:
        """The records, in their order."""
        return [entry for run in self.runs for entry in run.entries()]


class SlotReader:
    """Reads one slot; see `Reader`."""

    def __init__(
        self,
        directory: Path,
        slot: int,
        quarantine: Quarantine | None,
        walk: Walk = walk_plainly,
    ) -> None:
        self._directory = directory
        self._slot = slot
        self._quarantine = quarantine
        self._walk = walk
        self._listing = SlotListing(directory, slot)
        self._opened: OpenedSegment | None = None
        self._suspects: dict[int, CellKey] = {}

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.source.close()
            self._opened = None

    def read(self, at: SlotPosition, max_records: int, max_bytes: int) -> Portion:
        """As `Reader.read`, of this slot."""
        portion = Portion(at)
        while portion.records < max_records and portion.size_bytes < max_bytes:
            opened = self._enter(portion)
            if opened is None:
                break
            room = max_bytes - portion.size_bytes
            if self._take(opened, portion, max_records - portion.records, room):
                continue
            if not self._pass(opened, portion):
                break
        return portion

    # Segments.

    def _enter(self, portion: Portion) -> OpenedSegment | None:
        """The segment the position is in, or the one after it; None: there is none yet."""
        at = portion.next
        opened = self._opened
        if opened is None or opened.sequence != at.sequence:
            opened = self._open(portion)
            if opened is None:
                return None
        head = opened.head or opened.look_at_head()  # it may have been written only now
        if head is None:
            return opened
        at = portion.next
        if at.mark not in (0, head.mark):
            # Another file has the name: the slot began anew, maybe some segments ago.
            self.close()
            first = min(sequences_of(self._directory, self._slot), default=at.sequence)
            portion.next = SlotPosition(sequence=first)
            return self._enter(portion)
        if at.offset == 0:
            self._miss(portion, at.number, head.first_number, between=True)
            at = SlotPosition(at.sequence, FRAMES_AT, head.first_number)
        portion.next = SlotPosition(at.sequence, at.offset, at.number, head.mark)
        portion.heads[at.sequence] = head
        return opened

    def _open(self, portion: Portion) -> OpenedSegment | None:
        self.close()
        at = portion.next
        source = open_segment(self._directory, self._slot, at.sequence)
        if source is None:
            sequences = sequences_of(self._directory, self._slot)
            if not sequences:
                return None
            later = [sequence for sequence in sequences if sequence > at.sequence]
            # None is later: the directory was deleted, and the slot began anew.
            number = at.number if later else 0
            at = portion.next = SlotPosition(sequence=min(later or sequences), number=number)
            source = open_segment(self._directory, self._slot, at.sequence)
            if source is None:
                return None
        self._opened = OpenedSegment(source, at.sequence)
        return self._opened

    # Frames.

    def _take(self, opened: OpenedSegment, portion: Portion, most: int, most_bytes: int) -> bool:
        """Take intact frames at the position; False: there is none."""
        head, at = opened.head, portion.next
        if head is None:
            return False
        data, place = opened.window(at.offset)
        if self._take_run(opened, portion, data, place, most, most_bytes):
            return True
        if self._take_one(opened, portion, data, place):
            return True
        data = opened.look_again(at.offset)
        if self._take_run(opened, portion, data, 0, most, most_bytes):
            return True
        said = claims(data, 0, head.mark)
        if said is not None and said[0] > len(data):
            data = opened.look_again(at.offset, said[0])  # one frame larger than a window
        return self._take_one(opened, portion, data, 0)

    def _take_run(
        self,
        opened: OpenedSegment,
        portion: Portion,
        data: bytes,
        place: int,
        most: int,
        most_bytes: int,
    ) -> bool:
        """Take what is expected: records whose numbers follow those before them."""
        at = portion.next
        if at.number > _MOST_WALKED:
            return False
        walked = self._walk(data, place, at.mark, at.number, most=most, most_bytes=most_bytes)
        return self._keep(opened, portion, data, place, walked)

    def _take_one(self, opened: OpenedSegment, portion: Portion, data: bytes, place: int) -> bool:
        """Take a frame of any kind and number."""
        at = portion.next
        found, end = take(data, place, at.mark, 1)
        if not found:
            return False
        ((_, kind, subject, flags, number, payload),) = found
        if number != at.number:
            self._miss(portion, at.number, number)
        portion.next = SlotPosition(at.sequence, at.offset, number, at.mark)
        if kind == Kind.RECORD:
            said = subject | flags << FLAGS_SHIFT
            return self._keep(
                opened, portion, data, place, Walked(np.array([place, end]), np.array([said]))
            )
        if kind == Kind.SUBJECTS:
            opened.table = decode_subjects(payload)
        else:
            portion.closings[at.sequence] = decode_tally(payload)
        portion.next = SlotPosition(at.sequence, at.offset + end - place, number, at.mark)
        return True

    def _keep(
        self, opened: OpenedSegment, portion: Portion, data: bytes, place: int, walked: Walked
    ) -> bool:
        """Add records to the portion, and go on behind them; False: there are none."""
        at = portion.next
        run = Run(
            slot=self._slot,
            segment=at.sequence,
            offset=at.offset - place,
            number=at.number,
            table=opened.table,
            data=data,
            walked=walked,
        )
        if not len(run):
            return False
        portion.runs.append(run)
        portion.records += len(run)
        portion.size_bytes += run.size_bytes
        portion.next = SlotPosition(
            at.sequence, at.offset + run.size_bytes, at.number + len(run), at.mark
        )
        return True

    # Ends, and damage.

    def _pass(self, opened: OpenedSegment, portion: Portion) -> bool:
        """Get past a place where no intact frame starts; False: nothing can be done yet."""
        at = portion.next
        if not opened.final:
            if self._listing.after(at.sequence) is not None:
                opened.final = True
                return True  # there may be more than when the end was met
            if opened.source.vanished() and sequences_of(self._directory, self._slot):
                self.close()  # deleted: another file has the name, or the slot began anew
                return True
        rest = opened.look_again(at.offset)
        if not rest or opened.head is None:
            return opened.final and self._leave(opened, portion)
        return self._resynchronise(opened, opened.head, portion, rest)

    def _resynchronise(
        self, opened: OpenedSegment, head: Head, portion: Portion, rest: bytes
    ) -> bool:
        offset = portion.next.offset
        said = claims(rest, 0, head.mark)
        half = (
            len(rest) < FRAME_BYTES
            if said is None
            else not opened.source.pread(1, offset + said[0] - 1)
        )
        final = self._is_final(opened)
        if half and not final:
            return False
        if is_intact(opened.source, offset, head.mark):
            return True  # the writer has ended it since it was looked at
        after = next_intact(opened.source, offset + 1, head.mark)
        if after is None and not final:
            return False
        size = after - offset if after is not None else opened.bytes_after(offset)
        region = opened.source.pread(min(size, WINDOW_BYTES * 2), offset)
        number = portion.next.number
        numbers = range(number, number + size // FRAME_BYTES + 1)
        for lost, subject in blamed(region, head.mark, numbers).items():
            self._suspects[lost] = opened.table.get(subject, UNKNOWN_CELL)
        if self._quarantine is not None and not (half and after is None):
            self._quarantine.keep(self._slot, opened.sequence, offset, region)
        portion.skipped += size
        portion.next = SlotPosition(portion.next.sequence, offset + size, number, head.mark)
        return True

    def _is_final(self, opened: OpenedSegment) -> bool:
        return opened.final or not writer_lives(self._directory, self._slot)

    def _leave(self, opened: OpenedSegment, portion: Portion) -> bool:
        """Go on to the next segment."""
        if opened.head is None:
            size = opened.bytes_after(0)
            portion.skipped += size
            if self._quarantine is not None and size:
                data = opened.source.pread(WINDOW_BYTES, 0)
                self._quarantine.keep(self._slot, opened.sequence, 0, data)
        at = portion.next
        later = self._listing.after(at.sequence)
        self.close()
        if later is None:
            return False
        portion.next = SlotPosition(sequence=later, number=at.number)
        return True

    def _miss(self, portion: Portion, expected: int, number: int, *, between: bool = False) -> None:
        """Count the records between two numbers, and whose they were as far as is known."""
        suspects, self._suspects = self._suspects, {}
        if not expected or number <= expected:
            return  # nothing was read here before, or the slot began anew
        unknown = number - expected
        sequence = portion.next.sequence
        for lost, cell in suspects.items():
            if expected <= lost < number:
                portion.lost.append(Lost(sequence, cell, 1, between))
                unknown -= 1
        if unknown:
            portion.lost.append(Lost(sequence, UNKNOWN_CELL, unknown, between))
