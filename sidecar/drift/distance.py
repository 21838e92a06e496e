"""How far apart two distributions are: effects without a verdict.

Must not know: sample sizes (a distance has no p value here), thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Self

import numpy as np

from sidecar.drift.special import FloatArray
from sidecar.model import ColumnKind
from sidecar.sketch.distribution import Distribution
from sidecar.sketch.kernels import IntArray

_ROUNDING = 1e-12
"""A standard deviation below this part of the mean is rounding."""


def jensen_shannon(reference: IntArray, current: IntArray) -> float:
    """Jensen-Shannon *divergence* in bits, 0 (equal) to 1 (disjoint); its root is the distance.

        JSD = H((p + q)/2) - (H(p) + H(q))/2,    H(p) = -sum p log2 p

    Taken over the bins of drift, not over all cells: an estimate from K buckets is biased upwards
    by about (K - 1)/(8 ln 2 h). Needs no floor: a bin that one side has not seen is finite. One
    pass. Reference: J. Lin, IEEE Trans. Inf. Theory 37 (1991); the root is a metric (Endres,
    Schindelin 2003). Raises ValueError when a side is empty.
    """
    n, m = reference.sum(), current.sum()
    if not n or not m:
        raise ValueError("a divergence compares shares, and one side has counted nothing")
    p, q = reference / n, current / m
    middle = (p + q) / 2
    return min(max((_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Placed:
    """A numeric distribution as masses on a line, in order.

    places: float64[column.value_buckets]    where the values of each bucket stand, rising
    shares: float64[column.value_buckets]    of all values; 0 everywhere when there are none
    """

    places: FloatArray
    shares: FloatArray

    @classmethod
    def of(cls, distribution: Distribution) -> Self:
        """Where sums are kept, values stand at their mean; elsewhere where the cell says.

        That is the value itself in an atom's cell `[v, nextafter(v))`, the middle of other cells,
        and the finite edge of an outermost bucket without a sum. Raises ValueError (categories).
        """
        column, values = distribution.column, distribution.values
        if column.kind is not ColumnKind.NUMERIC:
            raise ValueError(f"{column.name} has categories, which stand nowhere on a line")
        edges = np.array(column.edges)
        places = _resting(edges)
        summed = np.array(column.summed, np.intp)
        filled = values[summed] > 0
        at = summed[filled]
        means = column.center + distribution.sums[filled] / values[at]
        # A mean of floats may fall outside its cell by rounding, and the order must hold.
        lower = np.concatenate(([-np.inf], edges))
        upper = np.concatenate((edges, [np.inf]))
        places[at] = np.clip(means, lower[at], upper[at])
        return cls(places, values / max(int(values.sum()), 1))

    @property
    def mean(self) -> float:
        """The mean: exact where sums are kept."""
        return float(self.shares @ self.places)

    @property
    def spread(self) -> float | None:
        """The interquartile range; the standard deviation where that is 0; None without spread.

        The range comes first because heavy tails do not inflate it; it is 0 where one value makes
        up half of all.
        """
        running = np.cumsum(self.shares)
        ranks = np.searchsorted(running, np.array([0.25, 0.75]) * running[-1])
        low, high = self.places[ranks]
        if high > low:
            return float(high - low)
        center = self.mean
        deviation = sqrt(float(self.shares @ (self.places - center) ** 2))
        return deviation if deviation > _ROUNDING * abs(center) else None


def wasserstein(reference: Placed, current: Placed) -> float:
    """W1, the area between the distribution functions, in units of the value.

        W1 = integral |F(x) - G(x)| dx

    Exact where sums are kept, and so for shifts far into the tails; the error inside is below the
    width of the cells. One pass over the buckets. Reference: S. S. Vallender, Theory Prob. Appl. 18
    (1974); Villani, Optimal Transport (2009), 6. Both sides are of one column, and neither is
    empty.
    """
    p, q = reference.shares, current.shares
    # Where a side has nothing in a bucket, its place there is of no weight: put it at the other's.
    here = np.where(p > 0, reference.places, current.places)
    there = np.where(q > 0, current.places, reference.places)
    first = here <= there
    places = np.column_stack((np.minimum(here, there), np.maximum(here, there))).ravel()
    steps = np.column_stack((np.where(first, p, -q), np.where(first, -q, p))).ravel()
    return float(np.abs(np.cumsum(steps)[:-1]) @ np.diff(places))


def _resting(edges: FloatArray) -> FloatArray:
    """Where values stand by the edges alone."""
    middle = edges[:-1] / 2 + edges[1:] / 2
    atom = edges[1:] == np.nextafter(edges[:-1], np.inf)
    return np.concatenate((edges[:1], np.where(atom, edges[:-1], middle), edges[-1:]))


def _relative_entropy(p: FloatArray, q: FloatArray) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
