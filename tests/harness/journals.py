"""Journals for tests: a slot that is written without a thread, and ways to read all of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sidecar.board import warm
from sidecar.config.recording import Fsync
from sidecar.journal import (
    START,
    Batch,
    CompiledWalk,
    Entry,
    Position,
    Reader,
    Walk,
    WriterLimits,
    walk_plainly,
)
from sidecar.journal.segments import segment_path, sequences_of
from sidecar.journal.slot_writer import SlotWriter
from sidecar.model.cells import CellKey
from sidecar.model.names import Role

BOOT = "00112233445566778899aabbccddeeff"
STABLE = CellKey(route="iris", model="stable", role=Role.PRIMARY)
NEXT = CellKey(route="iris", model="next", role=Role.CANARY)
TRIAL = CellKey(route="iris", model="trial", role=Role.SHADOW)
TABLE = {0: STABLE, 1: NEXT, 2: TRIAL}


@contextmanager
def writing(
    directory: Path, limits: WriterLimits | None = None, *, slot: int = 0, boot: str = BOOT
) -> Iterator[SlotWriter]:
    """A writer of a slot, which ends properly."""
    writer = slot_writer(directory, limits, slot=slot, boot=boot)
    try:
        yield writer
    finally:
        writer.close()


def slot_writer(
    directory: Path, limits: WriterLimits | None = None, *, slot: int = 0, boot: str = BOOT
) -> SlotWriter:
    writer = SlotWriter(
        directory,
        slot,
        boot,
        limits or WriterLimits(fsync=Fsync.NEVER),
        wall_ns=time.time_ns,
        monotonic_s=time.monotonic,
    )
    writer.use(TABLE)
    return writer


def write(writer: SlotWriter, *records: tuple[int, bytes]) -> None:
    """Write records, all of them."""
    taken, error = writer.write(list(records))
    assert (taken, error) == (len(records), None)


def numbered(count: int, *, first: int = 0, size: int = 20) -> list[tuple[int, bytes]]:
    """Records that say which they are, of three cells in turn."""
    return [(n % 3, b"record %05d " % n + bytes(size)) for n in range(first, first + count)]


@cache
def compiled_walk() -> CompiledWalk:
    """As the controller walks."""
    return CompiledWalk(warm(os.environ).walk_records)


def read_all(
    directory: Path, position: Position = START, *, walk: Walk = walk_plainly, **options: int
) -> list[Batch]:
    """Batches until there are no more records."""
    reader = Reader(directory, walk=walk)
    batches = []
    try:
        while True:
            batches.append(reader.read(position, **options))
            if batches[-1].next == position:
                return batches
            position = batches[-1].next
    finally:
        reader.close()


def entries_of(batches: list[Batch]) -> list[Entry]:
    return [entry for batch in batches for entry in batch.entries]


def corrupt_of(batches: list[Batch]) -> dict[CellKey, int]:
    total: dict[CellKey, int] = {}
    for batch in batches:
        for cell, count in batch.corrupt.items():
            total[cell] = total.get(cell, 0) + count
    return total


def payloads(directory: Path) -> list[bytes]:
    return [entry.payload for entry in entries_of(read_all(directory))]


def segments(directory: Path, slot: int = 0) -> list[Path]:
    """The files of a slot's segments that are not compressed, in order."""
    paths = [segment_path(directory, slot, one) for one in sequences_of(directory, slot)]
    return [path for path in paths if path.exists()]
