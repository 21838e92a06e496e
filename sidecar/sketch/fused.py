"""Counts rows of values in the blocks of an area: one call for all columns of a batch.

`count_values` is plain Python in the subset that Numba compiles, as the kernels beside it are;
`ColumnTable` lays out for it what the columns of an area say. A value is one of these:

    a number       numeric: its bucket is the number of edges at or below it
                   categorical: the code of a category, cut to an integer; any other is `other`
    NaN            missing
    an infinity    nonfinite; in a categorical column `other`
    NOT_COUNTED    the row has no such value, which says nothing about it: no counter changes

Why it is as fast as it is (docs/performance.md has the figures):

- Column after column, so that the edges and counters of one stay in the nearest cache while a
  batch of rows passes through them.
- The edges of a column are a perfect binary tree in breadth-first order (the children of node k are
  2k and 2k + 1; node 0 is unused, missing edges are infinite). A step down is an addition, so there
  is no branch for the processor to guess wrong, and the leaf reached *is* the bucket.
- All rows take the same step before any takes the next: steps of different rows do not wait for one
  another. The first two steps are one, since the same three edges decide them for every row: a loop
  that compilers turn into vector instructions.

Must not know: processes, shared memory, clocks, where rows come from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from itertools import accumulate
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from sidecar.sketch.areas import AreaLayout, BlockCounter, Place
from sidecar.sketch.columns import SPECIALS
from sidecar.sketch.distribution import FloatArray
from sidecar.sketch.kernels import IntArray

Int32Array = npt.NDArray[np.int32]
Array = TypeVar("Array", IntArray, FloatArray, Int32Array)
CountValues = Callable[
    [
        FloatArray, IntArray, IntArray, IntArray, IntArray, FloatArray, IntArray,
        IntArray, IntArray, FloatArray, FloatArray, Int32Array,
    ],
    int,
]  # fmt: skip
"""The kernel, compiled or not; `ColumnTable.count` calls it."""

LARGEST = sys.float_info.max
NOT_COUNTED = -LARGEST
"""In place of a value that a row need not have, such as the tokens of an answer that failed.

A number, because the bits of a NaN survive neither arithmetic nor every way into an array; and one
that nothing measures: a feature that really has this value is not counted there.
"""


def count_values(
    values: FloatArray,
    bases: IntArray,
    failed: IntArray,
    latency_ns: IntArray,
    words: IntArray,
    sums: FloatArray,
    outside: IntArray,
    geometry: IntArray,
    columns: IntArray,
    scales: FloatArray,
    trees: FloatArray,
    targets: Int32Array,
) -> int:
    """Count every row in its blocks; the return value is how many were left out.

    values:      float64[row, column]   see the module's text
    bases:       int64[row, key]        where the row's block of each segment key begins in `words`
    failed:      int64[row]             1: the exchange failed, else 0
    latency_ns:  int64[row]             below 0: not measured
    words:       int64[layout.words]    the area
    sums:        float64[layout.words]  the same memory
    outside:     int64[row]             written: how many values of the row lie outside the
                                        reference: in an outermost bucket, in `other`, at infinity;
                                        -1: the row was left out
    geometry:    int64[3]               where the first block begins, words of a block, and the
                                        block counter of rows (that of failed ones follows)
    columns:     int64[column, 5]       levels of the tree (2 or more; 0: categorical), where the
                                        tree begins, the last bucket of values, where the column's
                                        counts begin in a block, where its targets begin
    scales:      float64[column, 2]     center and reach of what is summed
    trees:       float64[...]           see the module's text
    targets:     int32[bucket, 2]       where in a block a bucket's bin counts failures (latencies
                                        follow), and where the bucket's sum is (-1: it has none)

    Compiled code checks no bounds, so this does: a row with a base at which no block begins is left
    out whole. The shapes are `ColumnTable.count`'s to check. Rows are meant to come in batches of
    some hundreds, whose numbers and positions fit the nearest cache too.
    """
    rows, column_count = values.shape
    keys = bases.shape[1]
    blocks_at, block_words, counter = geometry[0], geometry[1], geometry[2]
    last_base = words.shape[0] - block_words
    left_out = 0
    for row in range(rows):
        outside[row] = 0
        for key in range(keys):
            base = bases[row, key]
            if base < blocks_at or base > last_base or (base - blocks_at) % block_words != 0:
                outside[row] = -1
        if outside[row] < 0:
            left_out += 1
            continue
        for key in range(keys):
            words[bases[row, key] + counter] += 1
            words[bases[row, key] + counter + 1] += failed[row]

    numbers = np.empty(rows, np.float64)
    positions = np.empty(rows, np.uint32)  # unsigned: Numba would look out for negative ones
    buckets = np.empty(rows, np.int64)
    for column in range(column_count):
        levels, tree_at, overflow = columns[column, 0], columns[column, 1], columns[column, 2]
        counts_at, targets_at = columns[column, 3], columns[column, 4]
        center, reach = scales[column, 0], scales[column, 1]
        leaves = 1 << levels
        tree = trees[tree_at : tree_at + leaves]

        for row in range(rows):
            numbers[row] = values[row, column]
        if levels != 0:
            left, root, right = tree[2], tree[1], tree[3]
            for row in range(rows):
                number = numbers[row]
                positions[row] = 4 + (left <= number) + (root <= number) + (right <= number)
            for _ in range(levels - 2):
                for row in range(rows):
                    position = positions[row]
                    positions[row] = 2 * position + (tree[position] <= numbers[row])

        for row in range(rows):
            number = numbers[row]
            if outside[row] < 0 or number == NOT_COUNTED:
                buckets[row] = -1
            elif abs(number) <= LARGEST:
                bucket = overflow
                if levels != 0:
                    bucket = np.int64(positions[row]) - leaves
                    outside[row] += bucket == 0
                elif 0 <= number < overflow:
                    bucket = int(number)
                outside[row] += bucket == overflow
                buckets[row] = bucket
            elif number != number:  # noqa: PLR0124 -- NaN
                buckets[row] = overflow + 1
            else:
                buckets[row] = overflow + 2 if levels != 0 else overflow
                outside[row] += 1

        for key in range(keys):
            for row in range(rows):
                bucket = buckets[row]
                if bucket < 0:
                    continue
                base = bases[row, key]
                bin_target = base + targets[targets_at + bucket, 0]
                sum_target = targets[targets_at + bucket, 1]
                words[base + counts_at + bucket] += 1
                words[bin_target] += failed[row]
                words[bin_target + 1] += max(latency_ns[row], 0)
                if sum_target >= 0:
                    sums[base + sum_target] += min(max(numbers[row] - center, -reach), reach)
    return left_out


@dataclass(frozen=True, slots=True, eq=False)
class ColumnTable:
    """Columns of an area as the kernel takes them; the arrays are read-only, see `count_values`."""

    layout: AreaLayout
    geometry: IntArray
    columns: IntArray
    scales: FloatArray
    trees: FloatArray
    targets: Int32Array

    @classmethod
    def of_columns(cls, layout: AreaLayout) -> Self:
        """For rows: counts them in `ROWS` and `FAILED_ROWS`."""
        return cls._of(layout, layout.places[: len(layout.columns)], BlockCounter.ROWS)

    @classmethod
    def of_measures(cls, layout: AreaLayout) -> Self:
        """For requests: counts them in `REQUESTS` and `FAILED`."""
        return cls._of(layout, layout.places[len(layout.columns) :], BlockCounter.REQUESTS)

    @classmethod
    def _of(cls, layout: AreaLayout, places: tuple[Place, ...], counter: BlockCounter) -> Self:
        trees = [_tree(place.column.edges) for place in places]
        targets = [_targets(layout, place) for place in places]
        columns = [
            (
                len(tree).bit_length() - 1,
                tree_at,
                place.column.value_buckets - 1,
                layout.counts.start + place.counts.start,
                targets_at,
            )
            for place, tree, tree_at, targets_at in zip(
                places, trees, _starts(trees), _starts(targets), strict=True
            )
        ]
        scales = [(place.column.center, place.column.reach) for place in places]
        return cls(
            layout,
            _frozen(np.array([layout.blocks_at, layout.block_words, counter])),
            _frozen(np.array(columns, dtype=np.int64).reshape(-1, 5)),
            _frozen(np.array(scales, dtype=np.float64).reshape(-1, 2)),
            _frozen(np.concatenate([np.empty(0), *trees])),
            _frozen(np.concatenate([np.empty((0, 2), np.int32), *targets])),
        )

    def count(
        self,
        count_values: CountValues,
        values: FloatArray,
        bases: IntArray,
        failed: IntArray,
        latency_ns: IntArray,
        area: IntArray,
        outside: IntArray,
    ) -> int:
        """Count rows in `area: int64[layout.words]`; see the kernel for the arrays (C-contiguous).

        Returns how many rows were left out because they named no block. Raises ValueError when the
        shapes do not fit together; then nothing was counted.
        """
        rows = len(values)
        shapes = (values.shape, len(bases), failed.shape, latency_ns.shape, outside.shape)
        fit = ((rows, len(self.columns)), rows, (rows,), (rows,), (rows,))
        if shapes != fit or area.shape != (self.layout.words,):
            raise ValueError(f"{area.shape} words and arrays of {shapes} where {fit} fit")
        return count_values(
            *(values, bases, failed, latency_ns, area, area.view(np.float64), outside),
            *(self.geometry, self.columns, self.scales, self.trees, self.targets),
        )


def _tree(edges: tuple[float, ...]) -> FloatArray:
    """The edges as a perfect tree in breadth-first order, `2 ** levels` numbers; see the module.

    A categorical column has one of no levels, `[inf]`. Node `2 ** level + i` is the `i`-th of its
    level from the left, and of sorted edges the one at `(2 i + 1) 2 ** (levels - 1 - level) - 1`.
    """
    levels = len(edges).bit_length()
    tree = np.full(1 << levels, np.inf)
    ordered = np.full((1 << levels) - 1, np.inf)
    ordered[: len(edges)] = edges
    for level in range(levels):
        stride = 1 << (levels - 1 - level)
        tree[1 << level : 2 << level] = ordered[stride - 1 :: 2 * stride]
    return tree


def _targets(layout: AreaLayout, place: Place) -> Int32Array:
    """`int32[column.width, 2]`: the targets of a column's buckets."""
    column = place.column
    targets = np.full((column.width, 2), -1, dtype=np.int32)
    buckets = np.arange(column.value_buckets)
    bins = np.arange(layout.block_words)[layout.failed][place.bins]
    targets[:-SPECIALS, 0] = bins[np.searchsorted(column.bins, buckets, side="right") - 1]
    targets[-SPECIALS:, 0] = bins[-SPECIALS:]
    first_sum = layout.sums.start + place.sums.start
    targets[list(column.summed), 1] = first_sum + np.arange(len(column.summed))
    return targets


def _starts(parts: Sequence[Sized]) -> list[int]:
    """Where each part begins when all are laid side by side."""
    return [0, *accumulate(map(len, parts))][: len(parts)]


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
