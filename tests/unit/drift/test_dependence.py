import numpy as np
import pytest

from sidecar.drift import dispersion, dispersions, equal_parts
from sidecar.drift.dependence import scatter

EVEN = np.full(10, 0.1)


def independent(rng, rows=2000, k=10, shares=EVEN):
    return rng.multinomial(rows // k, shares, size=k)


def repeated(rng, times, rows=2000, k=10, shares=EVEN):
    return times * rng.multinomial(rows // times // k, shares, size=k)


def test_scatter_is_pearsons_statistic_of_parts_by_bins():
    # Rows 30 and 30, columns 30 and 30: every cell expects 15.
    found = scatter(np.array([[20, 10], [10, 20]]))

    assert found.statistic == pytest.approx(4 * 25 / 15)
    assert found.df == 1


def test_parts_of_unequal_size_expect_their_share():
    found = scatter(np.array([[60, 40], [30, 20], [0, 0]]))

    assert (found.statistic, found.df) == (pytest.approx(0.0), 1)


def test_independent_rows_have_a_phi_of_about_1():
    rng = np.random.default_rng(1)
    found = [dispersion(independent(rng)) for _ in range(300)]

    assert min(found) == 1.0
    assert np.mean(found) == pytest.approx(1.06, abs=0.03)  # cut at 1, so above it on average


@pytest.mark.parametrize("times", [5, 50])
def test_rows_that_come_several_times_say_that_many_times_less(times):
    rng = np.random.default_rng(2)

    found = [dispersion(repeated(rng, times, rows=20_000)) for _ in range(200)]

    assert np.mean(found) == pytest.approx(times, rel=0.05)


def test_rare_bins_do_not_make_phi_erratic():
    rng = np.random.default_rng(3)
    shares = np.array([0.5, 0.49, *[0.01 / 40] * 40])

    found = scatter(independent(rng, shares=shares))

    assert found.df == 9  # two common bins and nothing that could be a third
    assert found.statistic < 25


def test_the_floor_is_what_is_known_without_looking():
    parts = independent(np.random.default_rng(4))

    assert dispersion(parts, floor=12.0) == 12.0
    assert (dispersions([parts, parts], floor=12.0) == 12.0).all()


@pytest.mark.parametrize(
    "parts", [np.zeros((0, 10), int), np.zeros((5, 10), int), np.ones((1, 10), int)]
)
def test_where_nothing_can_be_compared_phi_is_1(parts):
    assert dispersion(parts) == 1.0
    assert dispersions([parts]).tolist() == [1.0]
    assert dispersions([]).tolist() == []


def test_columns_that_do_not_differ_share_one_phi_and_know_it_better():
    rng = np.random.default_rng(5)
    windows = [[repeated(rng, 20, rows=8000, k=4) for _ in range(30)] for _ in range(60)]

    together = np.array([dispersions(columns) for columns in windows])
    alone = np.array([[dispersion(parts) for parts in columns] for columns in windows])

    assert together.mean() == pytest.approx(20, rel=0.05)
    assert together.std() < alone.std() / 3


def test_columns_that_do_differ_keep_their_own():
    rng = np.random.default_rng(6)
    columns = [repeated(rng, 50, rows=20_000)] * 3 + [independent(rng, rows=20_000)] * 27

    found = dispersions(columns)

    assert found[:3].min() > 35
    assert found[3:].max() < 1.5


def test_a_column_whose_scatter_cannot_be_seen_has_that_of_the_others():
    rng = np.random.default_rng(7)
    constant = np.column_stack([np.full(10, 2000), np.zeros((10, 9), int)])

    found = dispersions([constant, *(repeated(rng, 50, rows=20_000) for _ in range(20))])

    assert found[0] == pytest.approx(50, rel=0.1)


def test_parts_are_grouped_in_order_to_nearly_equal_counts():
    sizes = [10, 10, 10, 200, 190, 10, 10, 180, 200, 10]

    grouped = equal_parts(np.array(sizes)[:, None], 4)

    assert grouped[:, 0].tolist() == [230, 190, 200, 210]


def test_no_part_is_so_small_that_all_of_its_bins_are_rare():
    sizes = np.array([3, 500, 2, 480, 5, 510, 1])[:, None]

    assert equal_parts(sizes, 3)[:, 0].tolist() == [503, 487, 511]


def test_a_window_that_is_one_burst_is_one_part():
    assert equal_parts(np.array([[5, 5], [900, 100], [5, 5]]), 3).tolist() == [[910, 110]]


@pytest.mark.parametrize("k", [1, 2, 3, 7, 100])
def test_grouping_never_makes_more_parts_than_asked_for_or_loses_a_row(k):
    rng = np.random.default_rng(k)
    parts = rng.poisson(rng.exponential(20, size=(40, 1)), size=(40, 6))

    grouped = equal_parts(parts, k)

    assert 1 <= len(grouped) <= k
    assert np.array_equal(grouped.sum(axis=0), parts.sum(axis=0))


def test_of_nothing_there_are_no_parts():
    assert equal_parts(np.zeros((0, 3), int)).shape == (0, 3)
    assert equal_parts(np.zeros((4, 3), int)).shape == (0, 3)
    assert equal_parts(np.array([[1, 2]])).tolist() == [[1, 2]]
