"""Values to numbers to counters, as workers count traffic."""

import numpy as np

from sidecar.baseline.counting import Tally, as_numbers, buckets_of, count
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch import Area, AreaLayout, Column, ColumnTable, count_values

NUMERIC = Column(
    name="x",
    part=ColumnPart.FEATURE,
    kind=ColumnKind.NUMERIC,
    edges=(0.0, 1.0, 10.0),
    center=2.0,
    summed=(0, 2, 3),
    bins=(0, 2),
)
CATEGORICAL = Column(
    name="c",
    part=ColumnPart.FEATURE,
    kind=ColumnKind.CATEGORICAL,
    categories=("red", "7"),
    bins=(0, 1),
)


def test_numbers_fall_into_half_open_cells_and_what_is_none_is_counted_apart():
    counted = count(NUMERIC, np.array([-1.0, 0.0, 0.5, 1.0, 9.0, 10.0, np.nan, np.inf, -np.inf]))

    assert counted.values.tolist() == [1, 2, 2, 1]
    assert (counted.missing, counted.nonfinite) == (1, 2)


def test_sums_are_of_deviations_from_the_center():
    counted = count(NUMERIC, np.array([-1.0, 1.0, 9.0, 30.0, np.inf, np.nan]))
    assert counted.sums.tolist() == [-3.0, -1.0 + 7.0, 28.0]


def test_categories_are_found_by_their_text_and_others_counted_together():
    values = ["red", 7, 7.0, "7", "blue", None, float("nan"), True, float("inf")]
    counted = count(CATEGORICAL, as_numbers(CATEGORICAL, values))

    assert counted.values.tolist() == [1, 3, 3]
    assert (counted.missing, counted.nonfinite) == (2, 0)


def test_numbers_in_an_array_are_categories_too():
    codes = as_numbers(CATEGORICAL, np.array([7.0, 8.0, np.nan]))
    assert codes[:2].tolist() == [1.0, 2.0]
    assert np.isnan(codes[2])


def test_in_a_numeric_column_texts_are_read_as_numbers_and_truths_are_one_and_zero():
    values = [True, False, "12", "twelve", "", None, 3, 10**400, -(10**400)]
    np.testing.assert_array_equal(
        as_numbers(NUMERIC, values),
        [1.0, 0.0, 12.0, np.nan, np.nan, np.nan, 3.0, np.inf, -np.inf],
    )


def test_rows_are_kept_apart_by_block():
    values = np.array([0.5, 0.5, 20.0, np.nan])
    tally = Tally(NUMERIC, blocks=2)
    tally.add(*buckets_of(NUMERIC, values), np.array([0, 1, 1, 1]))
    first, second = tally.distributions()

    assert (first, second) == (count(NUMERIC, values[:1]), count(NUMERIC, values[1:]))


def test_one_value_adds_no_more_to_a_sum_than_its_reach():
    largest = np.finfo(np.float64).max
    counted = count(NUMERIC, np.array([largest] * 5 + [-largest] * 3))
    assert counted.sums.tolist() == [-3 * NUMERIC.reach, 0.0, 5 * NUMERIC.reach]


def test_data_are_counted_as_workers_count_traffic(baseline):
    rng = np.random.default_rng(0)
    columns = baseline.columns
    rows = np.column_stack([_values(rng, column, 200) for column in columns])
    layout = AreaLayout(columns)
    words = np.zeros(layout.words, np.int64)

    table = ColumnTable.of_columns(layout)
    n = len(rows)
    table.count(
        count_values,
        rows,
        np.full((n, 1), layout.block_at(0)),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        words,
        np.zeros(n, np.int64),
    )

    block = Area(layout, words).block(0)
    for place, column in enumerate(columns):
        expected, found = count(column, rows[:, place]), block.distribution(column)
        assert np.array_equal(found.counts, expected.counts), column.name
        np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-12)


def _values(rng, column, n):
    """Values in and far out of a column, some missing, some infinite."""
    if column.kind is ColumnKind.NUMERIC:
        values = rng.normal(column.center, 10 * abs(column.center) + 1, n)
        values[rng.random(n) < 0.02] = np.inf
    else:
        values = rng.integers(0, len(column.categories) + 1, n).astype(float)
    values[rng.random(n) < 0.05] = np.nan
    return values
