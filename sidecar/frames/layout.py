"""The bytes of a segment: heads, frames, checksums. Everything little-endian, nothing padded.

A segment file is, in this order:

    head      64 bytes, and once more the same 64 bytes
    SUBJECTS  a frame, and once more the same frame
    RECORD    frames, as many as fit
    TALLY     a frame, when the writer closed the segment itself

Head:

    0  magic         8 bytes  b"SIDEJRNL"
    8  version       u16      1
    10 slot          u16      whose worker wrote it
    12 mark          u32      random, no byte of it 0: starts every frame, and every checksum
    16 sequence      u64      of the segment in its slot
    24 first_number  u64      the number of the first record it may hold
    32 created_ns    u64      wall clock
    40 boot          16 bytes which run of the worker
    56 reserved      u32      0
    60 crc32         u32      of the 60 bytes before

Frame, 24 bytes and the payload:

    0  mark          u32      of the segment
    4  crc32         u32      of everything after it, payload included, started with the mark
    8  length        u32      of the payload
    12 subject       u16      row of the SUBJECTS table
    14 kind          u8       1 RECORD, 2 SUBJECTS, 3 TALLY
    15 flags         u8       bit 0: of a record, that an answering model failed the request
    16 number        u64      of the record; of the next record, in other kinds

Records of a slot are numbered one after the other, across segments and boots, so whoever meets a
gap knows how many are missing. What is needed to read a segment at all stands in it twice.

The mark makes a frame of another file not a frame of this one, be it an old block that a crash
left on the disk, or a body that a client wrote to look like a frame.

SUBJECTS is msgpack `[[subject, route, model, role], ...]`, TALLY `[[subject, route, model, role,
records], ...]`. A table never changes within a segment: a new one starts a new segment.

Pure functions on bytes; must not know files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from struct import Struct as Packing
from typing import Final
from zlib import crc32

import msgspec
from msgspec import Struct

from sidecar.model.cells import CellKey
from sidecar.model.names import Role

VERSION: Final = 1
HEAD_BYTES: Final = 64
FRAMES_AT: Final = 2 * HEAD_BYTES
FRAME_BYTES: Final = 24
MAX_PAYLOAD_BYTES: Final = 64 * 1024 * 1024
"""No frame is longer: a damaged length is told from a large record by it."""

UNKNOWN_CELL: Final = CellKey(route="?", model="?", role=Role.PRIMARY)
"""Of records whose subject cannot be known; no configuration can use the name."""

FAILURE: Final = 1 << 24
"""Beside a subject (`subject | FAILURE`): the record is of what an answering model failed.

The bit that the frame has for it, if its subject, kind and flags are read as one number.
"""

Found = tuple[int, int, int, int, int, bytes]
"""An intact frame: where it starts, kind, subject, flags, number, payload."""

_MAGIC: Final = b"SIDEJRNL"
_HEAD: Final = Packing("<8sHHIQQQ16sI")
_CHECK: Final = Packing("<I")
_FRAME: Final = Packing("<IIIHBBQ")
_START: Final = Packing("<II")  # mark, crc32
_REST: Final = Packing("<IIQ")  # length, label, number
_KIND_SHIFT: Final = 16
FLAGS_SHIFT: Final = 24
SUBJECT_BITS: Final = 0xFFFF
_FAILURE_FLAG: Final = FAILURE >> FLAGS_SHIFT
unpack_frame: Final = _FRAME.unpack_from
pack_start: Final = _START.pack
pack_rest: Final = _REST.pack


class Kind(IntEnum):
    """What a frame holds."""

    RECORD = 1
    SUBJECTS = 2
    TALLY = 3


RECORD_LABEL: Final = Kind.RECORD << _KIND_SHIFT
"""Of a record: a frame's label is its subject, kind and flags as one number."""


class Head(Struct, frozen=True, kw_only=True):
    """What a segment says of itself."""

    slot: int
    sequence: int
    first_number: int
    created_ns: int
    boot: str  # 32 hexadecimal digits
    mark: int


Subjects = Mapping[int, CellKey]


def encode_head(head: Head) -> bytes:
    """The head, twice."""
    fields = _HEAD.pack(
        _MAGIC,
        VERSION,
        head.slot,
        head.mark,
        head.sequence,
        head.first_number,
        head.created_ns,
        bytes.fromhex(head.boot),
        0,
    )
    return 2 * (fields + _CHECK.pack(crc32(fields)))


def decode_head(data: bytes) -> Head | None:
    """The head, from whichever copy is whole; None if neither is, or of another version."""
    for at in (0, HEAD_BYTES):
        fields = data[at : at + _HEAD.size]
        check = data[at + _HEAD.size : at + HEAD_BYTES]
        if len(check) < _CHECK.size or crc32(fields) != _CHECK.unpack(check)[0]:
            continue
        magic, version, slot, mark, sequence, first, created_ns, boot, _ = _HEAD.unpack(fields)
        if magic == _MAGIC and version == VERSION:
            return Head(
                slot=slot,
                sequence=sequence,
                first_number=first,
                created_ns=created_ns,
                boot=boot.hex(),
                mark=mark,
            )
    return None


def mark_of(random: int) -> int:
    """A mark of 32 random bits: no byte of it is 0, so that zeroed blocks never look like one."""
    return random | 0x01010101


def mark_bytes(mark: int) -> bytes:
    """What to search for to find frames."""
    return _CHECK.pack(mark)


def encode_frame(mark: int, kind: Kind, subject: int, number: int, payload: bytes) -> bytes:
    """One whole frame. (The writer's loop does the same, many at a time.)"""
    rest = pack_rest(len(payload), subject | kind << _KIND_SHIFT, number)
    return pack_start(mark, crc32(payload, crc32(rest, mark))) + rest + payload


def check_subjects(subjects: Iterable[int]) -> None:
    """Raises ValueError for what is no subject, with or without FAILURE."""
    for subject in subjects:
        if subject & ~(SUBJECT_BITS | FAILURE):
            raise ValueError(f"no subject from 0 to 65,535: {subject}")


def subject_of(subject: int) -> int:
    """Without FAILURE."""
    return subject & ~FAILURE


def is_failure(flags: int) -> bool:
    """Whether a record's flags say that an answering model failed."""
    return flags & _FAILURE_FLAG != 0


def take(
    data: bytes, at: int, mark: int, most: int = 1 << 60, most_bytes: int = 1 << 60
) -> tuple[list[Found], int]:
    """The intact frames of `data` from `at` on, and where the next one would start.

    Ends before the first that is not whole and intact, after `most` frames, or with the frame that
    makes it `most_bytes` of `data`.
    """
    found: list[Found] = []
    add = found.append
    view = memoryview(data)
    size = len(data)
    enough = at + most_bytes
    while size - at >= FRAME_BYTES and most:
        seen, check, length, subject, kind, flags, number = unpack_frame(data, at)
        end = at + FRAME_BYTES + length
        if seen != mark or end > size or crc32(view[at + 8 : end], mark) != check:
            break
        add((at, kind, subject, flags, number, data[at + FRAME_BYTES : end]))
        at = end
        most -= 1
        if at >= enough:
            break
    return found, at


def claims(data: bytes, at: int, mark: int) -> tuple[int, int, int] | None:
    """What the start of a frame says, true or not: bytes of the frame, subject, number.

    None when there is no start of a frame here, or what it says cannot be.
    """
    if len(data) - at < FRAME_BYTES:
        return None
    seen, _, length, subject, kind, _, number = unpack_frame(data, at)
    if seen != mark or length > MAX_PAYLOAD_BYTES or not Kind.RECORD <= kind <= Kind.TALLY:
        return None
    return FRAME_BYTES + length, subject, number


def encode_subjects(table: Subjects) -> bytes:
    """Payload of SUBJECTS."""
    return msgspec.msgpack.encode(
        [(subject, key.route, key.model, key.role) for subject, key in table.items()]
    )


def decode_subjects(payload: bytes) -> dict[int, CellKey]:
    """What SUBJECTS says. Raises ValueError when it is of another form."""
    rows = msgspec.msgpack.decode(payload, type=list[tuple[int, str, str, Role]])
    return {
        subject: CellKey(route=route, model=model, role=role)
        for subject, route, model, role in rows
    }


def encode_tally(records: Mapping[int, int], table: Subjects) -> bytes:
    """Payload of TALLY: how many records of each subject the segment was given."""
    rows = []
    for subject, count in records.items():
        key = table.get(subject, UNKNOWN_CELL)
        rows.append((subject, key.route, key.model, key.role, count))
    return msgspec.msgpack.encode(rows)


def decode_tally(payload: bytes) -> dict[CellKey, int]:
    """What TALLY says. Raises ValueError when it is of another form."""
    rows = msgspec.msgpack.decode(payload, type=list[tuple[int, str, str, Role, int]])
    tally: dict[CellKey, int] = {}
    for _, route, model, role, count in rows:
        key = CellKey(route=route, model=model, role=role)
        tally[key] = tally.get(key, 0) + count
    return tally
