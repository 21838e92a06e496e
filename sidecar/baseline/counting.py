"""Values counted into columns, with NumPy: what the workers' kernel does to traffic, for data.

Values come as `Values`: numbers as `float64[n]`, or a list of what JSON can hold. A column turns
them into numbers first (`as_numbers`), the same numbers as a worker makes of a request:

    NaN                missing
    value              numeric column
    index of category  categorical column; the number of categories stands for `other`

Must not know: where values come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sidecar.baseline.edges import FloatArray, IntArray
from sidecar.model import ColumnKind
from sidecar.model.categories import category_of
from sidecar.model.numbers import as_number
from sidecar.sketch.columns import MISSING, NONFINITE, Column
from sidecar.sketch.distribution import Distribution

Value = float | int | bool | str | None
Values = FloatArray | Sequence[Value]


def as_numbers(column: Column, values: Values) -> FloatArray:
    """`float64[n]` as the module says; of numeric columns, texts that read as numbers too."""
    if column.kind is ColumnKind.NUMERIC:
        return plain_numbers(values)
    return as_codes(column.categories, values)


def plain_numbers(values: Values) -> FloatArray:
    """`float64[n]`: numbers, texts that read as numbers, truths as 1 and 0; anything else NaN."""
    if isinstance(values, np.ndarray):
        return values
    return np.array([as_number(value) for value in values], dtype=np.float64)


def as_codes(categories: Sequence[str], values: Values) -> FloatArray:
    """`float64[n]`: the place of each value among the categories, after the last one: `other`."""
    codes = {category: float(code) for code, category in enumerate(categories)}
    other = float(len(codes))
    if isinstance(values, np.ndarray):
        distinct, places = np.unique(values, return_inverse=True)
        return as_codes(categories, distinct.tolist())[places]
    return np.array(
        [
            np.nan if value is None or _is_nan(value) else codes.get(category_of(value), other)
            for value in values
        ],
        dtype=np.float64,
    )


class Tally:
    """Counters of one column in `blocks` blocks, which rows are added to.

    counts: int64[block, column.width]
    sums:   float64[block, column.value_buckets]    of `value - column.center`
    """

    def __init__(self, column: Column, blocks: int = 1) -> None:
        self.column = column
        self._blocks = blocks
        self._counts = np.zeros((blocks, column.width), np.int64)
        self._sums = np.zeros((blocks, column.width), np.float64)

    def add(self, buckets: IntArray, deviations: FloatArray, block: IntArray | None = None) -> None:
        """Count rows by their bucket (see `buckets_of`) and block: `int64[n]` each."""
        at = buckets if block is None else block * self.column.width + buckets
        shape = self._counts.shape
        self._counts += np.bincount(at, minlength=self._counts.size).reshape(shape)
        self._sums += np.bincount(at, deviations, minlength=self._sums.size).reshape(shape)

    def distributions(self) -> tuple[Distribution, ...]:
        """What was counted, of each block."""
        summed = list(self.column.summed)
        return tuple(
            Distribution(self.column, self._counts[block], self._sums[block, summed])
            for block in range(self._blocks)
        )


def buckets_of(column: Column, numbers: FloatArray) -> tuple[IntArray, FloatArray]:
    """`int64[n]` counters and `float64[n]` deviations from the center, of `as_numbers`.

    Deviations are cut at the reach of the column; those of what is no value are 0.
    """
    if column.kind is ColumnKind.NUMERIC:
        buckets = np.searchsorted(column.edges, numbers, side="right")
    else:
        buckets = np.nan_to_num(numbers).astype(np.int64)
    missing, infinite = np.isnan(numbers), np.isinf(numbers)
    buckets[missing] = column.width + MISSING
    buckets[infinite] = column.width + NONFINITE
    with np.errstate(over="ignore", invalid="ignore"):
        deviations = np.clip(numbers - column.center, -column.reach, column.reach)
    return buckets.astype(np.int64), np.where(missing | infinite, 0.0, deviations)


def count(column: Column, numbers: FloatArray) -> Distribution:
    """The distribution of `numbers: float64[n]`, as `as_numbers` makes them."""
    tally = Tally(column)
    tally.add(*buckets_of(column, numbers))
    return tally.distributions()[0]


def _is_nan(value: Value) -> bool:
    return value != value  # noqa: PLR0124 - NaN alone differs from itself
