"""The gate: is a shift large enough to matter, and certainly so? For many columns at once.

With smoothed shares, PSI h is nearly noncentral chi-square with B - 1 degrees of freedom, shifted
by h times the true PSI, where h = 1/(phi_n/n + phi_m/m) is the effective size of the comparison
(n rows of the window, m of the reference).
The hypothesis that is tested is not "nothing changed", which any large sample refutes, but "the PSI
is at most `drift`", a minimum effect:

    p = P(ncx2(B - 1, drift h) > PSI h)

Benjamini and Hochberg's procedure bounds the share of false alarms among the columns of one window
and reference. Of a minimum-effect test most p values of a quiet day are near 1: these columns say
for sure that they have not shifted that much, and the others need not pay for them. So the
procedure runs over the columns with p <= 0.8, with p / 0.8, which given that condition is uniform
at PSI = `drift` and larger below it, since the noncentral chi-square family has a monotone
likelihood ratio (docs/adr/0005-columns-that-cannot-be-alarms.md has the figures).

Bins so rare that the smaller side expects fewer than 5 effective rows in them are judged as one
bin: the law above holds for none of them, and a long tail of categories, each smoothed by half a
row, would look like a shift where there is none.

References: B. Yurdakul, Statistical properties of PSI (2018), for the law; Murphy and Myors, J.
Applied Psychology 84 (1999), for minimum effects; Zhao, Small, Su, J. Am. Stat. Assoc. 114 (2019)
and Ellis, Pecanka, Goeman, Biostatistics 21 (2020), for setting conservative p values aside.

Must not know: names, windows, times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidecar.drift.psi import smoothed_psi
from sidecar.drift.settings import Thresholds
from sidecar.drift.special import FloatArray, ncx2_sf_screened
from sidecar.sketch.kernels import IntArray

BoolArray = npt.NDArray[np.bool_]

_LEAST_EXPECTED = 5.0
_CONSIDERED = 0.8
"""Columns with a larger p are no candidates for an alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """What the gate found, arrays `[..., columns]`; not a number where it was not judged.

    psi:        of smoothed shares, rare bins as one
    df:         number of bins less one
    size:       h, the effective size
    p:          of the minimum-effect test
    p_adjusted: over the last axis, see `adjust`
    enough:     whether both sides have `minimum` effective rows
    drift:      whether it alarms at all; `major`: also as a major one
    """

    psi: FloatArray
    df: IntArray
    size: FloatArray
    p: FloatArray
    p_adjusted: FloatArray
    enough: BoolArray
    drift: BoolArray
    major: BoolArray


def gate(
    reference: IntArray,
    current: IntArray,
    bins: npt.ArrayLike,
    *,
    thresholds: Thresholds,
    reference_phi: npt.ArrayLike = 1.0,
    current_phi: npt.ArrayLike = 1.0,
    drift: npt.ArrayLike | None = None,
    major: npt.ArrayLike | None = None,
    ignored: npt.ArrayLike = False,
) -> Gated:
    """Judge columns of any number of windows and segments; those of the last axis are a family.

    reference, current: `int64[..., columns, width]`, of which the first `bins` (`[columns]`) count
    reference_phi, current_phi, drift, major, ignored: broadcast to `[..., columns]`; `drift` and
    `major` take the place of the thresholds' own

    Cost: about 1 us per column besides the exact probabilities (12 us each), few on a quiet day.
    """
    reference, current = np.broadcast_arrays(reference, current)
    shape = reference.shape[:-1]
    phi_m, phi_n = (np.broadcast_to(phi, shape) for phi in (reference_phi, current_phi))
    least = np.broadcast_to(thresholds.drift if drift is None else drift, shape)
    large = np.broadcast_to(thresholds.major if major is None else major, shape)
    used = np.arange(reference.shape[-1]) < np.broadcast_to(bins, shape)[..., None]
    reference, current = np.where(used, reference, 0), np.where(used, current, 0)
    n, m = current.sum(axis=-1), reference.sum(axis=-1)
    rows = np.minimum(n / phi_n, m / phi_m)
    enough = rows >= thresholds.minimum
    judged = enough & ~np.broadcast_to(ignored, shape)
    size = 1 / (phi_n / np.maximum(n, 1) + phi_m / np.maximum(m, 1))

    reference, current, count = _rare_as_one(reference, current, used, rows)
    psi = smoothed_psi(reference, current, count)
    df = np.maximum(count - 1, 1)
    p = np.full(shape, np.nan)
    p[judged] = ncx2_sf_screened(
        psi[judged] * size[judged], df[judged], least[judged] * size[judged]
    )
    adjusted = adjust(p)
    drifted = judged & (adjusted <= thresholds.significance) & (psi >= least)
    return Gated(
        psi=np.where((n > 0) & (m > 0), psi, np.nan),
        df=df,
        size=size,
        p=p,
        p_adjusted=adjusted,
        enough=enough,
        drift=drifted,
        major=drifted & (psi >= large),
    )


def adjust(p: FloatArray) -> FloatArray:
    """Adjusted p values along the last axis, 1 where p > 0.8; NaN: not in the family.

    The least share of false alarms at which the column is still among the alarms, by Benjamini and
    Hochberg over the F columns with p <= 0.8: min over ranks j >= i of (p(j) / 0.8) F / j.
    References: J. R. Stat. Soc. B 57 (1995); under positive dependence Benjamini and Yekutieli,
    Annals of Statistics 29 (2001).
    """
    candidate = p <= _CONSIDERED
    conditional = np.where(candidate, p / _CONSIDERED, np.inf)
    order = np.argsort(conditional, axis=-1)
    ordered = np.take_along_axis(conditional, order, axis=-1)
    candidates = candidate.sum(axis=-1, keepdims=True)
    scaled = ordered * np.maximum(candidates, 1) / np.arange(1, p.shape[-1] + 1)
    least = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(least, 1.0), axis=-1)
    adjusted[np.isnan(p)] = np.nan
    return adjusted


def _rare_as_one(
    reference: IntArray, current: IntArray, used: BoolArray, rows: FloatArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Both sides with rare bins moved into one behind the others, and how many bins there are.

    rows: effective rows of the smaller side, `[..., columns]`. A bin's share is the mean of both
    sides', so that a category new to one side is rare only if it is rare in both.
    """
    n = np.maximum(current.sum(axis=-1, keepdims=True), 1)
    m = np.maximum(reference.sum(axis=-1, keepdims=True), 1)
    share = (current / n + reference / m) / 2
    rare = used & (share * rows[..., None] < _LEAST_EXPECTED)
    several = rare.sum(axis=-1, keepdims=True) > 1
    rare &= several
    if not rare.any():
        return reference, current, used.sum(axis=-1)
    # Kept bins first, in their order, then the rare ones as one.
    order = np.argsort(np.where(rare, 1, np.where(used, 0, 2)), axis=-1, kind="stable")
    kept = (used & ~rare).sum(axis=-1)
    place = np.arange(reference.shape[-1]) < kept[..., None]
    tidy = []
    for counts in (reference, current):
        moved = np.where(place, np.take_along_axis(counts, order, axis=-1), 0)
        rest = np.where(rare, counts, 0).sum(axis=-1)
        at = np.minimum(kept, reference.shape[-1] - 1)[..., None]
        np.put_along_axis(
            moved, at, np.take_along_axis(moved, at, axis=-1) + rest[..., None], axis=-1
        )
        tidy.append(moved)
    return tidy[0], tidy[1], kept + several[..., 0]
