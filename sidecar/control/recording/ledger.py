"""The books of what was recorded: for each route, model and role, and to the last exchange,

    requests = logged + corrupt + sampled_out + dropped + lost_in_crash + in_memory

`requests`, `sampled_out` and `dropped` are counted on the board by the workers; `logged` (intact)
and `corrupt` (written, and damaged since) are counted in the files by whoever walks through them.
`lost_in_crash` is what runs of a worker that have ended owed and did not write
(`sidecar.board.accounts`); `in_memory` is what the present ones still owe: 0 as soon as nothing
happens. The books begin with the board, as all its counters do; what earlier sidecars wrote into
the same journal is left out (`earlier`).

A key may lose its cell to another one and get a new one later. What was counted in a cell that is
given away is carried forward (`Carried`).

Pure: no files, no board.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from sidecar.board import CellCounter
from sidecar.board.accounts import ENDINGS, Accounts
from sidecar.journal import Account
from sidecar.journal import Books as Written
from sidecar.model import CellKey, DropReason

LAUNCH_DIGITS: Final = 16
"""Of the 32 hexadecimal digits of a boot, those that say which sidecar; the others say which run of
the worker."""

_DROPS: Final = {reason: int(CellCounter.of_drop(reason)) for reason in DropReason}
_SAMPLED_OUT: Final = int(CellCounter.RECORDS_SAMPLED_OUT)


class Books(Struct, frozen=True, kw_only=True):
    """What became of the exchanges of one route, model and role."""

    requests: int = 0
    logged: int = 0
    corrupt: int = 0
    sampled_out: int = 0
    dropped: dict[DropReason, int] = {}
    lost_in_crash: int = 0

    @property
    def owed(self) -> int:
        """Exchanges that have to be found in the journal, or were lost."""
        return self.requests - self.sampled_out - sum(self.dropped.values())

    @property
    def in_memory(self) -> int:
        """Exchanges whose records still wait in a worker."""
        return self.owed - self.written - self.lost_in_crash

    @property
    def written(self) -> int:
        """Exchanges whose records reached the journal."""
        return self.logged + self.corrupt

    def less(self, earlier: Books) -> Books:
        """What was written since."""
        return Books(
            logged=max(self.logged - earlier.logged, 0),
            corrupt=max(self.corrupt - earlier.corrupt, 0),
        )

    def __add__(self, other: Books) -> Books:
        dropped = {
            reason: self.dropped.get(reason, 0) + other.dropped.get(reason, 0)
            for reason in DropReason
            if reason in self.dropped or reason in other.dropped
        }
        return Books(
            requests=self.requests + other.requests,
            logged=self.logged + other.logged,
            corrupt=self.corrupt + other.corrupt,
            sampled_out=self.sampled_out + other.sampled_out,
            dropped=dropped,
            lost_in_crash=self.lost_in_crash + other.lost_in_crash,
        )


class Line(NamedTuple):
    """A worker's part of a key's books."""

    worker: int
    key: CellKey


class Carried(Struct, frozen=True, kw_only=True):
    """What a worker counted in cells that others have now; the last was taken in its run `run`."""

    books: Books = Books()
    run: int = 0


class Saved(Struct, frozen=True, kw_only=True):
    """All that a controller must know that begins anew beside the same board."""

    launch: str
    cells: list[tuple[CellKey, int]] = []
    earlier: list[tuple[Line, Books]] = []
    carried: list[tuple[Line, Carried]] = []
    lost: list[tuple[Line, int]] = []


def boot_of(launch: str, run: int) -> str:
    """The name by which the journal knows a run of a worker."""
    return f"{launch}{run:016x}"


class Ledger:
    """Keeps the books of one sidecar, `launch` (16 hexadecimal digits)."""

    def __init__(self, launch: str, saved: Saved | None = None) -> None:
        self.launch = launch
        if saved is None or saved.launch != launch:
            saved = Saved(launch=launch)
            self._begun = False
        else:
            self._begun = True
        self._cells = dict(saved.cells)
        self._earlier = dict(saved.earlier)
        self._carried = dict(saved.carried)
        self._lost = dict(saved.lost)
        self._counted: dict[Line, Books] = {}
        self._runs: dict[int, int] = {}

    def saved(self) -> Saved:
        """What has to be kept."""
        return Saved(
            launch=self.launch,
            cells=list(self._cells.items()),
            earlier=list(self._earlier.items()),
            carried=list(self._carried.items()),
            lost=list(self._lost.items()),
        )

    def balance(
        self,
        cells: Sequence[CellKey | None],
        before: Accounts,
        written: Written,
        after: Accounts,
    ) -> dict[CellKey, Books]:
        """The books as they stand now, of every key that ever had a cell.

        `cells[i]` is who has cell `i`. The board is read twice: `before` the files were walked to
        their ends, so that all is there that was written by runs which were over by then; and
        `after`, so that nothing is in the files that the board does not know yet.
        """
        if not self._begun:
            self._earlier = _by_line(written, lambda one: not one.boot.startswith(self.launch))
            self._begun = True
        self._seat(cells)  # first: what is carried was counted in the runs of the last look
        self._runs.update({worker: run for worker, run in enumerate(before.runs) if run})
        everything = _by_line(written, lambda _: True)
        present = _by_line(written, self._is_present)
        books: dict[CellKey, Books] = {}
        for key in dict.fromkeys([*self._cells, *(line.key for line in self._carried)]):
            total = Books()
            for worker, run in enumerate(before.runs):
                line = Line(worker, key)
                found = everything.get(line, _NOTHING).less(self._earlier.get(line, _NOTHING))
                carried = self._carried.get(line, _NOT_CARRIED)
                cell = self._cells.get(key)
                counted, owed = Books(), carried.books.owed
                if cell is not None:
                    counted = self._counted[line] = _counted(after, worker, cell)
                    owed += before.owed_before(worker, cell)
                if run and carried.run != run:
                    # What was carried in earlier runs, and what the cell owed as this one began.
                    self._lost[line] = max(
                        owed - (found.written - present.get(line, _NOTHING).written), 0
                    )
                lost = Books(lost_in_crash=self._lost.get(line, 0))
                total = total + carried.books + counted + found + lost
            books[key] = total
        return books

    def _is_present(self, account: Account) -> bool:
        run = self._runs.get(account.slot)
        return run is not None and account.boot == boot_of(self.launch, run)

    def _seat(self, cells: Sequence[CellKey | None]) -> None:
        """Follow who has which cell; what was counted in one that is given away is carried on."""
        seats = {key: cell for cell, key in enumerate(cells) if key is not None}
        for key, cell in list(self._cells.items()):
            taken = cell >= len(cells) or cells[cell] not in (None, key)
            if taken or seats.get(key, cell) != cell:
                for worker, run in self._runs.items():
                    line = Line(worker, key)
                    before = self._carried.get(line, _NOT_CARRIED).books
                    books = before + self._counted.pop(line, _NOTHING)
                    self._carried[line] = Carried(books=books, run=run)
                del self._cells[key]
        self._cells.update(seats)


_NOTHING: Final = Books()
_NOT_CARRIED: Final = Carried()


def _counted(accounts: Accounts, worker: int, cell: int) -> Books:
    """What a worker counted in a cell."""
    row = accounts.counters[worker][cell].tolist()
    return Books(
        requests=sum(row[counter] for counter in ENDINGS),
        sampled_out=row[_SAMPLED_OUT],
        dropped={reason: row[counter] for reason, counter in _DROPS.items() if row[counter]},
    )


def _by_line(written: Written, wanted: Callable[[Account], bool]) -> dict[Line, Books]:
    """What was found of the accounts that are wanted."""
    found: dict[Line, Books] = {}
    for account, count in written.logged.items():
        if wanted(account):
            line = Line(account.slot, account.cell)
            found[line] = found.get(line, _NOTHING) + Books(logged=count)
    for account, count in written.corrupt.items():
        if wanted(account):
            line = Line(account.slot, account.cell)
            found[line] = found.get(line, _NOTHING) + Books(corrupt=count)
    return found
