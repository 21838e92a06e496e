"""Intervals that cover the true value of a figure in 95 of 100 cases.

Both assume rows that are independent of each other; of dependent ones (many rows of few customers)
the intervals are too narrow.

Must not know: what the figures mean.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Final

import numpy as np

from sidecar.baseline.edges import FloatArray
from sidecar.baseline.records import Estimate, Method

LEVEL: Final = 0.95
REPLICATES: Final = 400

_Z: Final = 1.959963984540054  # the normal quantile of 0.975
# Values drawn at a time, so that memory stays bounded whatever the number of replicates.
_DRAWN_AT_ONCE: Final = 4_000_000


def proportion(hits: int, n: int) -> Estimate:
    """`hits / n` with Wilson's score interval. Raises ValueError when n is 0.

        (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n)

    Unlike p ± z sqrt(p(1 - p)/n) it stays within 0..1 and is honest for p near 0 and 1 and small n
    (E. B. Wilson, JASA 22, 1927; Brown, Cai, DasGupta, Statist. Sci. 16, 2001).
    """
    if n < 1:
        raise ValueError("a proportion of nothing")
    share, z2 = hits / n, _Z * _Z
    middle = share + z2 / (2 * n)
    reach = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = ((middle + side * reach) / (1 + z2 / n) for side in (-1, 1))
    return Estimate(
        value=share,
        low=0.0 if hits == 0 else low,  # both are exact but for the last bit
        high=1.0 if hits == n else high,
        n=n,
        method=Method.WILSON,
        level=LEVEL,
    )


def bootstrap(
    figures: Callable[[FloatArray], dict[str, FloatArray]],
    counts: FloatArray,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    """Figures of counted things, with percentile intervals of the Poisson bootstrap.

    `counts: float64[k]` says how many rows are alike (1 each, when all differ), and `figures` takes
    `float64[replicate, k]` of such counts to one value per replicate and figure; NaN when it has
    none. A replicate counts each row a Poisson(1) number of times, which for many rows is the same
    as drawing rows with replacement (Efron 1979; Hanley, MacGibbon 2006); rows that are alike need
    one number only. Cost: `REPLICATES * k` draws, the same every time for the same `rng`.
    """
    n = round(float(counts.sum()))
    with np.errstate(over="ignore", invalid="ignore"):  # figures that leave the floats are none
        return _bootstrapped(figures, counts, n, rng)


def _bootstrapped(
    figures: Callable[[FloatArray], dict[str, FloatArray]],
    counts: FloatArray,
    n: int,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    values = {name: float(found[0]) for name, found in figures(counts[None, :]).items()}
    drawn: dict[str, list[FloatArray]] = {name: [] for name in values}
    at_once = max(1, min(REPLICATES, _DRAWN_AT_ONCE // max(counts.size, 1)))
    for start in range(0, REPLICATES, at_once):
        shape = (min(at_once, REPLICATES - start), counts.size)
        resampled = rng.poisson(counts, shape).astype(np.float64)
        for name, found in figures(resampled).items():
            drawn[name].append(found)
    return {
        name: _percentiles(value, np.concatenate(drawn[name]), n)
        for name, value in values.items()
        if np.isfinite(value)
    }


def _percentiles(value: float, replicates: FloatArray, n: int) -> Estimate:
    finite = replicates[np.isfinite(replicates)]
    low: float | None = None
    high: float | None = None
    if n > 1 and finite.size:
        tail = (1 - LEVEL) / 2
        low, high = (float(bound) for bound in np.quantile(finite, [tail, 1 - tail]))
    return Estimate(value=value, low=low, high=high, n=n, method=Method.BOOTSTRAP, level=LEVEL)
