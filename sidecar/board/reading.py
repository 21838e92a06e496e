"""Reads the board while workers write it: immutable values, summed over workers.

No locks are taken, so a snapshot is not one instant. What can be seen:

- every number is whole (an aligned int64 is stored and loaded at once), and a counter never falls
  between two snapshots, unless its cell was given to another key;
- numbers that belong together may be one batch apart: the kernel writes an exchange's counter, then
  its buckets, then its sum, so that a snapshot taken inside a batch shows up to 256 exchanges in the
  one and not yet in the other. The next snapshot has them.

Only cells in use are read: reading a page that was never written would make it resident.

Must not know: names, Prometheus, windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidecar.board.layout import (
    LATENCY_COLUMNS,
    BoardLayout,
    CellCounter,
    ModelGauge,
    WorkerGauge,
)
from sidecar.sketch import Edges, Histogram

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The numbers of the board at about one moment (arrays are read-only).

    workers:  int64[worker, worker_gauge]
    models:   int64[worker, model_row, model_gauge]
    counters: int64[cell, cell_counter]             summed over workers
    sums:     int64[cell, latency_column]           nanoseconds, summed over workers
    latency:  cell -> int64[latency_column, bucket] summed over workers; absent: nothing measured
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
        """The distribution of one duration in a cell: nanoseconds over the board's edges."""
        at = LATENCY_COLUMNS.index(column)
        if cell not in self.latency:
            return Histogram.empty(self.edges)
        return Histogram(
            edges=self.edges, counts=self.latency[cell][at], total=int(self.sums[cell, at])
        )


def read_slices(layout: BoardLayout, slices: Sequence[memoryview]) -> Snapshot:
    """A snapshot of the workers' slices (memoryviews of int64)."""
    columns, buckets = len(LATENCY_COLUMNS), layout.edges.bucket_count
    words = [np.frombuffer(part, dtype=np.int64) for part in slices]
    heads = np.stack([part[: layout.sums_at + layout.cells * columns] for part in words])
    workers = heads[:, : layout.model_gauges_at]
    models = heads[:, layout.model_gauges_at : layout.counters_at]
    counters = heads[:, layout.counters_at : layout.sums_at].reshape(len(words), layout.cells, -1)
    latency: dict[int, IntArray] = {}
    for worker, cell in np.argwhere(counters.any(axis=2)):
        start = layout.latency_at + int(cell) * columns * buckets
        part = words[worker][start : start + columns * buckets].reshape(columns, buckets)
        known = latency.get(int(cell))
        latency[int(cell)] = part.copy() if known is None else known + part
    return Snapshot(
        edges=layout.edges,
        workers=_frozen(workers.copy()),
        models=_frozen(models.reshape(len(words), layout.model_rows, len(ModelGauge)).copy()),
        counters=_frozen(counters.sum(axis=0)),
        sums=_frozen(heads[:, layout.sums_at :].sum(axis=0).reshape(layout.cells, columns)),
        latency={cell: _frozen(counts) for cell, counts in latency.items()},
    )


def _frozen(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array
