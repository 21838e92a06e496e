"""Counts over edges, and the sum of what was counted: values that add and subtract.

A histogram is the whole truth about a column between two moments: the sum of two is what both saw
(workers, models), the difference of a later and an earlier one is what happened between them (a
window). Quantiles come with the cell they stand in, because the counts know no more than that.

Must not know: memory layouts, clocks, Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sidecar.sketch.edges import Edges


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile: the cell `[lower, upper)` that holds it, and an estimate inside the cell."""

    lower: float
    upper: float
    estimate: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Histogram:
    """`counts: int64[edges + 1]` (read-only) over `edges`, and the exact `total` of the values.

    Raises ValueError when counts and edges do not fit, or a count is negative.
    """

    edges: Edges
    counts: npt.NDArray[np.int64]
    total: int | float = 0

    def __post_init__(self) -> None:
        counts = np.array(self.counts, dtype=np.int64, order="C")
        if counts.shape != (self.edges.bucket_count,):
            raise ValueError(f"{counts.shape} counts for {self.edges.bucket_count} buckets")
        if (counts < 0).any():
            raise ValueError("counts are never negative")
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)

    @classmethod
    def empty(cls, edges: Edges) -> Self:
        """Nothing counted yet: the neutral element of `merge`."""
        return cls(edges=edges, counts=np.zeros(edges.bucket_count, dtype=np.int64))

    @property
    def count(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        """The exact mean, or None when nothing was counted."""
        return self.total / self.count if self.count else None

    def merge(self, other: Histogram) -> Histogram:
        """What both counted. Raises ValueError unless the edges are equal."""
        self._require_same_edges(other)
        return Histogram(
            edges=self.edges, counts=self.counts + other.counts, total=self.total + other.total
        )

    def since(self, earlier: Histogram) -> Histogram:
        """What was counted between `earlier` and now: the difference of two snapshots.

        Raises ValueError unless the edges are equal and no count has fallen.
        """
        self._require_same_edges(earlier)
        return Histogram(
            edges=self.edges, counts=self.counts - earlier.counts, total=self.total - earlier.total
        )

    def count_below(self, bound: float) -> int:
        """How many values are below `bound`: exact at an edge, else at the next edge at or below it.

        From the last edge on the answer is everything below the last edge: how far the overflow
        reaches is not known. An infinite bound counts everything.
        """
        if bound == np.inf:
            return self.count
        edges_at_or_below = self.edges.bucket_of(bound)
        return int(self.counts[:edges_at_or_below].sum())

    def quantile(self, q: float) -> Quantile | None:
        """The value of rank `ceil(q * n)` (the smallest for q = 0), or None when nothing was counted.

        The cell is exact: that order statistic lies in `[lower, upper)`. The estimate is linear by rank
        inside the cell; in the outermost buckets it is the one finite edge. Cost: one cumulative sum.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile is between 0 and 1, not {q}")
        if not self.count:
            return None
        cumulative = np.cumsum(self.counts)
        rank = max(int(np.ceil(q * float(cumulative[-1]))), 1)
        bucket = int(np.searchsorted(cumulative, rank, side="left"))
        lower, upper = self.edges.bounds(bucket)
        if lower == -np.inf:
            return Quantile(lower=lower, upper=upper, estimate=upper)
        if upper == np.inf:
            return Quantile(lower=lower, upper=upper, estimate=lower)
        in_cell = int(self.counts[bucket])
        position = (rank - (int(cumulative[bucket]) - in_cell) - 0.5) / in_cell
        return Quantile(lower=lower, upper=upper, estimate=lower + position * (upper - lower))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Histogram)
            and self.edges == other.edges
            and self.total == other.total
            and bool(np.array_equal(self.counts, other.counts))
        )

    def __hash__(self) -> int:
        return hash((self.edges, self.total, self.counts.tobytes()))

    def _require_same_edges(self, other: Histogram) -> None:
        if self.edges != other.edges:
            raise ValueError("histograms over different edges neither add nor subtract")
