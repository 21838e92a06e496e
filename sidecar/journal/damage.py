"""What to do where no intact frame starts: find the next one, and whose records were lost.

Pure but for reading the segment.
"""

from __future__ import annotations

from typing import Final

from sidecar.frames.layout import FRAME_BYTES, claims, mark_bytes, take
from sidecar.journal.segments import Source

_CHUNK_BYTES: Final = 1024 * 1024


def is_intact(source: Source, at: int, mark: int) -> bool:
    """Whether a whole frame starts at `at`, as the file is now."""
    said = claims(source.pread(FRAME_BYTES, at), 0, mark)
    return said is not None and bool(take(source.pread(said[0], at), 0, mark, most=1)[0])


def next_intact(source: Source, at: int, mark: int) -> int | None:
    """Where the first intact frame from `at` on starts; None: there is none up to the end.

    Only where the segment's mark stands is a checksum computed, and a mark has 32 random bits.
    """
    wanted = mark_bytes(mark)
    while True:
        data = source.pread(_CHUNK_BYTES, at)
        place = data.find(wanted)
        while place >= 0:
            if is_intact(source, at + place, mark):
                return at + place
            place = data.find(wanted, place + 1)
        if len(data) < len(wanted):
            return None
        at += len(data) - len(wanted) + 1  # a mark may lie across two chunks


def blamed(data: bytes, mark: int, numbers: range) -> dict[int, int]:
    """Subjects of damaged frames, by number, as far as heads in `data` can be believed.

    A head is believed when it stands behind the mark and its number is one of those missing.
    """
    wanted = mark_bytes(mark)
    subjects: dict[int, int] = {}
    place = data.find(wanted)
    while place >= 0:
        said = claims(data, place, mark)
        if said is not None and said[2] in numbers:
            subjects.setdefault(said[2], said[1])
        place = data.find(wanted, place + 1)
    return subjects
