"""Reads a journal from a position on, across slots, segments and damage, while it grows.

- What a position says was read is never read again; what is returned is intact, every byte of it.
- Of a segment that may still grow, half a frame at the end is left alone until there is more. It is
  final when a newer one exists, or when no writer holds the slot.
- Damage is passed over up to the next intact frame. How many records were lost is known exactly,
  from the numbers around it; whose they were is known where the heads of their frames survived.
- A slot that began anew (its directory was deleted) is read from its new beginning.

The position is the caller's: a reader only keeps files open between two calls. Blocking, and not
thread-safe: one reader per consumer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from sidecar.journal.damage import blamed, next_intact
from sidecar.journal.layout import (
    FRAME_BYTES,
    FRAMES_AT,
    UNKNOWN_CELL,
    Found,
    Head,
    Kind,
    Subjects,
    claims,
    decode_head,
    decode_subjects,
    decode_tally,
    take,
)
from sidecar.journal.position import Position, SlotPosition
from sidecar.journal.quarantine import Quarantine
from sidecar.journal.segments import (
    Source,
    open_segment,
    sequences_of,
    slots_of,
    writer_lives,
)
from sidecar.model.cells import CellKey

_WINDOW_BYTES: Final = 512 * 1024
_RECORD: Final = int(Kind.RECORD)


class Entry(Struct, frozen=True, gc=False):
    """A record and where it stood."""

    slot: int
    segment: int
    offset: int
    number: int
    subject: int
    cell: CellKey
    payload: bytes


class Batch(Struct, frozen=True, kw_only=True):
    """What one call of `read` found; `entries` of one slot are in the order they were written.

    `corrupt` counts records that were passed over, `skipped` their bytes.
    """

    entries: list[Entry]
    next: Position
    corrupt: dict[CellKey, int]
    skipped: int


class Reader:
    """Reads the journal in `directory`; bytes that are passed over go into `quarantine`."""

    def __init__(self, directory: Path, *, quarantine: Quarantine | None = None) -> None:
        self._directory = directory
        self._quarantine = quarantine
        self._slots: dict[int, SlotReader] = {}
        self._turn = 0

    def read(
        self, position: Position, *, max_records: int = 500, max_bytes: int = 1024 * 1024
    ) -> Batch:
        """Records after `position`: at most `max_records`, and about `max_bytes` of them.

        Slots take turns at being first. Returns what there is, perhaps nothing; never waits.
        Raises OSError (the journal cannot be read), ConfigError (zstandard is not installed).
        """
        entries: list[Entry] = []
        corrupt: dict[CellKey, int] = {}
        skipped = 0
        slots = slots_of(self._directory)
        self._turn += 1
        first = self._turn % len(slots) if slots else 0
        for slot in slots[first:] + slots[:first]:
            reader = self.slot(slot)
            portion = reader.read(position.of(slot), max_records - len(entries), max_bytes)
            entries += portion.entries
            max_bytes -= portion.size_bytes
            skipped += portion.skipped
            for _, cell, count in portion.lost:
                corrupt[cell] = corrupt.get(cell, 0) + count
            if portion.next != position.of(slot):
                position = position.moved(slot, portion.next)
            if len(entries) >= max_records or max_bytes <= 0:
                break
        return Batch(entries=entries, next=position, corrupt=corrupt, skipped=skipped)

    def slot(self, slot: int) -> SlotReader:
        """What reads one slot."""
        reader = self._slots.get(slot)
        if reader is None:
            reader = self._slots[slot] = SlotReader(self._directory, slot, self._quarantine)
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


class Portion:
    """What was read of one slot.

    `heads`, `closings` and `lost` tell by sequence of the segment: its head, what its last frame
    says it was given, and (sequence, cell, records) that were missing in it or after it.
    """

    __slots__ = ("closings", "entries", "heads", "lost", "next", "size_bytes", "skipped")

    def __init__(self, at: SlotPosition) -> None:
        self.next = at
        self.entries: list[Entry] = []
        self.heads: dict[int, Head] = {}
        self.closings: dict[int, dict[CellKey, int]] = {}
        self.lost: list[tuple[int, CellKey, int]] = []
        self.skipped = 0
        self.size_bytes = 0


class _Opened:
    """A segment that is being read."""

    __slots__ = ("_data", "_data_at", "final", "head", "sequence", "source", "table")

    def __init__(self, source: Source, sequence: int) -> None:
        self.source = source
        self.sequence = sequence
        self.head = decode_head(source.pread(FRAMES_AT, 0))
        self.table: Subjects = {}
        self.final = False
        self._data = b""
        self._data_at = 0

    def window(self, offset: int) -> tuple[bytes, int]:
        """Bytes in which `offset` lies, and where; none of them are behind it at the end."""
        place = offset - self._data_at
        if not 0 <= place < len(self._data):
            self.look_again(offset)
            place = 0
        return self._data, place

    def look_again(self, offset: int, size: int = _WINDOW_BYTES) -> bytes:
        """Bytes from `offset` on, as they are now."""
        self._data = self.source.pread(size, offset)
        self._data_at = offset
        return self._data


class SlotReader:
    """Reads one slot; see `Reader`."""

    def __init__(self, directory: Path, slot: int, quarantine: Quarantine | None) -> None:
        self._directory = directory
        self._slot = slot
        self._quarantine = quarantine
        self._opened: _Opened | None = None
        self._suspects: dict[int, CellKey] = {}

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.source.close()
            self._opened = None

    def read(self, at: SlotPosition, max_records: int, max_bytes: int) -> Portion:
        """As `Reader.read`, of this slot."""
        portion = Portion(at)
        while len(portion.entries) < max_records and portion.size_bytes < max_bytes:
            opened = self._enter(portion)
            if opened is None:
                break
            room = max_bytes - portion.size_bytes
            if self._take(opened, portion, max_records - len(portion.entries), room):
                continue
            if not self._pass(opened, portion):
                break
        return portion

    # Segments.

    def _enter(self, portion: Portion) -> _Opened | None:
        """The segment the position is in, or the one after it; None: there is none yet."""
        at = portion.next
        opened = self._opened
        if opened is None or opened.sequence != at.sequence:
            opened = self._open(portion)
            if opened is None:
                return None
        head = opened.head
        if head is None:
            return opened
        at = portion.next
        if at.mark not in (0, head.mark):
            at = SlotPosition(sequence=at.sequence)  # another file has taken the name
        if at.offset == 0:
            self._miss(portion, at.number, head.first_number)
            at = SlotPosition(at.sequence, FRAMES_AT, head.first_number, head.mark)
        portion.next = at
        portion.heads[at.sequence] = head
        return opened

    def _open(self, portion: Portion) -> _Opened | None:
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
        opened = self._opened = _Opened(source, at.sequence)
        if opened.head is not None:
            opened.table = _table_of(opened)
        return opened

    # Frames.

    def _take(self, opened: _Opened, portion: Portion, most: int, most_bytes: int) -> bool:
        """Take intact frames at the position; False: there is none."""
        head, at = opened.head, portion.next
        if head is None:
            return False
        data, place = opened.window(at.offset)
        found, end = take(data, place, head.mark, most, most_bytes)
        if not found:
            data = opened.look_again(at.offset)
            found, end = take(data, 0, head.mark, most, most_bytes)
            said = claims(data, 0, head.mark)
            if not found and said is not None and said[0] > len(data):
                data = opened.look_again(at.offset, said[0])  # one frame larger than a window
                found, end = take(data, 0, head.mark, 1)
            place = 0
            if not found:
                return False
        self._keep(opened, portion, found, at.offset - place)
        number = portion.next.number
        portion.next = SlotPosition(at.sequence, at.offset - place + end, number, at.mark)
        portion.size_bytes += end - place
        return True

    def _keep(self, opened: _Opened, portion: Portion, found: list[Found], base: int) -> None:
        slot, sequence, table = self._slot, opened.sequence, opened.table
        expected = portion.next.number
        add = portion.entries.append
        cell_of = table.get
        for at, kind, subject, number, payload in found:
            if number != expected:
                self._miss(portion, expected, number)
            if kind == _RECORD:
                cell = cell_of(subject, UNKNOWN_CELL)
                add(Entry(slot, sequence, base + at, number, subject, cell, payload))
                expected = number + 1
            else:
                expected = number
                if kind == Kind.SUBJECTS:
                    table = opened.table = decode_subjects(payload)
                    cell_of = table.get
                else:
                    portion.closings[sequence] = decode_tally(payload)
        portion.next = SlotPosition(
            portion.next.sequence, portion.next.offset, expected, portion.next.mark
        )

    # Ends, and damage.

    def _pass(self, opened: _Opened, portion: Portion) -> bool:
        """Get past a place where no intact frame starts; False: nothing can be done yet."""
        if not opened.final:
            if opened.source.vanished():
                self.close()  # deleted, or compressed: the next look finds what is there now
            sequences = sequences_of(self._directory, self._slot)
            later = any(sequence > portion.next.sequence for sequence in sequences)
            if later and self._opened is not None:
                opened.final = True
                opened.look_again(portion.next.offset)
                return True  # there may be more than when the end was met
            if self._opened is None:
                anew = bool(sequences) and portion.next.sequence not in sequences
                return anew or later
        offset = portion.next.offset
        rest = opened.look_again(offset)
        if not rest or opened.head is None:
            return opened.final and self._leave(opened, portion)
        return self._resynchronise(opened, opened.head, portion, rest)

    def _resynchronise(self, opened: _Opened, head: Head, portion: Portion, rest: bytes) -> bool:
        offset = portion.next.offset
        final = opened.final
        said = claims(rest, 0, head.mark)
        half = (
            len(rest) < FRAME_BYTES
            if said is None
            else not opened.source.pread(1, offset + said[0] - 1)
        )
        if half and not final and writer_lives(self._directory, self._slot):
            return False
        after = next_intact(opened.source, offset + 1, head.mark)
        if after is None and not final and writer_lives(self._directory, self._slot):
            return False
        size = after - offset if after is not None else _rest_bytes(opened.source, offset)
        region = opened.source.pread(min(size, _WINDOW_BYTES * 2), offset)
        number = portion.next.number
        for lost, subject in blamed(
            region, head.mark, range(number, number + size // 24 + 1)
        ).items():
            self._suspects[lost] = opened.table.get(subject, UNKNOWN_CELL)
        if self._quarantine is not None and not (half and after is None):
            self._quarantine.keep(self._slot, opened.sequence, offset, region)
        portion.skipped += size
        portion.next = SlotPosition(portion.next.sequence, offset + size, number, head.mark)
        return True

    def _leave(self, opened: _Opened, portion: Portion) -> bool:
        """Go on to the next segment."""
        if opened.head is None:
            size = _rest_bytes(opened.source, 0)
            portion.skipped += size
            if self._quarantine is not None and size:
                data = opened.source.pread(_WINDOW_BYTES, 0)
                self._quarantine.keep(self._slot, opened.sequence, 0, data)
        at = portion.next
        later = [s for s in sequences_of(self._directory, self._slot) if s > at.sequence]
        self.close()
        if not later:
            return False
        portion.next = SlotPosition(sequence=min(later), number=at.number)
        return True

    def _miss(self, portion: Portion, expected: int, number: int) -> None:
        """Count the records between two numbers, and whose they were as far as is known."""
        suspects, self._suspects = self._suspects, {}
        if not expected or number <= expected:
            return  # nothing was read here before, or the slot began anew
        unknown = number - expected
        sequence = portion.next.sequence
        for lost, cell in suspects.items():
            if expected <= lost < number:
                portion.lost.append((sequence, cell, 1))
                unknown -= 1
        if unknown:
            portion.lost.append((sequence, UNKNOWN_CELL, unknown))


def _table_of(opened: _Opened) -> Subjects:
    """The table of a segment, from whichever copy is intact."""
    head = opened.head
    if head is None:
        return {}
    at: int | None = FRAMES_AT
    while at is not None:
        said = claims(opened.source.pread(FRAME_BYTES, at), 0, head.mark)
        found: list[Found] = []
        if said is not None:
            found, _ = take(opened.source.pread(said[0], at), 0, head.mark, 1)
        if found:
            return decode_subjects(found[0][4]) if found[0][1] == Kind.SUBJECTS else {}
        at = next_intact(opened.source, at + 1, head.mark)
    return {}


def _rest_bytes(source: Source, at: int) -> int:
    begin = at
    while data := source.pread(_WINDOW_BYTES, at):
        at += len(data)
    return at - begin
