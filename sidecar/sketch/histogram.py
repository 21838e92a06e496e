"""Counts over edges, and the sum of what was counted: values that add and subtract.

A histogram is all that is known of a column between two moments. The sum of two is what both saw
(workers, models); the difference of a later and an earlier one is what came between them (a
window). A quantile comes with the cell it stands in, because the counts know no more than that.

Must not know: memory, clocks, Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sidecar.sketch.edges import Edges


@dataclass(frozen=True, slots=True)
class Quantile:
    """The cell `[lower, upper)` that holds the quantile, and an estimate inside it."""

    lower: float
    upper: float
    estimate: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Histogram:
    """`counts: int64[edges + 1]` (read-only) over `edges`, and the `total` of the values.

    Totals of integers are exact, and so `merge` is associative and commutative. Raises ValueError
    when counts and edges do not fit, or a count is negative.
    """

    edges: Edges
    counts: npt.NDArray[np.int64]
    total: int | float = 0

    def __post_init__(self) -> None:
        counts = np.array(self.counts, dtype=np.int64, order="C")
        if counts.shape != (self.edges.bucket_count,):
            raise ValueError(f"{counts.shape} counts for {self.edges.bucket_count} buckets")
        if (counts < 0).any():
            raise ValueError("a count is negative")
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)

    @classmethod
    def empty(cls, edges: Edges) -> Self:
        """Nothing counted yet: `merge` with it changes nothing."""
        return cls(edges=edges, counts=np.zeros(edges.bucket_count, dtype=np.int64))

    @property
    def count(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        """The mean of the values themselves, not of their cells; None when there are none."""
        count = self.count
        return self.total / count if count else None

    def merge(self, other: Self) -> Self:
        """What both counted. Raises ValueError unless the edges are equal."""
        self._require_same_edges(other)
        return type(self)(
            edges=self.edges, counts=self.counts + other.counts, total=self.total + other.total
        )

    def since(self, earlier: Self) -> Self:
        """What was counted after `earlier`, a snapshot of the same histogram.

        Raises ValueError when the edges differ or a count is now lower: it was not the same.
        """
        self._require_same_edges(earlier)
        return type(self)(
            edges=self.edges, counts=self.counts - earlier.counts, total=self.total - earlier.total
        )

    def count_below(self, bound: float) -> int:
        """How many values are below `bound`: exact at an edge, else as of the edge before it."""
        if bound == np.inf:
            return self.count  # the overflow is below infinity, and below no other bound for sure
        return int(self.counts[: self.edges.bucket_of(bound)].sum())

    def quantile(self, q: float) -> Quantile | None:
        """The value of rank `ceil(q * count)`, at least 1 (inverse of the empirical CDF).

        That value lies in the cell for certain. The estimate places the values of a cell at even
        distances in it; in the outermost buckets it is their finite edge. None when nothing was
        counted. Raises ValueError unless 0 <= q <= 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile is between 0 and 1, not {q}")
        ranks = np.cumsum(self.counts)
        count = int(ranks[-1])
        if not count:
            return None
        rank = max(int(np.ceil(q * count)), 1)
        bucket = int(np.searchsorted(ranks, rank, side="left"))
        lower, upper = self.edges.bounds(bucket)
        if np.isinf(lower) or np.isinf(upper):
            return Quantile(lower, upper, estimate=upper if np.isinf(lower) else lower)
        in_cell = int(self.counts[bucket])
        before = int(ranks[bucket]) - in_cell
        position = (rank - before - 0.5) / in_cell
        # The cell is half open: one that holds a single value `[v, next float)` is read back as v.
        estimate = min(lower + position * (upper - lower), float(np.nextafter(upper, lower)))
        return Quantile(lower, upper, estimate=estimate)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Histogram)
            and self.edges == other.edges
            and self.total == other.total
            and bool(np.array_equal(self.counts, other.counts))
        )

    def __hash__(self) -> int:
        return hash((self.edges, self.total, self.counts.tobytes()))

    def _require_same_edges(self, other: Self) -> None:
        if self.edges != other.edges:
            raise ValueError("histograms over different edges neither add nor subtract")
