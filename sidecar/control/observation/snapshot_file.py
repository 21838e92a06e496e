"""A snapshot as bytes: the totals of every series, each of them readable on its own.

    magic       8 bytes, the last of them the version of this form
    lengths     two uint32 (little-endian): bytes of the head, its CRC-32
    head        MessagePack: stamp, and of each series its owner, words, place, bytes, CRC-32
    bodies      side by side, from the end of the head on

A body holds int64 words as eight planes, the lowest bytes of all words first, then the next ones,
compressed by zlib at its fastest. Counts are small numbers, so most planes are zeros: a watch of 30
features (13,600 words, 107 KB) takes about 15 KB after a million rows, 40 % less than the plain
words would, and a difference to the snapshot before would save less than half of that again. So
every file stands for itself: any of them may be dropped, damaged or lost without the others.

Pure: reading and writing files is `sidecar.control.observation.history`'s.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from sidecar.sketch import IntArray

MAGIC: Final = b"SIDESNP\x01"
_LENGTHS: Final = struct.Struct("<II")
HEAD_AT: Final = len(MAGIC) + _LENGTHS.size
_FASTEST: Final = 1  # level 6 takes four times as long and saves 8 %
_WORD_BYTES: Final = 8
# A watch has at most monitor.memory; what claims more is damaged.
_MOST_WORDS: Final = 2**28


class Damaged(ValueError):  # noqa: N818 - it states a fact about bytes
    """Bytes that are no snapshot, or no longer one."""


class SeriesHead(Struct, frozen=True, array_like=True):
    """Where the body of a series stands after the head."""

    owner: str
    words: int
    at: int
    size_bytes: int
    crc32: int


class Head(Struct, frozen=True):
    """What a snapshot says of itself. `body_at` is not written: it follows from the lengths."""

    taken_ns: int
    series: tuple[SeriesHead, ...]


def encode(taken_ns: int, totals: Mapping[str, IntArray]) -> bytes:
    """The bytes of a snapshot; `totals` are int64 words by owner."""
    bodies, series, at = [], [], 0
    for owner, words in totals.items():
        body = pack(words)
        series.append(SeriesHead(owner, len(words), at, len(body), zlib.crc32(body)))
        bodies.append(body)
        at += len(body)
    head = msgspec.msgpack.encode(Head(taken_ns=taken_ns, series=tuple(series)))
    return b"".join([MAGIC, _LENGTHS.pack(len(head), zlib.crc32(head)), head, *bodies])


def head_bytes(start: bytes) -> int:
    """How many bytes the head takes after HEAD_AT, by the first HEAD_AT bytes. Raises Damaged."""
    if len(start) < HEAD_AT or start[: len(MAGIC)] != MAGIC:
        raise Damaged("it does not begin as a snapshot of this version does")
    length: int = _LENGTHS.unpack_from(start, len(MAGIC))[0]
    return length


def decode_head(start: bytes) -> Head:
    """The head, from at least HEAD_AT + `head_bytes` bytes. Raises Damaged."""
    length, crc32 = head_bytes(start), _LENGTHS.unpack_from(start, len(MAGIC))[1]
    written = start[HEAD_AT : HEAD_AT + length]
    if len(written) < length or zlib.crc32(written) != crc32:
        raise Damaged("its head is cut off or altered")
    try:
        return msgspec.msgpack.decode(written, type=Head)
    except msgspec.DecodeError as error:
        raise Damaged(f"its head cannot be read: {error}") from error


def decode_body(body: bytes, series: SeriesHead) -> IntArray:
    """The words of a series, read-only. Raises Damaged."""
    if len(body) != series.size_bytes or zlib.crc32(body) != series.crc32:
        raise Damaged(f"the numbers of {series.owner} are cut off or altered")
    return unpack(body, series.words)


def pack(words: IntArray) -> bytes:
    """Words as compressed planes of bytes."""
    planes = words.astype("<i8").view(np.uint8).reshape(-1, _WORD_BYTES).T
    return zlib.compress(planes.tobytes(), _FASTEST)


def unpack(body: bytes, word_count: int) -> IntArray:
    """`int64[word_count]`, read-only: the inverse of `pack`. Raises Damaged."""
    if not 0 <= word_count <= _MOST_WORDS:
        raise Damaged(f"it claims {word_count} words")
    inflater = zlib.decompressobj()
    try:
        planes = inflater.decompress(body, word_count * _WORD_BYTES + 1)
    except zlib.error as error:
        raise Damaged(str(error)) from error
    if len(planes) != word_count * _WORD_BYTES:
        raise Damaged(f"it holds {len(planes)} bytes instead of {word_count * _WORD_BYTES}")
    in_words = np.frombuffer(planes, np.uint8).reshape(_WORD_BYTES, word_count).T
    words: IntArray = np.ascontiguousarray(in_words).view("<i8").reshape(-1).astype(np.int64)
    words.flags.writeable = False
    return words
