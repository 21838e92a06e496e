"""What is read from cells against numpy and scipy on the raw values.

For every law the reference is counted into edges learned from it, and compared with values of the
same law moved by 0 to 50 standard deviations.
"""

import numpy as np
import pytest
from harness.laws import LAWS
from scipy import stats

from sidecar.baseline.counting import count
from sidecar.baseline.edges import numeric_column
from sidecar.drift import evidence
from sidecar.model import ColumnPart

N = 6_000
SHIFTS = (0.0, 0.1, 0.5, 1.0, 3.0, 10.0, 50.0)
KS_WITHIN = 0.005
WASSERSTEIN_WITHIN = 0.02
IQR_SHARE = 0.01
FLOOR = 1e-4


class Case:
    """A reference of a law, its column and what was counted; values in units that scipy can use."""

    def __init__(self, law, seed=0):
        self.rng = np.random.default_rng([seed, LAWS.index(law)])
        self.law = law
        self.raw = law.draw(self.rng, N)
        self.column = numeric_column("x", ColumnPart.FEATURE, self.raw)
        self.counted = count(self.column, self.raw)
        self.finite = self.raw[np.isfinite(self.raw)]
        largest = np.abs(self.finite).max()
        # Sums of squares and products of 1e300 or 1e-300 leave the floats; a power of two is exact.
        far = largest > 1e100 or 0 < largest < 1e-100
        self.unit = 2.0 ** -max(np.floor(np.log2(largest)), -1000) if far else 1.0
        self.deviation = float((self.finite * self.unit).std() / self.unit) or 1.0
        low, high = np.quantile(self.finite, [0.25, 0.75])
        self.iqr = float(high - low) or self.deviation

    def moved(self, shift):
        return self.law.draw(self.rng, N) + shift * self.deviation


@pytest.fixture(scope="module", params=LAWS, ids=str)
def case(request):
    return Case(request.param)


def test_ks_and_wasserstein_are_those_of_the_raw_values(case):
    for shift in SHIFTS:
        current = case.moved(shift)
        finite = current[np.isfinite(current)]
        found = evidence(case.counted, count(case.column, current))

        exact = stats.ks_2samp(case.finite, finite, method="asymp").statistic
        assert found.ks == pytest.approx(exact, abs=KS_WITHIN), shift

        if case.law.has_mean:
            exact = (
                stats.wasserstein_distance(case.finite * case.unit, finite * case.unit) / case.unit
            )
            # Two neighbouring floats cannot be told apart any finer than they are.
            grid = 2 * np.spacing(max(np.abs(case.finite).max(), np.abs(finite).max()))
            within = max(WASSERSTEIN_WITHIN * exact, IQR_SHARE * case.iqr, grid)
            assert found.wasserstein == pytest.approx(exact, abs=within), shift


def test_psi_is_that_of_the_raw_values_in_the_stored_bins(case):
    bounds = np.array([case.column.edges[first - 1] for first in case.column.bins[1:]])

    def shares(values):
        bins = np.searchsorted(bounds, values[np.isfinite(values)], side="right")
        counts = np.bincount(bins, minlength=len(bounds) + 1)
        return np.maximum(counts / counts.sum(), FLOOR)

    for shift in SHIFTS:
        current = case.moved(shift)
        p, q = shares(case.raw), shares(current)
        found = evidence(case.counted, count(case.column, current)).psi
        assert found == pytest.approx(((q - p) * np.log(q / p)).sum(), abs=1e-9), shift


def test_quantiles_are_within_a_percent_of_rank_or_the_mass_of_their_cell(case):
    for shift in SHIFTS:
        current = case.moved(shift)
        finite = np.sort(current[np.isfinite(current)])
        counted = count(case.column, current)
        for q in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
            found = counted.quantile(q)
            exact = np.quantile(finite, q, method="inverted_cdf")
            assert found.lower <= exact < found.upper

            below = np.searchsorted(finite, found.estimate, side="left") / finite.size
            up_to = np.searchsorted(finite, found.estimate, side="right") / finite.size
            edges = np.searchsorted(finite, [found.lower, found.upper]) / finite.size
            off = max(below - q, q - up_to, 0.0)
            assert off <= max(0.01, edges[1] - edges[0]) + 1e-12, (shift, q)


def test_the_mean_of_values_that_left_the_bulk_is_exact(case):
    if case.unit != 1.0:
        return
    current = case.moved(SHIFTS[-1])
    exact = current[np.isfinite(current)].mean()
    found = evidence(case.counted, count(case.column, current)).current.mean
    assert found == pytest.approx(exact, rel=1e-6)


def test_the_order_of_merging_never_matters(case):
    current = np.concatenate([case.raw, case.moved(1.0)])
    whole = count(case.column, current)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        cuts = np.sort(rng.integers(0, current.size, 6))
        parts = [count(case.column, part) for part in np.split(current, cuts)]
        merged = parts[0]
        for place in rng.permutation(len(parts) - 1) + 1:
            merged = merged.merge(parts[place])
        assert np.array_equal(merged.counts, whole.counts)
        scale = np.abs(current[np.isfinite(current)]).max()
        np.testing.assert_allclose(merged.sums / scale, whole.sums / scale, rtol=1e-9, atol=1e-9)
