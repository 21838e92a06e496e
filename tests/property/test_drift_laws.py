"""What must hold of the statistics of drift, whatever was counted."""

from itertools import pairwise

import numpy as np
import pytest
from harness.counted import counted, numbers
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sidecar.drift import Thresholds, dispersion, dispersions, equal_parts, evidence, gate
from sidecar.drift.distance import Placed, jensen_shannon, wasserstein
from sidecar.drift.findings import partial_conjunction
from sidecar.drift.gate import adjust
from sidecar.drift.homogeneity import chi_square, kolmogorov_smirnov
from sidecar.drift.psi import psi, psi_interval, smoothed_psi
from sidecar.drift.special import ncx2_sf

BINS = 8
COLUMN = numbers([-5, -2, -1, 0, 1, 1.5, 7], bins=range(BINS), summed=(0, 7))

counts = arrays(np.int64, BINS, elements=st.integers(0, 10_000)).filter(lambda side: side.any())
probabilities = arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1))
tables = arrays(
    np.int64, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=st.integers(0, 500)
)


def half_smoothed(one, other):
    return float(smoothed_psi(one, other, BINS))


def ks_distance(one, other):
    return kolmogorov_smirnov(one, other).d


def cramers_v(one, other):
    return chi_square(one, other).cramers_v


def wasserstein_of(one, other):
    return wasserstein(*(Placed.of(counted(COLUMN, side, sums=(0, 0))) for side in (one, other)))


DISTANCES = [psi, half_smoothed, ks_distance, cramers_v, jensen_shannon, wasserstein_of]


@pytest.mark.parametrize("distance", DISTANCES)
@given(one=counts, other=counts)
def test_every_distance_is_symmetric_and_never_negative(distance, one, other):
    assert distance(one, other) == pytest.approx(distance(other, one), rel=1e-9, abs=1e-12)
    assert distance(one, other) >= 0


@pytest.mark.parametrize("distance", DISTANCES)
@given(side=counts, times=st.integers(1, 50))
def test_nothing_is_any_distance_from_itself(distance, side, times):
    assert distance(side, side) == pytest.approx(0, abs=1e-9)
    if distance is not half_smoothed:  # half a row weighs less among many
        assert distance(side, times * side) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("distance", [ks_distance, cramers_v, jensen_shannon])
@given(one=counts, other=counts)
def test_shares_are_at_most_1_apart(distance, one, other):
    assert distance(one, other) <= 1 + 1e-12


@given(one=counts, other=counts, third=counts)
def test_distances_on_a_line_obey_the_triangle_inequality(one, other, third):
    for distance in (wasserstein_of, ks_distance):
        detour = distance(one, third) + distance(third, other)
        assert distance(one, other) <= detour * (1 + 1e-9) + 1e-9


@given(side=counts, order=st.permutations(range(BINS)), other=counts)
def test_the_order_of_bins_means_nothing_to_psi(side, order, other):
    assert psi(side[order], other[order]) == pytest.approx(psi(side, other), rel=1e-9)


@given(windows=st.lists(counts, min_size=2, max_size=6), data=st.data())
def test_statistics_do_not_depend_on_the_order_in_which_parts_are_merged(windows, data):
    order = data.draw(st.permutations(windows))
    reference = counted(COLUMN, range(1, BINS + 1), sums=(-6.0, 64.0))

    def merged(parts):
        whole, *rest = [
            counted(COLUMN, part, sums=(-8.0 * part[0], 9.0 * part[7])) for part in parts
        ]
        for part in rest:
            whole = whole.merge(part)
        return whole

    assert evidence(reference, merged(windows)) == evidence(reference, merged(order))


@given(moved=st.lists(st.integers(0, 900), min_size=2, max_size=6))
def test_the_further_a_share_moves_the_larger_is_every_distance(moved):
    moved = sorted(moved)
    reference = np.array([1000, *[500] * (BINS - 2), 0])
    windows = [reference + count * np.array([-1, *[0] * (BINS - 2), 1]) for count in moved]

    for distance in DISTANCES:
        found = [distance(reference, window) for window in windows]
        assert all(low <= high + 1e-12 for low, high in pairwise(found))


@given(one=counts, other=counts, phi=st.floats(1, 100))
def test_dependence_never_makes_the_gate_surer_of_drift(one, other, phi):
    limits = Thresholds(minimum=1)

    plain = gate(one[None], other[None], BINS, thresholds=limits)
    dependent = gate(one[None], other[None], BINS, thresholds=limits, current_phi=phi)

    assert dependent.size[0] <= plain.size[0]
    assume(plain.psi[0] > limits.drift and plain.df[0] == dependent.df[0] and dependent.enough[0])
    assert dependent.p[0] >= plain.p[0] * (1 - 1e-3)  # beyond 1e-9 p is known less closely


@given(one=counts, other=counts)
def test_what_the_gate_calls_drift_is_as_large_as_it_says(one, other):
    limits = Thresholds()

    found = gate(one[None], other[None], BINS, thresholds=limits)

    assert not found.major[0] or found.drift[0]
    if found.drift[0]:
        assert found.psi[0] >= limits.drift
        assert found.p[0] <= found.p_adjusted[0] <= limits.significance
        assert min(one.sum(), other.sum()) >= limits.minimum


@given(p=probabilities)
def test_adjusting_keeps_order_and_never_makes_anything_more_significant(p):
    found = adjust(p)

    assert ((found >= p) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


@given(p=probabilities, seed=st.integers(0, 2**32 - 1))
def test_adjusting_does_not_depend_on_the_order_of_columns(p, seed):
    order = np.random.default_rng(seed).permutation(len(p))

    assert np.array_equal(adjust(p[order]), adjust(p)[order])


@given(p=arrays(np.float64, st.integers(2, 40), elements=st.floats(0, 1)))
def test_a_combined_p_is_a_probability_and_never_below_the_smallest(p):
    found = partial_conjunction(p)

    assert 0 <= found <= 0.5
    assert found >= min(p.min(), 0.5) * (1 - 1e-9)


@given(parts=tables)
def test_phi_is_at_least_1_and_does_not_depend_on_the_order_of_parts_or_bins(parts):
    found = dispersion(parts)

    assert found >= 1
    assert dispersion(parts[::-1]) == pytest.approx(found, rel=1e-9)
    assert dispersion(parts[:, ::-1]) == pytest.approx(found, rel=1e-9)


@given(columns=st.lists(tables, max_size=5), floor=st.floats(1, 50))
def test_phi_of_columns_is_finite_and_at_least_the_floor(columns, floor):
    found = dispersions(columns, floor=floor)

    assert found.shape == (len(columns),)
    assert (np.isfinite(found) & (found >= floor)).all()


@given(parts=tables, k=st.integers(1, 15))
def test_grouping_keeps_every_row_in_its_bin(parts, k):
    grouped = equal_parts(parts, k)

    assert len(grouped) <= k
    assert np.array_equal(grouped.sum(axis=0), parts.sum(axis=0))


@given(value=st.floats(0, 5), df=st.integers(1, 300), size=st.floats(1, 1e6))
def test_the_interval_holds_the_estimate_and_begins_at_0_or_above(value, df, size):
    low, high = psi_interval(value, df, size)

    assert 0 <= low <= high
    assert low <= value + 1e-12


@given(x=st.floats(0, 1e7), df=st.integers(1, 300), nc=st.floats(0, 1e6))
def test_a_tail_is_a_probability_that_falls(x, df, nc):
    here, there = ncx2_sf([x, x * 1.01], df, nc)

    assert 0 <= there <= here + 1e-10 <= 1 + 1e-10
