from time import perf_counter

import numpy as np
import pytest
from harness.counted import EVEN, FAR, SAME, SHIFTED
from scipy.stats import false_discovery_control, ncx2

from sidecar.drift import Thresholds, gate
from sidecar.drift.gate import adjust
from sidecar.drift.psi import smoothed_psi

LIMITS = Thresholds()


def sides(*windows):
    current = np.array(windows)
    return np.broadcast_to(np.array(EVEN), current.shape), current


def test_the_gate_is_the_formula_of_the_documentation():
    reference, current = sides(SHIFTED)
    n, m, phi_n, phi_m = 10_000, 1000, 1.5, 1.2
    psi = smoothed_psi(reference[0], current[0], 10)
    h = 1 / (phi_n / n + phi_m / m)

    found = gate(reference, current, 10, thresholds=LIMITS, reference_phi=phi_n, current_phi=phi_m)

    assert found.psi[0] == psi
    assert found.size[0] == pytest.approx(h)
    assert found.p[0] == pytest.approx(ncx2.sf(psi * h, 9, 0.1 * h), rel=1e-9)


def test_statuses_follow_the_size_and_the_certainty_of_a_shift():
    found = gate(*sides(SAME, SHIFTED, FAR), 10, thresholds=LIMITS)

    assert found.drift.tolist() == [False, True, True]
    assert found.major.tolist() == [False, False, True]


def test_a_shift_that_is_large_but_not_certain_is_no_alarm():
    # PSI 0.21 of 100 rows a side: so much comes by chance.
    reference, current = np.array([EVEN]) // 100, np.array([SHIFTED]) // 10
    limits = Thresholds(minimum=50)

    found = gate(reference, current, 10, thresholds=limits)

    assert found.psi[0] > 0.1
    assert not found.drift[0]


def test_a_shift_below_the_threshold_is_no_alarm_however_many_false_ones_are_allowed():
    reference, current = sides([8_000, 2_000, *[5_000] * 8])
    limits = Thresholds(drift=0.085, significance=0.99)

    found = gate(reference * 5, current, 10, thresholds=limits)

    assert found.psi[0] < limits.drift
    assert found.p_adjusted[0] < limits.significance
    assert not found.drift[0]


def test_a_shift_that_is_certain_but_not_large_is_no_alarm():
    reference, current = sides([11_000, 9_000, *[10_000] * 8])

    found = gate(reference * 10, current, 10, thresholds=LIMITS)

    assert 0 < found.psi[0] < 0.01
    assert ncx2.sf(found.psi[0] * found.size[0], 9, 0) < 1e-6  # "nothing changed" is refuted
    assert not found.drift[0]


@pytest.mark.parametrize(("phi", "enough"), [(1.0, True), (2.0, True), (2.01, False)])
def test_what_counts_is_effective_rows_on_both_sides(phi, enough):
    reference, current = sides(FAR)

    found = gate(reference, current, 10, thresholds=LIMITS, current_phi=phi)
    other = gate(current, reference, 10, thresholds=LIMITS, reference_phi=phi)

    for one in (found, other):
        assert one.enough[0] == enough
        assert one.drift[0] == enough
        assert np.isnan(one.p[0]) != enough


def test_what_is_ignored_is_not_judged_and_costs_nobody_anything():
    reference, current = sides(SHIFTED, FAR)

    found = gate(reference, current, 10, thresholds=LIMITS, ignored=[False, True])
    alone = gate(reference[:1], current[:1], 10, thresholds=LIMITS)

    assert found.drift.tolist() == [True, False]
    assert np.isnan(found.p[1])
    assert found.p_adjusted[0] == alone.p_adjusted[0]


def test_thresholds_may_differ_from_column_to_column():
    found = gate(
        *sides(SHIFTED, SHIFTED, SHIFTED),
        10,
        thresholds=LIMITS,
        drift=[0.1, 0.3, 0.05],
        major=[0.25, 0.5, 0.15],
    )

    assert found.drift.tolist() == [True, False, True]
    assert found.major.tolist() == [False, False, True]


def test_windows_and_segments_are_judged_at_once_as_they_are_alone():
    rng = np.random.default_rng(1)
    reference = rng.multinomial(3000, np.full(10, 0.1), size=(4, 3, 5))
    current = rng.multinomial(2000, np.linspace(0.07, 0.13, 10), size=(4, 3, 5))

    whole = gate(reference, current, 10, thresholds=LIMITS)

    for at in np.ndindex(4, 3):
        alone = gate(reference[at], current[at], 10, thresholds=LIMITS)
        assert np.array_equal(whole.p_adjusted[at], alone.p_adjusted)


def test_columns_with_fewer_bins_stand_padded():
    reference, current = sides(SHIFTED, SHIFTED)
    padded = np.pad(current, ((0, 0), (0, 5)), constant_values=77)  # never looked at
    reference = np.pad(reference, ((0, 0), (0, 5)), constant_values=3)

    found = gate(reference, padded, [10, 10], thresholds=LIMITS)

    assert found.psi.tolist() == gate(*sides(SHIFTED, SHIFTED), 10, thresholds=LIMITS).psi.tolist()


def test_a_long_tail_of_rare_categories_is_judged_as_one():
    rng = np.random.default_rng(2)
    shares = np.array([0.5, 0.4, *[0.1 / 300] * 300])
    reference = rng.multinomial(50_000, shares, size=(200, 1))
    current = rng.multinomial(600, shares, size=(200, 1))

    found = gate(reference, current, 302, thresholds=LIMITS)

    assert (found.df == 2).all()
    assert not found.drift.any()
    # Smoothed each by half a row, the same categories look far away.
    assert (smoothed_psi(reference, current, 302) > 0.2).all()


def test_a_category_that_only_the_window_knows_is_not_lost_among_the_rare():
    reference = np.array([[25_000, 25_000, *[3] * 50, 0]])
    current = np.array([[500, 400, *[0] * 50, 100]])

    found = gate(reference, current, 53, thresholds=LIMITS)

    assert found.df[0] == 3
    assert found.major[0]


def test_an_empty_side_is_not_judged():
    found = gate(*sides([0] * 10), 10, thresholds=LIMITS)

    assert np.isnan([found.psi[0], found.p[0], found.p_adjusted[0]]).all()
    assert not found.enough[0]


def test_one_bin_alone_cannot_drift():
    found = gate(np.array([[9000]]), np.array([[8000]]), 1, thresholds=LIMITS)

    assert (found.psi[0], found.drift[0]) == (0.0, False)
    assert found.p[0] == 1.0


def test_adjusted_p_values_are_benjamini_and_hochbergs_of_the_candidates():
    p = np.array([0.004, 0.3, 1e-9, 0.79, 0.02, 0.81, 0.999, np.nan])

    found = adjust(p)

    expected = false_discovery_control(p[:5] / 0.8)
    np.testing.assert_allclose(found[:5], expected, rtol=1e-12)
    assert found[5:7].tolist() == [1.0, 1.0]
    assert np.isnan(found[7])


def test_without_candidates_nothing_is_significant():
    assert adjust(np.array([0.9, 1.0])).tolist() == [1.0, 1.0]
    assert np.isnan(adjust(np.array([np.nan]))).all()


def test_at_the_edge_of_what_matters_the_share_of_false_alarms_is_bounded():
    # 30 columns with a PSI of exactly 0.1: whatever alarms is a false alarm.
    rng = np.random.default_rng(3)
    tilt = np.exp(np.linspace(-1, 1, 10) * 0.4965)
    moved = tilt / tilt.sum()
    assert ((moved - 0.1) * np.log(moved / 0.1)).sum() == pytest.approx(0.1, abs=0.002)
    reference = rng.multinomial(20_000, np.full(10, 0.1), size=(400, 30))
    current = rng.multinomial(2000, moved, size=(400, 30))

    found = gate(reference, current, 10, thresholds=LIMITS)

    assert found.drift.any(axis=1).mean() < 0.05 + 3 * np.sqrt(0.05 / 400)


def test_a_quiet_day_of_fifty_segments_costs_less_than_judging_them_one_by_one():
    rng = np.random.default_rng(4)
    reference = rng.multinomial(50_000, np.full(10, 0.1), size=(12, 50, 30))
    current = rng.multinomial(2000, np.full(10, 0.1), size=(12, 50, 30))
    gate(reference[0], current[0], 10, thresholds=LIMITS)

    begun = perf_counter()
    gate(reference, current, 10, thresholds=LIMITS)
    together = perf_counter() - begun
    begun = perf_counter()
    for window in range(12):
        for segment in range(50):
            gate(reference[window, segment], current[window, segment], 10, thresholds=LIMITS)

    assert together < (perf_counter() - begun) / 3
