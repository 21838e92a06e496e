"""Reads the board while workers write it: immutable values, summed over workers.

No locks are taken, so a snapshot is not one instant. What can be seen:

- every number is whole, and a count never falls from one snapshot to the next, unless its cell was
  given to another key in between;
- numbers that belong together may be one batch apart: a snapshot taken while the kernel runs shows
  up to 256 exchanges of a worker in a counter and not yet in a histogram, or the other way round.
  The next snapshot has them in both.

Only cells in use are read: reading a page would make it resident.

Must not know: names, Prometheus, windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sidecar.board.layout import (
    LATENCY_COLUMNS,
    BoardLayout,
    CellCounter,
    ModelGauge,
    SliceView,
    WorkerGauge,
)
from sidecar.sketch import Edges, Histogram, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The numbers of the board at about one moment; the arrays are read-only.

    workers:  int64[worker, worker_gauge]
    models:   int64[worker, model_row, model_gauge]
    counters: int64[cell, cell_counter]             summed over workers
    sums:     int64[cell, latency_column]           nanoseconds, summed over workers
    latency:  cell -> int64[latency_column, bucket] summed over workers; absent: nothing counted
    """

    edges: Edges
    workers: IntArray
    models: IntArray
    counters: IntArray
    sums: IntArray
    latency: Mapping[int, IntArray]

    def counter(self, cell: int, counter: CellCounter) -> int:
        """One counter of a cell."""
        return int(self.counters[cell, counter])

    def worker_sum(self, gauge: WorkerGauge) -> int:
        """A number summed over all workers."""
        return int(self.workers[:, gauge].sum())

    def model_sum(self, row: int, gauge: ModelGauge) -> int:
        """A model's number summed over all workers."""
        return int(self.models[:, row, gauge].sum())

    def histogram(self, cell: int, column: str) -> Histogram:
        """The distribution of one duration in a cell, in nanoseconds."""
        at = LATENCY_COLUMNS.index(column)
        counts = self.counts(cell, at)
        return Histogram(edges=self.edges, counts=counts, total=int(self.sums[cell, at]))

    def counts(self, cell: int, column: int) -> IntArray:
        """The bare `int64[bucket]` of one duration in a cell, by the column's number."""
        if cell not in self.latency:
            return np.zeros(self.edges.bucket_count, dtype=np.int64)
        counts: IntArray = self.latency[cell][column]
        return counts


def read_slices(layout: BoardLayout, slices: Sequence[memoryview]) -> Snapshot:
    """A snapshot of the workers' slices (memoryviews of int64)."""
    views = [SliceView.of(layout, words) for words in slices]
    counters = np.stack([view.counters for view in views])
    latency: dict[int, IntArray] = {}
    for worker, cell in np.argwhere(counters.any(axis=2)).tolist():
        counted = views[worker].latency[cell].copy()
        latency[cell] = latency[cell] + counted if cell in latency else counted
    return Snapshot(
        edges=layout.edges,
        workers=_frozen(np.stack([view.worker_gauges for view in views])),
        models=_frozen(np.stack([view.model_gauges for view in views])),
        counters=_frozen(counters.sum(axis=0)),
        sums=_frozen(np.stack([view.sums for view in views]).sum(axis=0)),
        latency={cell: _frozen(counts) for cell, counts in latency.items()},
    )


def _frozen(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array
