"""Do two samples come from one population? The classic tests, from counts.

Both p values answer "could this be chance alone?", and large samples answer no to any trifle. They
are evidence beside the gate, which asks whether the shift matters. Dependence is accounted for by
effective sizes: h = 1/(phi_n/n + phi_m/m) takes the place of n m/(n + m).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from sidecar.drift.special import chi2_sf, kolmogorov_sf
from sidecar.sketch.kernels import IntArray


@dataclass(frozen=True, slots=True)
class KolmogorovSmirnov:
    """D, the largest difference of the distribution functions, and how likely chance makes it."""

    d: float
    p: float


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """Pearson's statistic, how likely chance makes it, and the strength of the association."""

    statistic: float
    df: int
    p: float
    cramers_v: float


def kolmogorov_smirnov(
    reference: IntArray, current: IntArray, size: float | None = None
) -> KolmogorovSmirnov:
    """Two-sample KS from counts of the same buckets, in order of their values.

        D = max over bucket ends of |F - G|,    p = P(K > (sqrt(h) + 0.12 + 0.11/sqrt(h)) D)

    D is exact at the ends of buckets (atoms have buckets of their own) and misses at most what lies
    within the fullest bucket. p assumes a continuous law and is conservative for others (Stephens,
    J. R. Stat. Soc. B 32, 1970). One cumulative sum. size: h; n m/(n + m) when left out. Raises
    ValueError when a side is empty.
    """
    n, m = _counts(reference, current)
    d = float(np.abs(np.cumsum(reference) / n - np.cumsum(current) / m).max())
    root = sqrt(n * m / (n + m) if size is None else size)
    return KolmogorovSmirnov(d, kolmogorov_sf((root + 0.12 + 0.11 / root) * d))


def chi_square(reference: IntArray, current: IntArray, size: float | None = None) -> ChiSquare:
    """Pearson's chi-square of the 2 x B table, bins empty on both sides left out.

        X^2 = sum (count - expected)^2 / expected,    V = sqrt(X^2 / (n + m))

    X^2 is divided by the design effect (Rao and Scott 1984), V is not: it is an effect, between 0
    and 1 (Cramer 1946). Assumes that few cells expect fewer than 5. size: h; n m/(n + m) when left
    out. Raises ValueError when a side is empty.
    """
    n, m = _counts(reference, current)
    totals = reference + current
    seen = totals > 0
    df = int(seen.sum()) - 1
    # Both rows' terms in one: (a - n t/N)^2 (1/(n t/N) + 1/(m t/N)), with t the bin's total.
    p, q = reference[seen] / n, current[seen] / m
    pure = float(((p - q) ** 2 / totals[seen]).sum()) * n * m
    corrected = pure * (1.0 if size is None else size * (n + m) / (n * m))
    return ChiSquare(
        statistic=corrected,
        df=df,
        p=float(chi2_sf(corrected, df)) if df else 1.0,
        cramers_v=sqrt(min(pure / (n + m), 1.0)),
    )


def _counts(reference: IntArray, current: IntArray) -> tuple[int, int]:
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        raise ValueError("a test compares two samples, and one side has counted nothing")
    return n, m
