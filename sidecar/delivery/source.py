"""A pump's side of the journal: records decoded, a standing kept, what is still ahead measured.

Everything here blocks, for the disk or for milliseconds of decoding: a pump calls it on a thread of
its own, one call at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from sidecar.delivery.sink import Item
from sidecar.journal import (
    Cursor,
    Entry,
    Position,
    Quarantine,
    Reader,
    Run,
    Standing,
    Walk,
    bytes_behind,
    walk_plainly,
)
from sidecar.journal.retention import Segment, count_after
from sidecar.model import CellKey, StatusClass
from sidecar.records import Record, RecordError, decode

UNREADABLE = "unreadable_record"
"""`failure` of the stand-in for a record that is intact and still cannot be decoded."""


class Reading(Struct, frozen=True, kw_only=True):
    """What there was to read.

    `next` is where to go on. `size_bytes` are those of the records as the journal holds them.
    `unreadable` are intact frames that hold no record we understand (written by another version),
    each with the reason; `corrupt` counts records that are lost, by model.
    """

    items: list[Item]
    next: Position
    size_bytes: int
    unreadable: list[tuple[Item, str]]
    corrupt: dict[str, int]


class Source(Protocol):
    """Where a pump gets records, and keeps how far it is. Blocking."""

    def load(self) -> Standing:
        """The standing saved last."""
        ...

    def read(self, position: Position, *, most: int, most_bytes: int) -> Reading:
        """What comes after a position; perhaps nothing. Raises OSError, SidecarError."""
        ...

    def save(self, standing: Standing) -> None:
        """Keep a standing, durably. Raises OSError."""
        ...

    def ahead_bytes(self, position: Position) -> int:
        """Bytes of the journal after a position. Raises OSError."""
        ...

    def count_after(self, segment: Segment, position: Position) -> dict[str, int]:
        """Records of a segment after a position, by model. Raises OSError, SidecarError."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class JournalSource:
    """The journal in `directory`, for the consumer whose cursor this is."""

    def __init__(self, directory: Path, cursor: Cursor, *, walk: Walk = walk_plainly) -> None:
        self._directory = directory
        self._cursor = cursor
        self._reader = Reader(directory, quarantine=Quarantine(directory), walk=walk)

    def load(self) -> Standing:
        """The standing saved last."""
        return self._cursor.load()

    def read(self, position: Position, *, most: int, most_bytes: int) -> Reading:
        """What comes after a position; see `Source`."""
        batch = self._reader.read(position, max_records=most, max_bytes=most_bytes)
        items: list[Item] = []
        unreadable: list[tuple[Item, str]] = []
        for run in batch.runs:
            try:
                items += _items(run)
            except RecordError:
                _add_one_by_one(run, items, unreadable)
        return Reading(
            items=items,
            next=batch.next,
            size_bytes=sum(run.payload_bytes for run in batch.runs),
            unreadable=unreadable,
            corrupt=_by_model(batch.corrupt),
        )

    def save(self, standing: Standing) -> None:
        """Keep a standing, durably. Raises OSError."""
        self._cursor.save(standing)

    def ahead_bytes(self, position: Position) -> int:
        """Bytes of the journal's files after a position; see `Source`."""
        return bytes_behind(self._directory, position)

    def count_after(self, segment: Segment, position: Position) -> dict[str, int]:
        """Records of a segment after a position, by model; see `Source`."""
        return _by_model(count_after(self._directory, segment, position))

    def close(self) -> None:
        """Let go of the files: a segment that was deleted takes its place until then."""
        self._reader.close()


def _items(run: Run) -> list[Item]:
    """Raises RecordError: one of the records cannot be decoded."""
    payloads = run.payloads()
    return [
        Item(id=record.id, record=record, payload=payload, cell=cell)
        for record, payload, cell in zip(map(decode, payloads), payloads, run.cells(), strict=True)
    ]


def _add_one_by_one(run: Run, items: list[Item], unreadable: list[tuple[Item, str]]) -> None:
    for entry in run.entries():
        try:
            record = decode(entry.payload)
        except RecordError as error:
            unreadable.append((_stand_in(entry), str(error)))
        else:
            items.append(Item(id=record.id, record=record, payload=entry.payload, cell=entry.cell))


def _by_model(cells: dict[CellKey, int]) -> dict[str, int]:
    models: dict[str, int] = {}
    for cell, count in cells.items():
        models[cell.model] = models.get(cell.model, 0) + count
    return models


def _stand_in(entry: Entry) -> Item:
    """What can be said of a record that cannot be decoded; the payload is kept as it is."""
    cell = entry.cell
    name = f"journal-{entry.slot:02d}-{entry.number}"
    record = Record(
        id=name,
        request_id=name,
        at_ns=0,
        route=cell.route,
        model=cell.model,
        role=cell.role,
        status=0,
        outcome=StatusClass.ERROR,
        failure=UNREADABLE,
        method="",
        path="",
    )
    return Item(id=name, record=record, payload=entry.payload, cell=cell)
