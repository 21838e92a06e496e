"""Ways to count the values of a batch: ours, the best NumPy we could write, and a sketch library.

All take batches of `loadtests.rig.columns` and count them in a single block. The NumPy versions do
the kernel's whole work, unless their name says that they count only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from loadtests.rig.columns import Batch
from sidecar.board import warm
from sidecar.sketch import (
    AreaLayout,
    BlockCounter,
    Column,
    ColumnTable,
    FloatArray,
    IntArray,
)
from sidecar.sketch.areas import Place
from sidecar.sketch.columns import SPECIALS

Count = Callable[[Batch], object]


class Kernel:
    """The sidecar's kernel over an area in plain memory."""

    def __init__(self, layout: AreaLayout, bases: IntArray | None = None) -> None:
        self._table = ColumnTable.of_columns(layout)
        self._count_values = warm(os.environ).count_values
        self._bases = bases
        self._first = layout.block_at(0)
        self.words = np.zeros(layout.words, np.int64)

    def __call__(self, batch: Batch) -> IntArray:
        rows = len(batch.values)
        outside = np.empty(rows, np.int64)
        bases = self._bases
        if bases is None:
            bases = np.full((rows, 1), self._first)
        self._table.count(
            self._count_values,
            batch.values,
            bases,
            batch.failed,
            batch.latency_ns,
            self.words,
            outside,
        )
        return outside


class NumpyCounts:
    """`searchsorted` per column, then one `bincount` for all of them: counts only."""

    def __init__(self, layout: AreaLayout) -> None:
        self.layout = layout
        self.places = layout.places[: len(layout.columns)]
        self._edges = [np.array(place.column.edges) for place in self.places]
        self._starts = np.array([place.counts.start for place in self.places])
        self._missing = np.array([place.column.value_buckets for place in self.places])
        self.words = np.zeros(layout.words, np.int64)
        self.block = layout.blocks_of(self.words)[0]

    def __call__(self, batch: Batch) -> IntArray:
        """The bucket of every value, along the axis of counts: int64[row, column]."""
        values = batch.values
        buckets = np.empty(values.shape, np.int64)
        for at, edges in enumerate(self._edges):
            buckets[:, at] = edges.searchsorted(values[:, at], side="right")
        nonfinite = ~np.isfinite(values)
        if nonfinite.any():
            rows, columns = np.nonzero(nonfinite)
            buckets[rows, columns] = self._missing[columns] + np.isinf(values[rows, columns])
        buckets += self._starts
        counts = self.block[self.layout.counts]
        counts += np.bincount(buckets.ravel(), minlength=len(counts))
        return buckets


class NumpyWhole(NumpyCounts):
    """The same, and failures, latencies, sums and values outside the reference, by `bincount`."""

    def __init__(self, layout: AreaLayout) -> None:
        super().__init__(layout)
        width = layout.counts.stop - layout.counts.start
        self._bin = np.zeros(width, np.int64)
        self._sum = np.full(width, -1)
        self._outside = np.zeros(width, bool)
        for place in self.places:
            self._bin[place.counts] = place.bins.start + _bins(place.column)
            self._sum[place.counts][list(place.column.summed)] = _along(place)
            self._outside[place.counts][[0, place.column.value_buckets - 1, -1]] = True
        self._centers = np.array([place.column.center for place in self.places])
        self._reach = np.array([place.column.reach for place in self.places])
        self._columns = np.arange(len(self.places))

    def __call__(self, batch: Batch) -> IntArray:
        buckets = super().__call__(batch)
        width = len(self.places)
        block, layout = self.block, self.layout
        block[BlockCounter.ROWS] += len(buckets)
        block[BlockCounter.FAILED_ROWS] += batch.failed.sum()
        bins = self._bin[buckets].ravel()
        measured = np.maximum(batch.latency_ns, 0)
        for part, numbers in ((layout.failed, batch.failed), (layout.latency, measured)):
            weights = np.repeat(numbers, width)
            block[part] += np.bincount(bins, weights, layout.bin_count).astype(np.int64)
        slots = self._sum[buckets]
        rows, columns = np.nonzero(slots >= 0)
        reach = self._reach[columns]
        added = np.clip(batch.values[rows, columns] - self._centers[columns], -reach, reach)
        sums = layout.sums_of(block)
        sums += np.bincount(slots[rows, columns], added, len(sums))
        outside: IntArray = self._outside[buckets].sum(axis=1)
        return outside


class NumpyDescent(NumpyCounts):
    """All columns at once, counts only: the kernel's walk down the trees, as whole arrays."""

    def __init__(self, layout: AreaLayout) -> None:
        super().__init__(layout)
        table = ColumnTable.of_columns(layout)
        self._levels = int(table.columns[:, 0].max())
        leaves = 1 << self._levels
        trees = [_tree(np.array(place.column.edges), leaves) for place in self.places]
        self._trees = np.concatenate(trees)
        self._at = np.arange(len(trees)) * leaves
        self._leaves = leaves

    def __call__(self, batch: Batch) -> IntArray:
        values = batch.values
        position = np.ones(values.shape, np.int64)
        for _ in range(self._levels):
            position += position + (self._trees[self._at + position] <= values)
        position -= self._leaves
        nonfinite = ~np.isfinite(values)
        buckets: IntArray = np.where(nonfinite, self._missing + np.isinf(values), position)
        buckets += self._starts
        counts = self.block[self.layout.counts]
        counts += np.bincount(buckets.ravel(), minlength=len(counts))
        return buckets


class DdSketches:
    """ddsketch's `add`, a sketch per column; the library of DataDog, in Python. Counts only."""

    def __init__(self, layout: AreaLayout) -> None:
        sketch: Any = import_module("ddsketch").DDSketch
        self._adds = [sketch(relative_accuracy=0.01).add for _ in layout.columns]

    def __call__(self, batch: Batch) -> None:
        for add, values in zip(self._adds, batch.values.T.tolist(), strict=True):
            for value in values:
                if value == value:  # not NaN
                    add(value)


def _bins(column: Column) -> IntArray:
    buckets = np.arange(column.value_buckets)
    bins = np.searchsorted(column.bins, buckets, side="right") - 1
    specials = len(column.bins) + np.arange(SPECIALS)
    return np.concatenate([bins.astype(np.int64), specials])


def _along(place: Place) -> IntArray:
    return np.arange(place.sums.start, place.sums.stop)


def _tree(edges: FloatArray, leaves: int) -> FloatArray:
    ordered = np.append(edges, np.full(leaves - 1 - len(edges), np.inf))
    levels = leaves.bit_length() - 1
    by_level = [ordered[(1 << step) - 1 :: 2 << step] for step in reversed(range(levels))]
    return np.concatenate([[np.inf], *by_level])
