"""Statistics of counted values against NumPy and SciPy on the values themselves.

Columns and counts are those of the product; laws and shifts are what traffic may come up with.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from harness.laws import LAWS, Law
from scipy import stats

from sidecar.baseline.counting import count
from sidecar.baseline.edges import numeric_column
from sidecar.drift import evidence
from sidecar.drift.psi import FLOOR
from sidecar.model import ColumnPart
from sidecar.sketch.distribution import Distribution

SHIFTS = (0.0, 0.1, 0.5, 1.0, 3.0, 10.0, 50.0)
"""In standard deviations of the reference; in interquartile ranges where there is none."""
TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Reference:
    """Values of a law, counted by a column that was learned from them."""

    law: Law
    values: np.ndarray
    counted: Distribution

    @property
    def iqr(self):
        low, high = np.quantile(self.values, [0.25, 0.75])
        return high - low

    @property
    def step(self):
        if not self.law.has_mean:
            return self.iqr
        with np.errstate(over="ignore"):
            deviation = self.values.std()
        return deviation if np.isfinite(deviation) and deviation > 0 else self.iqr or 1.0


@pytest.fixture(scope="module", params=LAWS, ids=str)
def reference(request):
    law = request.param
    drawn = law.draw(np.random.default_rng(LAWS.index(law)), 8000)
    column = numeric_column("x", ColumnPart.FEATURE, drawn)
    return Reference(law, drawn[np.isfinite(drawn)], count(column, drawn))


def shifted(reference, shift, seed=99):
    drawn = reference.law.draw(np.random.default_rng(seed), 4000) + shift * reference.step
    return drawn[np.isfinite(drawn)], count(reference.counted.column, drawn)


@pytest.mark.parametrize("shift", SHIFTS)
def test_statistics_of_counts_are_those_of_the_values(reference, shift):
    values, counted = shifted(reference, shift)

    found = evidence(reference.counted, counted)

    assert found.psi == pytest.approx(psi_of_values(reference, values), rel=1e-9, abs=1e-12)
    assert found.ks == pytest.approx(ks_of_values(reference.values, values), abs=0.005)
    if reference.law.has_mean:
        # SciPy multiplies shares with distances, which for denormal numbers is 0: scale them up.
        scale = 1.0 if reference.iqr > TINY or not reference.iqr else 2.0**1000
        moved = stats.wasserstein_distance(reference.values * scale, values * scale)
        allowed = max(0.02 * moved, 0.01 * reference.iqr * scale)
        assert found.wasserstein * scale == pytest.approx(moved, abs=allowed)
        close = pytest.approx(values.mean(), abs=allowed / scale, rel=1e-9)
        assert found.current.mean == close


def psi_of_values(reference, values):
    """By the bins' own bounds, without any counts of cells."""
    column = reference.counted.column
    bounds = [-np.inf, *(column.edges[first - 1] for first in column.bins[1:]), np.inf]
    p, q = (
        np.maximum(
            [((side >= low) & (side < high)).mean() for low, high in pairwise(bounds)], FLOOR
        )
        for side in (reference.values, values)
    )
    return ((q - p) * np.log(q / p)).sum()


def ks_of_values(one, other):
    return stats.ks_2samp(one, other, method="asymp").statistic
