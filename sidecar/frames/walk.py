"""Walks through the records of a segment: which of its frames are a run, and where each begins.

A run is what a segment consists of, but for its first and last frames and where it was damaged:
intact records, one after the other, with consecutive numbers. Whatever is none (another kind of
frame, a gap, damage, half a frame, nothing) ends it, and is for `sidecar.frames.layout` to tell.

Two ways to the same answer. `walk_plainly` needs nothing that is compiled first. `walk_records` is
plain Python in the subset that Numba compiles, as the kernels of `sketch` are, and takes a quarter
of the time for outcome records: for those who read all that workers write. `CompiledWalk` calls it.

Must not know files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple, Protocol
from zlib import crc32

import numpy as np
import numpy.typing as npt

from sidecar.frames.layout import FLAGS_SHIFT, FRAME_BYTES, Kind, unpack_frame
from sidecar.sketch.kernels import IntArray

ByteArray = npt.NDArray[np.uint8]

_RECORD: Final = int(Kind.RECORD)
_POLYNOMIAL: Final = 0xEDB88320  # of CRC-32 as IEEE 802.3 and zlib have it, the lowest bit first
_ALL_BITS: Final = 0xFFFFFFFF


class Walked(NamedTuple):
    """A run as it stands in a window of a segment.

    `starts` tells where each frame begins, and where the last one ends: int64[records + 1];
    `subjects` whose record it is, with FAILURE or without: int64[records].
    """

    starts: IntArray
    subjects: IntArray


class Walk(Protocol):
    """A way to walk. Numbers are below 2**63."""

    def __call__(
        self, data: bytes, at: int, mark: int, number: int, *, most: int, most_bytes: int
    ) -> Walked:
        """The run at `at` whose first record has this number; of no record when there is none.

        It ends after `most` of them, or with the one that makes it `most_bytes`.
        """
        ...


WalkRecords = Callable[[ByteArray, int, int, int, int, IntArray, IntArray, IntArray], int]
"""The kernel, compiled or not; `CompiledWalk` calls it."""


def walk_plainly(
    data: bytes, at: int, mark: int, number: int, *, most: int, most_bytes: int
) -> Walked:
    """See `Walk`."""
    starts: list[int] = [at]
    subjects: list[int] = []
    view = memoryview(data)
    size, enough = len(data), at + most_bytes
    while len(subjects) < most and at < enough and size - at >= FRAME_BYTES:
        seen, check, length, subject, kind, flags, found = unpack_frame(data, at)
        end = at + FRAME_BYTES + length
        if seen != mark or kind != _RECORD or found != number or end > size:
            break
        if crc32(view[at + 8 : end], mark) != check:
            break
        subjects.append(subject | flags << FLAGS_SHIFT)
        starts.append(end)
        at = end
        number += 1
    return Walked(np.array(starts, dtype=np.int64), np.array(subjects, dtype=np.int64))


class CompiledWalk:
    """Walks by the kernel; see `Walk`."""

    def __init__(self, walk_records: WalkRecords) -> None:
        self._walk_records = walk_records
        self._tables = checksum_tables()

    def __call__(
        self, data: bytes, at: int, mark: int, number: int, *, most: int, most_bytes: int
    ) -> Walked:
        """See `Walk`."""
        at, enough = min(max(at, 0), len(data)), min(at + most_bytes, len(data))
        most = min(most, (enough - at + FRAME_BYTES - 1) // FRAME_BYTES)
        starts, subjects = np.empty(most + 1, dtype=np.int64), np.empty(most, dtype=np.int64)
        window = np.frombuffer(data, dtype=np.uint8)
        count = self._walk_records(window, at, mark, number, enough, self._tables, starts, subjects)
        return Walked(starts[: count + 1], subjects[:count])


def walk_records(
    data: ByteArray,
    at: int,
    mark: int,
    number: int,
    enough: int,
    tables: IntArray,
    starts: IntArray,
    subjects: IntArray,
) -> int:
    """Walk along a run; the return value is of how many records it is.

    data:      uint8[...]      a window of a segment
    at:        0 to the length of `data`: where the first record begins
    enough:    a frame that begins here or later is not looked at
    tables:    int64[8, 256]   see `checksum_tables`
    starts:    int64[most + 1] written: where each frame begins, and where the last one ends
    subjects:  int64[most]     written: of each frame the subject, with FAILURE or without

    Eight bytes of a checksum at a time (M. Kounavis, F. Berry, "A Systematic Approach to Building
    High Performance, Software-Based, CRC Generators", 2005). Compiled code checks no bounds, so
    this does: no byte is read before it is known that its frame is within the window.
    """

    def u32(place: int) -> np.int64:
        first = np.uintp(place)  # an unsigned place needs no look at negative ones
        return (
            np.int64(data[first])
            | np.int64(data[first + np.uintp(1)]) << 8
            | np.int64(data[first + np.uintp(2)]) << 16
            | np.int64(data[first + np.uintp(3)]) << 24
        )

    size, most = data.shape[0], subjects.shape[0]
    count = 0
    starts[0] = at
    while count < most and at < enough and size - at >= 24:
        end = at + 24 + int(u32(at + 8))
        label = u32(at + 12)
        if u32(at) != mark or (label >> 16) & 255 != 1 or end > size:
            break
        if (u32(at + 16) | u32(at + 20) << 32) != number:
            break

        check = np.int64(mark ^ 0xFFFFFFFF)
        place = at + 8
        while end - place >= 8:
            low = check ^ u32(place)
            high = u32(place + 4)
            check = (
                tables[7, low & 255]
                ^ tables[6, (low >> 8) & 255]
                ^ tables[5, (low >> 16) & 255]
                ^ tables[4, (low >> 24) & 255]
                ^ tables[3, high & 255]
                ^ tables[2, (high >> 8) & 255]
                ^ tables[1, (high >> 16) & 255]
                ^ tables[0, (high >> 24) & 255]
            )
            place += 8
        while place < end:
            check = tables[0, (check ^ np.int64(data[place])) & 255] ^ (check >> 8)
            place += 1
        if check ^ 0xFFFFFFFF != u32(at + 4):
            break

        subjects[count] = label ^ 0x10000  # without the kind
        count += 1
        number += 1
        at = end
        starts[count] = at
    return count


@cache
def checksum_tables() -> IntArray:
    """`int64[8, 256]`: what a byte does to a CRC-32 that is followed by 0 to 7 zero bytes."""
    tables = np.zeros((8, 256), dtype=np.int64)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = (tables[0] >> 1) ^ np.where(tables[0] & 1, _POLYNOMIAL, 0)
    for further in range(1, 8):
        before = tables[further - 1]
        tables[further] = (before >> 8) ^ tables[0][before & 255]
    tables.flags.writeable = False
    return tables
