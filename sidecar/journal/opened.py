"""A segment that is being read: its head, its table, and the bytes around one place of it."""

from __future__ import annotations

from typing import Final

from sidecar.frames.layout import (
    FRAME_BYTES,
    FRAMES_AT,
    Found,
    Head,
    Kind,
    Subjects,
    claims,
    decode_head,
    decode_subjects,
    take,
)
from sidecar.journal.damage import next_intact
from sidecar.journal.segments import Source

WINDOW_BYTES: Final = 512 * 1024


class OpenedSegment:
    """Segment `sequence` of a slot. `final` is set by who knows that it does not grow any more.

    `head` is None when the file ends before it does, or both copies are damaged.
    """

    __slots__ = ("_data", "_data_at", "final", "head", "sequence", "source", "table")

    def __init__(self, source: Source, sequence: int) -> None:
        self.source = source
        self.sequence = sequence
        self.final = False
        self.head: Head | None = None
        self.table: Subjects = {}
        self._data = b""
        self._data_at = 0
        self.look_at_head()

    def look_at_head(self) -> Head | None:
        """What the segment says of itself, as far as it is written by now."""
        self.head = decode_head(self.source.pread(FRAMES_AT, 0))
        if self.head is not None:
            self.table = _table(self.source, self.head.mark)
        return self.head

    def window(self, offset: int) -> tuple[bytes, int]:
        """Bytes in which `offset` lies, and where; none of them are behind it at the end."""
        place = offset - self._data_at
        if not 0 <= place < len(self._data):
            self.look_again(offset)
            place = 0
        return self._data, place

    def look_again(self, offset: int, size: int = WINDOW_BYTES) -> bytes:
        """Bytes from `offset` on, as they are now."""
        self._data = self.source.pread(size, offset)
        self._data_at = offset
        return self._data

    def bytes_after(self, offset: int) -> int:
        """How many bytes there are from `offset` on."""
        at = offset
        while data := self.source.pread(WINDOW_BYTES, at):
            at += len(data)
        return at - offset


def _table(source: Source, mark: int) -> Subjects:
    """The table, from whichever copy is intact; empty when neither is, or is there yet."""
    at: int | None = FRAMES_AT
    while at is not None:
        said = claims(source.pread(FRAME_BYTES, at), 0, mark)
        found: list[Found] = []
        if said is not None:
            found, _ = take(source.pread(said[0], at), 0, mark, 1)
        if found:
            _, kind, _, _, _, payload = found[0]
            return decode_subjects(payload) if kind == Kind.SUBJECTS else {}
        at = next_intact(source, at + 1, mark)
    return {}
