"""Reads the board while workers write it: immutable values, summed over workers.

No locks are taken, so a snapshot is not one instant. What can be seen:

- every number is whole, and a count never falls from one snapshot to the next, unless its cell was
  given to another key in between;
- numbers that belong together may be one batch apart: a snapshot taken while the kernel runs shows
  up to 256 exchanges of a worker in a counter and not yet in a histogram, or the other way round.
  The next snapshot has them in both. Columns of an area may be apart by what the worker counted
  while they were copied, and a block's own counters rise before theirs.

Only cells and blocks in use are read: reading a page would make it resident.

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
    fingerprint,
)
from sidecar.sketch import Area, AreaLayout, BlockCounter, Edges, Histogram, IntArray


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


def read_area(
    layout: BoardLayout,
    slices: Sequence[memoryview],
    area: AreaLayout,
    *,
    slot: int,
    at: int,
    owner: str,
) -> Area:
    """The numbers of a watch, summed over those workers in whose slices the area is `owner`'s.

    A worker that has not been told of the watch yet adds nothing. Raises IndexError when the board
    has no such slot or words.
    """
    if not 0 <= slot < layout.watch_slots:
        raise IndexError(f"no watch slot {slot}: the board has {layout.watch_slots}")
    if not 0 <= at <= at + area.words <= layout.arena_words:
        raise IndexError(f"no words {at} to {at + area.words}: the arena has {layout.arena_words}")
    wanted = [fingerprint(owner), at, at + area.words]
    total = Area.empty(area)
    for words in slices:
        view = SliceView.of(layout, words)
        if view.watches[slot].tolist() == wanted:
            counted = _used_part(area, view.arena[at : at + area.words])
            if view.watches[slot].tolist() == wanted:  # nor was it given away meanwhile
                total = total.merge(counted)
    return total


def _used_part(layout: AreaLayout, words: IntArray) -> Area:
    """A copy of an area; blocks in which nothing was counted are not even looked at."""
    copy = np.zeros(layout.words, np.int64)
    copy[: layout.blocks_at] = words[: layout.blocks_at]
    blocks, copied = layout.blocks_of(words), layout.blocks_of(copy)
    for block in np.flatnonzero(blocks[:, : len(BlockCounter)].any(axis=1)):
        copied[block] = blocks[block]
    return Area(layout, _frozen(copy))


def _frozen(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array
