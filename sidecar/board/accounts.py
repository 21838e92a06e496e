"""What the journal has to hold: the part of the books that survives a worker's process.

A worker counts an exchange on the board before it hands its record to the journal, never after. So
in each cell of a worker's slice, at any moment,

    exchanges  >=  records in the journal + sampled out + dropped

and what is missing waits in the worker's memory. When the process dies, that is lost. Its successor
goes on counting in the same slice, so it first writes down what the slice owes (`RECORDS_BEFORE`:
exchanges less what was sampled out or dropped), and then the word that tells its run. Whoever finds
fewer records of the runs before in the journal knows exactly how many were lost with them. It does
not matter how many runs there were, nor whether anybody was looking.

Must not know: routes, models, the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.board.layout import BoardLayout, CellCounter, SliceView, WorkerGauge
from sidecar.model import DropReason, StatusClass
from sidecar.sketch import IntArray

ENDINGS: Final = tuple(int(CellCounter.of_status(status)) for status in StatusClass)
"""The counters of how exchanges end: an exchange is counted by exactly one of them."""

DROPS: Final = tuple(int(CellCounter.of_drop(reason)) for reason in DropReason)

_SAMPLED_OUT: Final = int(CellCounter.RECORDS_SAMPLED_OUT)
_BEFORE: Final = int(CellCounter.RECORDS_BEFORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Of every worker: which run counts now (0: a new one is just taking over), and its counters.

    counters: int64[worker, cell, cell_counter]
    """

    runs: tuple[int, ...]
    counters: tuple[IntArray, ...]

    def owed(self, worker: int, cell: int) -> int:
        """How many exchanges have to be found in the journal, sooner or later."""
        row = self.counters[worker][cell]
        return int(row[list(ENDINGS)].sum() - row[_SAMPLED_OUT] - row[list(DROPS)].sum())

    def owed_before(self, worker: int, cell: int) -> int:
        """How many of them the runs before the present one were to write."""
        return int(self.counters[worker][cell, _BEFORE])


def take_over(layout: BoardLayout, words: memoryview, run: int) -> None:
    """A new process begins to count in this slice, as `run`; called before it counts anything."""
    view = SliceView.of(layout, words)
    view.worker_gauges[WorkerGauge.RUN] = 0
    counters = view.counters
    counters[:, _BEFORE] = (
        counters[:, list(ENDINGS)].sum(axis=1)
        - counters[:, _SAMPLED_OUT]
        - counters[:, list(DROPS)].sum(axis=1)
    )
    view.worker_gauges[WorkerGauge.RUN] = run


def read_accounts(layout: BoardLayout, slices: Sequence[memoryview]) -> Accounts:
    """The accounts of all workers' slices; of a worker that is just being replaced, run 0."""
    runs, counters = [], []
    for words in slices:
        view = SliceView.of(layout, words)
        before = int(view.worker_gauges[WorkerGauge.RUN])
        copied = view.counters.copy()
        copied.flags.writeable = False
        runs.append(before if before == int(view.worker_gauges[WorkerGauge.RUN]) else 0)
        counters.append(copied)
    return Accounts(runs=tuple(runs), counters=tuple(counters))
