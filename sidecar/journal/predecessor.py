"""What an earlier boot left in a slot: where numbers go on, and half a record at the end.

The last segment of a worker that was killed may end within a frame. The new worker cuts that off;
it never appends to the file, but begins a segment of its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.frames.layout import (
    FRAME_BYTES,
    FRAMES_AT,
    Kind,
    claims,
    decode_head,
    mark_bytes,
    take,
)
from sidecar.journal.segments import open_segment, segment_path, sequences_of

_WINDOW_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """Where a new writer goes on."""

    sequence: int  # of the last segment; 0: there is none
    next_number: int
    cut_bytes: int  # of half a record that were cut off


NOBODY: Final = Predecessor(sequence=0, next_number=1, cut_bytes=0)


def inspect(directory: Path, slot: int) -> Predecessor:
    """Look at what is there, and cut off half a record. Raises OSError.

    Reads the last segment from its end, so the time does not depend on its size; segments without
    any intact frame are passed over.
    """
    sequences = sequences_of(directory, slot)
    for sequence in reversed(sequences):
        number, cut = _last_number(directory, slot, sequence)
        if number:
            return Predecessor(sequence=sequences[-1], next_number=number, cut_bytes=cut)
    return Predecessor(sequence=sequences[-1] if sequences else 0, next_number=1, cut_bytes=0)


def _last_number(directory: Path, slot: int, sequence: int) -> tuple[int, int]:
    """The number after the last intact frame of a segment (0: none), and what was cut off."""
    path = segment_path(directory, slot, sequence)
    try:
        with path.open("r+b") as file:
            head = decode_head(file.read(FRAMES_AT))
            if head is None:
                return 0, 0
            size = file.seek(0, os.SEEK_END)
            end, number = _last_frame(file.fileno(), size, head.mark)
            if not end:
                return head.first_number, 0
            file.seek(end)
            torn = _is_torn(file.read(_WINDOW_BYTES), size - end, head.mark)
            if torn:
                file.truncate(end)
            return number, size - end if torn else 0
    except FileNotFoundError:
        return _next_of_compressed(directory, slot, sequence), 0


def _last_frame(descriptor: int, size: int, mark: int) -> tuple[int, int]:
    """Where the last intact frame ends, and the number after it; (0, 0): there is none."""
    wanted = mark_bytes(mark)
    window = _WINDOW_BYTES
    while size > FRAMES_AT:
        begin = max(size - window, FRAMES_AT)
        data = os.pread(descriptor, size - begin, begin)
        at = data.rfind(wanted)
        while at >= 0:
            found, end = take(data, at, mark, most=1)
            if found:
                _, kind, _, _, number, _ = found[0]
                return begin + end, number + (kind == Kind.RECORD)
            at = data.rfind(wanted, 0, at + len(wanted) - 1)
        if begin == FRAMES_AT:
            break
        window *= 4
    return 0, 0


def _is_torn(rest: bytes, size: int, mark: int) -> bool:
    """Whether the rest of a file is the start of one frame, and not something that was damaged."""
    if size < FRAME_BYTES:
        return size > 0 and mark_bytes(mark).startswith(rest[:4])
    said = claims(rest, 0, mark)
    return said is not None and said[0] > size


def _next_of_compressed(directory: Path, slot: int, sequence: int) -> int:
    source = open_segment(directory, slot, sequence)
    if source is None:
        return 0
    try:
        head = decode_head(source.pread(FRAMES_AT, 0))
        if head is None:
            return 0
        at, number, window = FRAMES_AT, head.first_number, _WINDOW_BYTES
        while data := source.pread(window, at):
            found, used = take(data, 0, head.mark)
            if found:
                _, kind, _, _, last, _ = found[-1]
                number = last + (kind == Kind.RECORD)
                at += used
                window = _WINDOW_BYTES
                continue
            said = claims(data, 0, head.mark)
            if said is None or said[0] <= len(data) or window > _WINDOW_BYTES:
                break  # damaged: numbers go on from here, and may be given twice
            window = said[0]
        return number
    finally:
        source.close()
