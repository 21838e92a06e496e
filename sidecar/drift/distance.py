"""How far apart two distributions are: effects without a verdict.

Must not know: sample sizes (a distance has no p value here), thresholds.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from sidecar.drift.special import FloatArray
from sidecar.model import ColumnKind
from sidecar.sketch.columns import Column
from sidecar.sketch.distribution import Distribution
from sidecar.sketch.kernels import IntArray


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


def wasserstein(reference: Distribution, current: Distribution) -> float:
    """W1, the area between the distribution functions, in units of the value.

        W1 = integral |F(x) - G(x)| dx

    The values of a bucket stand where `positions` puts them, for either side by itself where sums
    are kept; so a shift far into the tails is measured exactly, and the error inside is below the
    width of the cells. One pass over the buckets. Reference: Villani, Optimal Transport (2009), 6;
    for one dimension Vallender, Theory Prob. Appl. 18 (1974). Raises ValueError: categories, or an
    empty side.
    """
    here, there = positions(reference), positions(current)
    if not reference.count or not current.count:
        raise ValueError("a distance compares shares, and one side has counted nothing")
    p, q = reference.values / reference.count, current.values / current.count
    # Where a side has no value in a bucket, its position is of no weight: put it at the other's.
    here = np.where(reference.values > 0, here, there)
    there = np.where(current.values > 0, there, here)
    some = (reference.values > 0) | (current.values > 0)
    here, there, p, q = here[some], there[some], p[some], q[some]
    first = here <= there
    places = np.empty(2 * len(here))
    places[0::2], places[1::2] = np.minimum(here, there), np.maximum(here, there)
    steps = np.empty_like(places)
    steps[0::2], steps[1::2] = np.where(first, p, -q), np.where(first, -q, p)
    return float((np.abs(np.cumsum(steps)[:-1]) * np.diff(places)).sum())


def scale(reference: Distribution) -> float | None:
    """What W1 is divided by: the reference's interquartile range; None when it has no spread.

    Where half of the values are one atom the range is 0, and the standard deviation stands in. The
    range is preferred because heavy tails do not inflate it.
    """
    if not reference.count:
        return None
    places = positions(reference)
    running = np.cumsum(reference.values)
    low, high = (
        places[np.searchsorted(running, share * running[-1], side="left")] for share in (0.25, 0.75)
    )
    if high > low:
        return float(high - low)
    weights = reference.values / reference.count
    center = float((weights * places).sum())
    deviation = sqrt(float((weights * (places - center) ** 2).sum()))
    return deviation if deviation > 1e-12 * max(abs(center), 1e-300) else None


def mean(distribution: Distribution) -> float | None:
    """The mean of a numeric column: exact where sums are kept, midpoints elsewhere. None: empty."""
    if not distribution.count:
        return None
    return float((distribution.values * positions(distribution)).sum() / distribution.count)


def positions(distribution: Distribution) -> FloatArray:
    """Where the values of each bucket stand: `float64[column.value_buckets]`, rising.

    Where sums are kept, their mean; the value itself in an atom's bucket `[v, nextafter(v))`; the
    midpoint of other cells; the finite edge of an outermost bucket without a sum. Raises ValueError
    (categories).
    """
    column = distribution.column
    if column.kind is not ColumnKind.NUMERIC:
        raise ValueError(f"{column.name} has categories, which stand nowhere on a line")
    places = _resting(column)
    summed = np.asarray(column.summed, np.intp)
    counts = distribution.values[summed]
    filled = counts > 0
    at = summed[filled]
    places[at] = column.center + distribution.sums[filled] / counts[filled]
    # A mean of floats may fall outside its cell by rounding, and the order must hold.
    edges = np.asarray(column.edges)
    lower = np.concatenate(([-np.inf], edges))
    upper = np.concatenate((edges, [np.inf]))
    places[at] = np.clip(places[at], lower[at], upper[at])
    return places


def _resting(column: Column) -> FloatArray:
    edges = np.asarray(column.edges)
    middle = edges[:-1] / 2 + edges[1:] / 2
    atom = edges[1:] == np.nextafter(edges[:-1], np.inf)
    return np.concatenate((edges[:1], np.where(atom, edges[:-1], middle), edges[-1:]))


def _relative_entropy(p: FloatArray, q: FloatArray) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
