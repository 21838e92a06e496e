"""Counts what is logged, by boot, slot and cell, from the files themselves.

It reads every segment once, looks at no payload, and keeps its place and its books in one file, so
that they agree. A segment that its writer closed says in its last frame how many records of which
cell it was given: what is missing then is known exactly, cell by cell, whatever was damaged. In a
segment that ends without, damaged records count for the cell that the head of their frame names,
as far as it can be read.

Books of a slot's older boots are added up under one name, so that they stay few.

Blocking, and not thread-safe.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from sidecar.disk import replace_file
from sidecar.frames.walk import Walk, walk_plainly
from sidecar.journal.damaged import put_aside
from sidecar.journal.position import START, Position
from sidecar.journal.quarantine import Quarantine
from sidecar.journal.reader import Reader
from sidecar.journal.segments import slots_of
from sidecar.journal.slot_reader import Portion
from sidecar.model.cells import CellKey

EARLIER: Final = ""
"""The boot under which those are added up that are no longer told apart."""

_BOOTS_PER_SLOT: Final = 16
_PORTION_RECORDS: Final = 2048
_PORTION_BYTES: Final = 4 * 1024 * 1024

log: Final = logging.getLogger("sidecar.journal")


class Account(NamedTuple):
    """Whose records: of one run of a worker, for one route, model and role."""

    boot: str
    slot: int
    cell: CellKey


class Books(Struct, frozen=True, kw_only=True):
    """Records by account: `logged` are there and intact, `corrupt` were written and are not."""

    logged: Mapping[Account, int]
    corrupt: Mapping[Account, int]


class _OpenSegment(Struct):
    """What was found so far in the segment of a slot that is being read."""

    sequence: int
    boot: str
    logged: Counter[CellKey]
    corrupt: Counter[CellKey]


class _Row(Struct, frozen=True, array_like=True):
    boot: str
    slot: int
    cell: CellKey
    logged: int
    corrupt: int


class _OpenRow(Struct, frozen=True, array_like=True):
    slot: int
    sequence: int
    boot: str
    counts: list[tuple[CellKey, int, int]]


class _Saved(Struct, frozen=True):
    position: Position = START
    rows: list[_Row] = []
    open: list[_OpenRow] = []


class Bookkeeper:
    """The books of the journal in `directory`, kept in the file `path`."""

    def __init__(
        self,
        directory: Path,
        path: Path,
        *,
        quarantine: Quarantine | None = None,
        walk: Walk = walk_plainly,
    ) -> None:
        self.saved_position = START
        """How far a restart would know of: what lies before may be removed."""
        self.skipped_bytes = 0
        """Damaged bytes passed over since the start."""
        self._directory = directory
        self._path = path
        self._reader = Reader(directory, quarantine=quarantine, walk=walk)
        self._position = START
        self._logged: Counter[Account] = Counter()
        self._corrupt: Counter[Account] = Counter()
        self._open: dict[int, _OpenSegment] = {}

    @property
    def position(self) -> Position:
        """How far the books go."""
        return self._position

    @property
    def books(self) -> Books:
        """All records up to `position`."""
        logged, corrupt = self._logged.copy(), self._corrupt.copy()
        for slot, segment in self._open.items():
            _enter(logged, segment.boot, slot, segment.logged)
            _enter(corrupt, segment.boot, slot, segment.corrupt)
        return Books(logged=logged, corrupt=corrupt)

    def load(self) -> None:
        """Go on where the last process stopped; from the oldest record if that is not known."""
        try:
            saved = msgspec.msgpack.decode(self._path.read_bytes(), type=_Saved)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            put_aside(self._path, error)
            return
        self._position = self.saved_position = saved.position
        for row in saved.rows:
            account = Account(row.boot, row.slot, row.cell)
            self._logged[account] = row.logged
            self._corrupt[account] = row.corrupt
        for one in saved.open:
            self._open[one.slot] = _OpenSegment(
                sequence=one.sequence,
                boot=one.boot,
                logged=Counter({cell: logged for cell, logged, _ in one.counts}),
                corrupt=Counter({cell: corrupt for cell, _, corrupt in one.counts}),
            )

    def save(self) -> None:
        """Keep place and books, durably. Raises OSError and keeps the old ones."""
        accounts = sorted(self._logged.keys() | self._corrupt.keys(), key=str)
        rows = [
            _Row(one.boot, one.slot, one.cell, self._logged[one], self._corrupt[one])
            for one in accounts
        ]
        opened = []
        for slot, segment in self._open.items():
            cells = segment.logged.keys() | segment.corrupt.keys()
            counts = [(cell, segment.logged[cell], segment.corrupt[cell]) for cell in cells]
            opened.append(_OpenRow(slot, segment.sequence, segment.boot, counts))
        saved = _Saved(position=self._position, rows=rows, open=opened)
        replace_file(self._path, msgspec.msgpack.encode(saved))
        self.saved_position = self._position

    def advance(self) -> int:
        """Count the next records of every slot, some thousands; how many there were.

        Raises OSError (the journal cannot be read), ConfigError (zstandard is not installed).
        """
        counted = 0
        for slot in slots_of(self._directory):
            at = self._position.of(slot)
            portion = self._reader.slot(slot).read(at, _PORTION_RECORDS, _PORTION_BYTES)
            self._count(slot, portion)
            counted += portion.records
            if portion.next != at:
                self._position = self._position.moved(slot, portion.next)
        return counted

    def close(self) -> None:
        """Let go of the files; nothing is saved."""
        self._reader.close()

    def _count(self, slot: int, portion: Portion) -> None:
        self.skipped_bytes += portion.skipped
        for sequence, head in portion.heads.items():
            for lost in portion.lost:
                if lost.sequence == sequence and lost.between:
                    boot = self._open[slot].boot if slot in self._open else head.boot
                    self._corrupt[Account(boot, slot, lost.cell)] += lost.records
            self._segment(slot, sequence, head.boot)
            opened = self._open[slot]
            for run in portion.runs:
                if run.segment == sequence:
                    opened.logged.update(run.counts())
            for lost in portion.lost:
                if lost.sequence == sequence and not lost.between:
                    opened.corrupt[lost.cell] += lost.records
            tally = portion.closings.get(sequence)
            if tally is not None:
                opened.corrupt = Counter(tally)
                opened.corrupt.subtract(opened.logged)
                opened.corrupt = +opened.corrupt

    def _segment(self, slot: int, sequence: int, boot: str) -> None:
        """Go on to another segment, and enter into the books what was found in the last."""
        opened = self._open.get(slot)
        if opened is not None and opened.sequence == sequence and opened.boot == boot:
            return
        if opened is not None:
            _enter(self._logged, opened.boot, slot, opened.logged)
            _enter(self._corrupt, opened.boot, slot, opened.corrupt)
            self._merge_old_boots(slot, opened.boot)
        self._open[slot] = _OpenSegment(sequence, boot, Counter(), Counter())

    def _merge_old_boots(self, slot: int, newest: str) -> None:
        """Add up the books of the boots that are too many; the first entered are the oldest."""
        boots = {one.boot: None for one in self._logged if one.slot == slot}
        boots.pop(EARLIER, None)
        boots.pop(newest, None)
        for boot in list(boots)[: len(boots) - _BOOTS_PER_SLOT + 1]:
            for book in (self._logged, self._corrupt):
                for account in [one for one in book if (one.slot, one.boot) == (slot, boot)]:
                    book[account._replace(boot=EARLIER)] += book.pop(account)


def _enter(book: Counter[Account], boot: str, slot: int, counts: Counter[CellKey]) -> None:
    for cell, count in counts.items():
        if count:
            book[Account(boot, slot, cell)] += count
