import msgspec
import numpy as np
import pytest
from harness.counted import EVEN, SHIFTED, counted, names, numbers, of_values, ten_bins

from sidecar.drift import evidence
from sidecar.drift.homogeneity import chi_square, kolmogorov_smirnov
from sidecar.drift.psi import psi

COLOURS = names("red", "green", "blue")
TRUTH = names("no", "yes")


def test_all_statistics_of_numbers_are_there():
    reference, current = ten_bins(EVEN), ten_bins(SHIFTED)

    found = evidence(reference, current)

    assert found.psi == psi(reference.binned, current.binned)
    assert found.chi_square == chi_square(reference.binned, current.binned).statistic
    assert found.ks == kolmogorov_smirnov(reference.values, current.values).d
    assert found.js_distance**2 == pytest.approx(found.js_divergence)
    assert found.wasserstein_scaled == pytest.approx(found.wasserstein / 5)  # 1.5 to 6.5
    assert None not in msgspec.structs.astuple(found)


def test_categories_have_no_distance_on_a_line():
    found = evidence(counted(COLOURS, [5, 3, 2, 0]), counted(COLOURS, [2, 3, 4, 1]))

    assert (found.ks, found.ks_p, found.wasserstein, found.wasserstein_scaled) == (None,) * 4
    assert (found.current.mean, found.current.out_of_range) == (None, None)
    assert found.psi > 0


def test_an_empty_window_has_no_statistics_and_keeps_what_is_known_of_the_reference():
    found = evidence(ten_bins(EVEN), ten_bins([0] * 10, missing=7))

    assert (found.psi, found.ks_p, found.js_distance) == (None, None, None)
    assert (found.current.rows, found.current.values, found.current.missing) == (7, 0, 1.0)
    assert found.reference.values == 10_000
    assert evidence(ten_bins(EVEN), ten_bins([0] * 10)).current.missing is None


def test_shares_of_what_is_no_value_are_of_all_rows():
    column = numbers([0, 1])

    found = evidence(of_values(column, [0.5] * 4), of_values(column, [0.5, np.nan, np.nan, np.inf]))

    assert (found.current.missing, found.current.nonfinite) == (0.5, 0.25)
    assert (found.reference.missing, found.reference.nonfinite) == (0.0, 0.0)


def test_new_categories_are_those_the_reference_does_not_name():
    found = evidence(counted(COLOURS, [5, 3, 2, 0]), counted(COLOURS, [2, 3, 4, 3]))

    assert (found.reference.new_category, found.current.new_category) == (0.0, 0.25)


def test_out_of_range_are_values_beyond_all_that_the_reference_has_seen():
    column = numbers(range(6))

    found = evidence(of_values(column, [1.5, 3.5]), of_values(column, [0.5, 1.5, 2.5, 9.0]))

    assert (found.reference.out_of_range, found.current.out_of_range) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("column", "counts", "rate"),
    [
        (TRUTH, [3, 1, 0], 0.25),
        (TRUTH, [3, 1, 1], None),  # a third answer
        (COLOURS, [1, 1, 1, 0], None),
        (names("1", "0"), [3, 1, 0], 0.75),
        (TRUTH, [0, 0, 0], None),
    ],
)
def test_the_positive_rate_of_categories(column, counts, rate):
    side = counted(column, counts)

    assert evidence(side, side).current.positive_rate == rate


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        ([0, 0, 0, 1], 0.25),
        ([-1, 1], 0.5),
        ([0, 0], 0.0),
        ([1], 1.0),
        ([0, 1, 2], None),
        ([7], None),
    ],
)
def test_the_positive_rate_of_numbers(values, rate):
    atoms = [-1, 0, 1, 2, 7]
    column = numbers(sorted([*atoms, *np.nextafter(atoms, np.inf)]))
    side = of_values(column, values)

    assert evidence(side, side).current.positive_rate == rate


def test_dependent_rows_make_p_values_larger_and_leave_effects_alone():
    reference, current = ten_bins(EVEN), ten_bins(SHIFTED)

    plain, dependent = evidence(reference, current), evidence(reference, current, current_phi=20)

    assert (plain.psi, plain.ks, plain.cramers_v) == (
        dependent.psi,
        dependent.ks,
        dependent.cramers_v,
    )
    assert dependent.chi_square_p > plain.chi_square_p
    assert dependent.ks_p > plain.ks_p


def test_sides_counted_in_different_ways_are_not_compared():
    with pytest.raises(ValueError, match="x was counted in two ways"):
        evidence(ten_bins(EVEN), counted(numbers(range(9)), SHIFTED))


def test_evidence_can_be_written_as_json():
    found = evidence(ten_bins(EVEN), ten_bins(SHIFTED))

    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
