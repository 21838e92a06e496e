"""Cells of numeric columns: finite and rising whatever the values, fine where it matters."""

import numpy as np
import pytest
from harness.laws import LAWS

from sidecar.baseline.counting import count
from sidecar.baseline.edges import ATOMS_AT_MOST, numeric_column
from sidecar.model import ColumnKind, ColumnPart

LARGEST = np.finfo(np.float64).max
NASTY = {
    "one value": [3.5],
    "two values": [0.0, 1.0],
    "both ends of the floats": [-LARGEST, LARGEST],
    "both ends and the middle, often": [-LARGEST, 0.0, LARGEST] * 50,
    "the largest float alone": [LARGEST] * 5,
    "the smallest float alone": [-LARGEST] * 5,
    "huge and spread": 1e308 * np.linspace(-1, 1, 500),
    "denormal neighbours": [0.0, 5e-324, 1e-323],
    "signed zeros": [-0.0, 0.0, 1.0],
    "an outlier of all outliers": [*np.linspace(0, 1, 200), 1e300],
    "neighbours far from zero": 1e16 + 2.0 * np.arange(300),
    "an atom that swallows the IQR": [7.0] * 900 + list(np.linspace(0, 100, 150)),
    "with what is no number": [1.0, 2.0, np.nan, np.inf, -np.inf],
}


def column_of(values):
    return numeric_column("x", ColumnPart.FEATURE, np.asarray(values, dtype=np.float64))


def normal(n=20_000, seed=0):
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("values", NASTY.values(), ids=NASTY.keys())
def test_edges_are_finite_and_strictly_rising_whatever_the_values(values):
    column = column_of(values)
    edges = np.array(column.edges)

    assert column.kind is ColumnKind.NUMERIC
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert np.isfinite(column.center)


@pytest.mark.parametrize("values", NASTY.values(), ids=NASTY.keys())
def test_every_value_is_counted_and_sums_stay_finite(values):
    values = np.asarray(values, dtype=np.float64)
    counted = count(column_of(values), values)

    assert counted.rows == len(values)
    assert counted.count == np.isfinite(values).sum()
    assert np.isfinite(counted.sums).all()


def test_no_finite_value_is_nothing_to_learn_from():
    with pytest.raises(ValueError, match="no value to learn from"):
        column_of([np.nan, np.inf])


def test_a_constant_has_three_buckets_below_at_and_above_and_each_is_a_bin():
    column = column_of([3.7] * 20)

    assert column.edges == (3.7, np.nextafter(3.7, np.inf))
    assert column.bins == (0, 1, 2)
    counted = count(column, np.array([3.0, 3.7, 3.7, 4.0]))
    assert counted.values.tolist() == [1, 2, 1]


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_bins_of_drift_are_the_deciles_of_the_values_exactly(law):
    values = law.draw(np.random.default_rng(1), 5000)
    column = column_of(values)
    finite = np.sort(values[np.isfinite(values)])
    deciles = np.quantile(finite * 2.0**-24, np.arange(1, 10) / 10) * 2.0**24  # 1e300: no overflow
    if np.abs(finite).max() < 1e290:
        deciles = np.quantile(finite, np.arange(1, 10) / 10)

    bounds = [column.edges[first - 1] for first in column.bins[1:]]

    atoms = {np.nextafter(decile, np.inf) for decile in deciles}
    assert set(bounds) <= set(deciles) | atoms
    if np.unique(finite).size > 1:
        inner = {d for d in deciles if finite[0] < d <= finite[-1]}
        parted = {np.searchsorted(finite, d) for d in inner}
        assert parted <= {np.searchsorted(finite, b) for b in bounds}


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_every_bin_holds_a_part_of_the_reference(law):
    values = law.draw(np.random.default_rng(2), 5000)
    column = column_of(values)
    if np.unique(values[np.isfinite(values)]).size > 1:  # a constant leaves below and above empty
        assert count(column, values).binned.min() > 0


def test_bins_of_a_continuous_column_are_equally_frequent():
    values = normal()
    assert count(column_of(values), values).binned.tolist() == [2000] * 10


def test_where_deciles_coincide_the_atom_is_a_bin_of_its_own():
    rest = np.random.default_rng(0).exponential(size=4000)
    values = np.concatenate([np.zeros(6000), rest])

    column = column_of(values)
    counted = count(column, values)

    assert counted.binned[0] == 6000
    assert column.edges[column.bins[1] - 1] == np.nextafter(0.0, 1.0)


def test_few_distinct_values_have_cells_of_their_own_and_are_read_back():
    values = np.round(np.random.default_rng(0).normal(0, 0.1, 5000), 2)
    counted = count(column_of(values), values)

    for q in np.linspace(0, 1, 21):
        assert counted.quantile(q).estimate == np.quantile(values, q, method="inverted_cdf")


def test_a_value_that_is_frequent_has_a_cell_of_its_own_among_others_that_are_not():
    values = np.concatenate([normal(), np.full(20_000 // ATOMS_AT_MOST + 200, 0.125)])
    column = column_of(values)
    at = column.edges.index(0.125)

    assert column.edges[at + 1] == np.nextafter(0.125, 1.0)
    assert count(column, values).values[at + 1] == (values == 0.125).sum()


def test_no_cell_of_the_bulk_holds_more_than_half_a_percent_beside_atoms():
    values = normal()
    assert count(column_of(values), values).values.max() <= 0.005 * len(values)


def test_tails_reach_far_beyond_what_was_seen():
    column = column_of(normal())
    assert column.edges[0] < -1000
    assert column.edges[-1] > 1000


def test_the_tails_of_a_heavy_law_start_at_its_own_scale():
    values = np.random.default_rng(0).lognormal(0, 3, 20_000)
    assert column_of(values).edges[-1] > values.max()


def test_sums_are_kept_where_the_middle_of_a_cell_says_too_little():
    values = normal()
    column = column_of(values)
    low, high = np.quantile(values, [0.001, 0.999])
    edges = np.array(column.edges)
    tails = {0, *(np.flatnonzero(edges <= low)), *(np.flatnonzero(edges >= high) + 1)}

    assert tails <= set(column.summed)
    # Cells in the middle of the bulk are narrow enough to do without.
    middle = int(np.searchsorted(edges, 0.0))
    assert not set(range(middle - 50, middle + 50)) & set(column.summed)


def test_gaps_between_atoms_keep_sums_and_atoms_do_not():
    values = np.repeat([1.0, 2.0, 3.0, 5.0], 100)
    column = column_of(values)

    for value in (1.0, 2.0, 3.0):
        at = column.edges.index(value) + 1
        assert at not in column.summed
        assert at + 1 in column.summed


def test_a_column_stays_within_the_memory_a_board_has_for_it():
    widths = []
    for law in LAWS:
        column = column_of(law.draw(np.random.default_rng(0), 20_000))
        widths.append(8 * (column.width + len(column.summed) + 2 * (len(column.bins) + 2)))

    assert max(widths) < 6_000
    assert np.mean(widths) < 128 * 1024 / 30  # 30 such features fit into 128 KiB


def test_the_mean_of_huge_values_is_no_infinity():
    assert column_of([LARGEST, LARGEST / 2]).center == pytest.approx(0.75 * LARGEST)


def test_cells_beside_an_atom_keep_sums_since_their_values_may_lie_anywhere_in_them():
    bulk = np.random.default_rng(0).uniform(0, 1, 10_000)
    column = column_of(np.concatenate([bulk, np.full(2_000, 0.5)]))
    atom = column.edges.index(0.5) + 1

    beside = [bucket in column.summed for bucket in (atom - 2, atom - 1, atom, atom + 1, atom + 2)]

    assert beside == [False, True, False, True, False]
