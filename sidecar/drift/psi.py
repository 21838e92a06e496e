"""The population stability index, as it is shown and as it is judged.

    PSI = sum over bins of (q - p) ln(q / p)        p, q: shares of the reference and the window

It is the symmetrised Kullback-Leibler divergence (Jeffreys 1946), 0 for equal shares and at least 0
always; by custom of credit scoring 0.1 is worth a look and 0.25 a large shift (Siddiqi 2006). The
bins are those of the column: ten of equal frequency in the reference, or the categories.

A bin that one side has not seen would make it infinite, so shares are bounded from below, in one of
two ways: *shown* is what everybody else computes, shares floored at 1e-4; *judged* is the PSI of
smoothed shares (count + 1/2)/(n + B/2), whose law for equal populations is known: times h it is
nearly chi-square with B - 1 degrees of freedom, and noncentral by h times the true PSI otherwise
(Yurdakul 2018). Both cost one pass over the bins.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sidecar.drift.special import FloatArray
from sidecar.sketch.kernels import IntArray

FLOOR = 1e-4
"""Least share in the PSI that is shown; a bin empty on one side then weighs about 0.1 ln(1000)."""

_CONFIDENCE_Z = 1.959963984540054  # of 95 %


def psi(reference: IntArray, current: IntArray) -> float:
    """PSI of `int64[bins]` counts, shares floored at 1e-4. Raises ValueError when a side is
    empty."""
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        raise ValueError("PSI compares shares, and one side has counted nothing")
    p, q = np.maximum(reference / n, FLOOR), np.maximum(current / m, FLOOR)
    return float(((q - p) * np.log(q / p)).sum())


def smoothed_psi(
    reference: IntArray, current: IntArray, bins: npt.NDArray[np.int64] | int
) -> FloatArray:
    """PSI of shares (count + 1/2)/(n + B/2), along the last axis: `float64[...]`.

    reference, current: `int64[..., width]`; only the first `bins` of the last axis count, so that
    columns with different numbers of bins stand in one array.
    """
    used = np.arange(reference.shape[-1]) < np.asarray(bins)[..., None]
    half = np.asarray(bins) / 2
    p = _smoothed(reference, used, half)
    q = _smoothed(current, used, half)
    terms = np.where(used, (q - p) * np.log(q / p), 0.0)
    total: FloatArray = terms.sum(axis=-1)
    return total


def psi_interval(
    value: npt.ArrayLike, df: npt.ArrayLike, h: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """95 % confidence interval of the true PSI behind a smoothed one.

    From sqrt(X - (df - 1)/2), which is nearly normal with variance 1 around sqrt(nc + (df - 1)/2)
    for X noncentral chi-square (Johnson, Kotz, Balakrishnan 1995, 29.8). h: effective size
    1/(phi/n + phi/m).
    """
    freedom, size = np.asarray(df, np.float64), np.asarray(h, np.float64)
    offset = (freedom - 1) / 2
    root = np.sqrt(np.maximum(np.asarray(value) * size - offset, 0.0))
    low = np.maximum(root - _CONFIDENCE_Z, 0.0) ** 2 - offset
    high = (root + _CONFIDENCE_Z) ** 2 - offset
    return np.maximum(low, 0.0) / size, np.maximum(high, 0.0) / size


def _smoothed(counts: IntArray, used: npt.NDArray[np.bool_], half: FloatArray) -> FloatArray:
    kept = np.where(used, counts, 0)
    shares: FloatArray = (kept + 0.5) / (kept.sum(axis=-1) + half)[..., None]
    return shares
