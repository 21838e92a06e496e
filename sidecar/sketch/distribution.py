"""What was counted of one column between two moments: a value that adds and subtracts.

A baseline holds distributions, a window is the difference of two, a fleet or segment view the sum
of many. Like `Histogram`, which serves latencies, but with the column's own meaning of buckets.

Must not know: where counts come from, what drift is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sidecar.model import ColumnKind
from sidecar.sketch.columns import MISSING, NONFINITE, Column
from sidecar.sketch.edges import Edges
from sidecar.sketch.histogram import Histogram, Quantile
from sidecar.sketch.kernels import IntArray

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Counts of a column, read-only. Raises ValueError when the shapes do not fit the column.

    counts: int64[column.width]
    sums:   float64[len(column.summed)]    of `value - column.center`
    """

    column: Column
    counts: IntArray
    sums: FloatArray

    def __post_init__(self) -> None:
        counts = np.array(self.counts, dtype=np.int64, order="C")
        sums = np.array(self.sums, dtype=np.float64, order="C")
        if counts.shape != (self.column.width,) or sums.shape != (len(self.column.summed),):
            raise ValueError(
                f"{self.column.name}: {counts.shape} counts and {sums.shape} sums for "
                f"{self.column.width} and {len(self.column.summed)}"
            )
        if (counts < 0).any():
            raise ValueError(f"{self.column.name}: a count is negative")
        counts.flags.writeable = sums.flags.writeable = False
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "sums", sums)

    @classmethod
    def empty(cls, column: Column) -> Self:
        """Nothing counted yet."""
        return cls(
            column, np.zeros(column.width, np.int64), np.zeros(len(column.summed), np.float64)
        )

    @property
    def values(self) -> IntArray:
        """`int64[column.value_buckets]`: the counts of values."""
        counts: IntArray = self.counts[:MISSING]
        return counts

    @property
    def count(self) -> int:
        """How many values were counted; missing and infinite ones are none."""
        return int(self.values.sum())

    @property
    def missing(self) -> int:
        """How many were absent, null or NaN."""
        return int(self.counts[MISSING])

    @property
    def nonfinite(self) -> int:
        """How many were infinite."""
        return int(self.counts[NONFINITE])

    @property
    def rows(self) -> int:
        """All rows that were counted, whether they had a value or not."""
        return int(self.counts.sum())

    @property
    def binned(self) -> IntArray:
        """`int64[len(column.bins)]`: the values by the bins of drift."""
        counts: IntArray = np.add.reduceat(self.values, self.column.bins)
        return counts

    def merge(self, other: Self) -> Self:
        """What both counted. Raises ValueError unless the columns are equal."""
        self._require_same_column(other)
        return type(self)(self.column, self.counts + other.counts, self.sums + other.sums)

    def since(self, earlier: Self) -> Self:
        """What was counted after `earlier`, a snapshot of the same counters.

        Raises ValueError when the columns differ or a count is now lower.
        """
        self._require_same_column(earlier)
        return type(self)(self.column, self.counts - earlier.counts, self.sums - earlier.sums)

    def histogram(self) -> Histogram:
        """The values of a numeric column as a plain histogram. Raises ValueError (categorical)."""
        if self.column.kind is not ColumnKind.NUMERIC:
            raise ValueError(f"{self.column.name} has categories, not edges")
        return Histogram(edges=Edges.of(self.column.edges), counts=self.values)

    def quantile(self, q: float) -> Quantile | None:
        """The value of rank `ceil(q * count)` and the cell it is in; see `Histogram.quantile`."""
        return self.histogram().quantile(q)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Distribution)
            and self.column == other.column
            and bool(np.array_equal(self.counts, other.counts))
            and bool(np.array_equal(self.sums, other.sums))
        )

    def __hash__(self) -> int:
        return hash((self.column, self.counts.tobytes()))

    def _require_same_column(self, other: Self) -> None:
        if self.column != other.column:
            raise ValueError(f"{self.column.name} was counted in another way")
