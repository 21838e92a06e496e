"""Intervals against scipy, and how often they cover the truth."""

import numpy as np
import pytest
from scipy import stats

from sidecar.baseline import figures
from sidecar.baseline.intervals import LEVEL, bootstrap, proportion
from sidecar.baseline.records import Method


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (3, 10), (947, 1000), (1, 100_000)]
)
def test_the_interval_of_a_proportion_is_wilsons(hits, n):
    found = proportion(hits, n)
    exact = stats.binomtest(hits, n).proportion_ci(LEVEL, method="wilson")

    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert (found.value, found.n, found.method) == (hits / n, n, Method.WILSON)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_proportion_of_nothing_is_refused():
    with pytest.raises(ValueError, match="of nothing"):
        proportion(0, 0)


def mean_of(values, seed=0, counts=None):
    counts = np.ones(len(values)) if counts is None else counts
    made = bootstrap(lambda c: figures.mean(c, values), counts, np.random.default_rng(seed))
    return made["mean"]


def test_the_bootstrap_of_a_mean_is_near_the_t_interval():
    values = np.random.default_rng(0).normal(5.0, 2.0, 800)
    exact = stats.t.interval(LEVEL, 799, values.mean(), stats.sem(values))
    found = mean_of(values)

    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(exact, abs=0.03)
    assert (found.n, found.method) == (800, Method.BOOTSTRAP)


def test_the_bootstrap_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(300):
        found = mean_of(rng.exponential(1.0, 150), seed)
        covered += found.low <= 1.0 <= found.high
    # Of 300 intervals of 95 %, percentile ones of a skewed law cover a little less.
    assert 0.90 <= covered / 300 <= 0.98


def test_rows_that_are_alike_may_be_counted_together():
    values = np.array([1.0, 2.0, 3.0])
    counts = np.array([500.0, 300.0, 200.0])
    together, apart = mean_of(values, 0, counts), mean_of(np.repeat(values, [500, 300, 200]))

    assert together.value == apart.value
    assert (together.low, together.high) == pytest.approx((apart.low, apart.high), abs=0.01)
    assert together.n == apart.n == 1000


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).normal(size=100)
    assert mean_of(values, 3) == mean_of(values, 3)


def test_of_one_row_there_is_no_interval():
    found = mean_of(np.array([4.0]))
    assert (found.value, found.low, found.high) == (4.0, None, None)


def test_a_figure_that_does_not_exist_is_left_out():
    constant = np.full(10, 2.0)
    made = bootstrap(
        lambda c: figures.regression(c, constant, constant), np.ones(10), np.random.default_rng(0)
    )
    assert set(made) == {"mae", "rmse"}  # a target without spread has no R²
