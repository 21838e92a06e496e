"""Power: features that have shifted by a known PSI, and how many of them are found.

The true shares of ten bins of equal frequency move as those of a normal variable whose mean moves.
The PSI is that of the shares themselves; what a window shows scatters around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from loadtests.honesty.traffic import Counts, Floats
from sidecar.drift import Thresholds, dispersions, gate
from sidecar.drift.findings import COMPOUND_SIGNIFICANCE, SMALL, partial_conjunction
from sidecar.drift.gate import Gated
from sidecar.drift.special import ncx2_sf_screened

FEATURES: Final = 30
BINS: Final = 10
PARTS: Final = 10
_ENDS: Final = tuple(NormalDist().inv_cdf(end / BINS) for end in range(1, BINS))


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of a curve: `shifted` of 30 features by `psi`, n rows against m."""

    psi: float
    n: int
    m: int
    shifted: int = 1


@dataclass(frozen=True, slots=True)
class Found:
    """Shares of the shifted features that are found, by the gate and by its alternatives.

    plain:      Benjamini and Hochberg over all 30, none set aside
    major:      called `major`; `major_sure` if "the PSI is at most `major`" had to be rejected too
    others:     share of windows in which a feature alarms that has not shifted
    """

    found: float
    plain: float
    major: float
    major_sure: float
    others: float


def shares(psi: float) -> Floats:
    """`float64[10]`: where a feature goes that was spread evenly, by bisection on the mean."""
    even, low, high = np.full(BINS, 1 / BINS), 0.0, 4.0
    for _ in range(60):
        middle = (low + high) / 2
        cdf = [0.0, *(NormalDist(middle).cdf(end) for end in _ENDS), 1.0]
        moved: Floats = np.diff(cdf)
        if ((moved - even) * np.log(moved / even)).sum() < psi:
            low = middle
        else:
            high = middle
    return moved


def study(setting: Setting, windows: int, rng: np.random.Generator) -> Found:
    """Judge that many windows of independent rows; phi is estimated, as always."""
    thresholds = Thresholds()
    gated, least = _judged(setting, windows, rng)
    shifted = np.arange(FEATURES) < setting.shifted
    sure = ncx2_sf_screened(gated.psi * gated.size, gated.df, thresholds.major * gated.size)
    return Found(
        found=float(gated.drift[:, shifted].mean()),
        plain=float((_plain(gated.p) & (gated.psi >= least))[:, shifted].mean()),
        major=float(gated.major[:, shifted].mean()),
        major_sure=float((gated.major & (sure <= thresholds.significance))[:, shifted].mean()),
        others=float(gated.drift[:, ~shifted].any(axis=1).mean()) if not shifted.all() else 0.0,
    )


def compound(setting: Setting, windows: int, rng: np.random.Generator) -> float:
    """Share of windows in which no feature alarms, and all together do."""
    gated, least = _judged(setting, windows, rng)
    small = ncx2_sf_screened(gated.psi * gated.size, gated.df, SMALL * least * gated.size)
    together = np.array([partial_conjunction(p) <= COMPOUND_SIGNIFICANCE for p in small])
    return float((together & ~gated.drift.any(axis=1)).mean())


def _judged(setting: Setting, windows: int, rng: np.random.Generator) -> tuple[Gated, float]:
    thresholds = Thresholds()
    even, moved = np.full(BINS, 1 / BINS), shares(setting.psi)
    law = [moved] * setting.shifted + [even] * (FEATURES - setting.shifted)
    current, phi = _drawn(law, setting.n, windows, rng)
    reference, reference_phi = _drawn([even] * FEATURES, setting.m, windows, rng)
    gated = gate(
        reference,
        current,
        BINS,
        thresholds=thresholds,
        reference_phi=reference_phi,
        current_phi=phi,
    )
    return gated, thresholds.drift


def _drawn(
    law: list[Floats], rows: int, windows: int, rng: np.random.Generator
) -> tuple[Counts, Floats]:
    """Counts `int64[window, feature, bin]` and phi `float64[window, feature]`."""
    parts = np.stack(
        [rng.multinomial(rows // PARTS, one, size=(windows, PARTS)) for one in law], axis=1
    )
    phi = np.array([dispersions(list(columns)) for columns in parts])
    return parts.sum(axis=2), phi


def _plain(p: Floats) -> np.typing.NDArray[np.bool_]:
    """Where Benjamini and Hochberg's procedure over all features rejects at 0.05."""
    ranked = np.sort(p, axis=1)
    ranks = np.arange(1, FEATURES + 1)
    passed = ranked <= 0.05 * ranks / FEATURES
    count = np.where(passed.any(axis=1), FEATURES - np.argmax(passed[:, ::-1], axis=1), 0)
    limit = np.where(count > 0, ranked[np.arange(len(p)), np.maximum(count - 1, 0)], -1.0)
    rejected: np.typing.NDArray[np.bool_] = p <= limit[:, None]
    return rejected
