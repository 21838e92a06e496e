from math import nextafter, sqrt

import numpy as np
import pytest
from harness.counted import counted, names, numbers, of_values
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from sidecar.drift.distance import Placed, jensen_shannon, wasserstein

FINE = numbers(np.linspace(-5, 5, 401), summed=(0, 401))


def counts(*values):
    return np.array(values, dtype=np.int64)


def placed(column, values):
    return Placed.of(of_values(column, values))


def test_the_divergence_is_in_bits_and_its_root_is_the_distance_of_scipy():
    one, other = counts(10, 20, 70, 0), counts(30, 30, 0, 40)

    found = jensen_shannon(one, other)

    assert sqrt(found) == pytest.approx(jensenshannon(one, other, base=2), rel=1e-12)


def test_disjoint_distributions_are_one_bit_apart_and_equal_ones_none():
    assert jensen_shannon(counts(5, 0), counts(0, 9)) == 1.0
    assert jensen_shannon(counts(5, 10), counts(50, 100)) == 0.0


def test_a_divergence_from_nothing_is_refused():
    with pytest.raises(ValueError, match="counted nothing"):
        jensen_shannon(counts(0, 0), counts(1, 2))


def test_values_stand_at_atoms_middles_means_and_finite_edges():
    column = numbers([0, 1, 2, nextafter(2, 3), 10], summed=(4,), center=3.0)
    #               below, [0,1), [1,2), 2 itself, (2,10), above
    side = counted(column, [1, 1, 1, 5, 2, 1], sums=[5.0])

    assert Placed.of(side).places.tolist() == [0.0, 0.5, 1.5, 2.0, 3.0 + 2.5, 10.0]


def test_a_mean_that_rounding_put_outside_its_cell_is_brought_back():
    column = numbers([0, 1], summed=(0, 1, 2), center=0.0)
    side = counted(column, [1, 1, 1], sums=[1e-9, 1 + 1e-9, 1 - 1e-9])

    assert Placed.of(side).places.tolist() == [0.0, 1.0, 1.0]


def test_moving_everything_by_a_step_costs_that_step():
    column = numbers(range(11))
    one, other = placed(column, [0.5, 1.5, 1.5]), placed(column, [4.5, 5.5, 5.5])

    assert wasserstein(one, other) == pytest.approx(4.0)


def test_shifts_far_beyond_the_edges_are_measured_exactly_from_sums():
    rng = np.random.default_rng(5)
    values = rng.normal(size=4000)

    found = wasserstein(placed(FINE, values), placed(FINE, values + 1000))

    assert found == pytest.approx(1000, rel=1e-4)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.7, 4.0, 50.0])
def test_the_distance_is_that_of_scipy_on_the_values(shift):
    rng = np.random.default_rng(6)
    one, other = rng.normal(size=5000), shift + rng.normal(size=2000)

    found = wasserstein(placed(FINE, one), placed(FINE, other))

    assert found == pytest.approx(wasserstein_distance(one, other), rel=0.01, abs=0.01)


def test_the_mean_is_exact_where_sums_are_kept():
    values = np.array([-40.0, -30.0, 7.0, 900.0])

    assert placed(FINE, values).mean == pytest.approx(values.mean(), rel=1e-12)


def test_the_spread_is_the_interquartile_range():
    values = np.random.default_rng(8).normal(size=20_000)

    assert placed(FINE, values).spread == pytest.approx(1.349, abs=0.03)


def test_where_half_of_the_values_are_one_the_spread_is_the_standard_deviation():
    values = np.array([0.0125] * 90 + [2.0125] * 10)

    assert placed(FINE, values).spread == pytest.approx(values.std(), rel=1e-6)


def test_a_constant_has_no_spread():
    assert placed(FINE, np.full(50, 0.3)).spread is None


def test_categories_stand_nowhere():
    with pytest.raises(ValueError, match="nowhere on a line"):
        Placed.of(counted(names("a"), [1, 0]))
