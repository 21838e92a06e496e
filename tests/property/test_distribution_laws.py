"""What must hold of the counts of any values in any column."""

import numpy as np
from harness.counting import categorical, numeric, placed
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import ColumnKind
from sidecar.sketch import Distribution

numbers = st.one_of(
    st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1e300, 1e300])
)
shares = st.floats(0, 1)


@st.composite
def columns(draw):
    if draw(st.booleans()):
        column = categorical(categories=[str(n) for n in range(draw(st.integers(0, 6)))])
    else:
        edges = st.lists(st.integers(-1000, 1000), min_size=2, max_size=12, unique=True)
        column = numeric(edges=sorted(map(float, draw(edges))), center=draw(st.floats(-9, 9)))
    return with_parts(column, draw)


def with_parts(column, draw):
    buckets = st.sets(st.integers(0, column.value_buckets - 1), max_size=4)
    parts = {"bins": {0, *draw(buckets)}, "summed": draw(buckets) if column.edges else set()}
    found = {name: getattr(column, name) for name in column.__struct_fields__}
    return type(column)(**found | {name: tuple(sorted(part)) for name, part in parts.items()})


def counted(column, values):
    """By NumPy alone. The sums are rounded to whole numbers, which add exactly in any order."""
    values = np.array(values, np.float64)
    buckets = placed(column, values)
    sums = [
        np.rint(np.clip(values[buckets == at] - column.center, -1e9, 1e9)).sum()
        for at in column.summed
    ]
    return Distribution(column, np.bincount(buckets, minlength=column.width), np.array(sums))


@st.composite
def samples(draw, how_many):
    column = draw(columns())
    codes = st.integers(-1, 7).map(float)
    values = numbers if column.kind is ColumnKind.NUMERIC else st.one_of(codes, numbers)
    return column, *(draw(st.lists(values, max_size=40)) for _ in range(how_many))


@given(samples(2))
def test_merging_is_commutative_and_counts_what_both_counted(sample):
    column, left, right = sample
    merged = counted(column, left).merge(counted(column, right))
    assert merged == counted(column, right).merge(counted(column, left))
    assert merged == counted(column, left + right)


@given(samples(3))
def test_merging_is_associative(sample):
    column, *values = sample
    a, b, c = (counted(column, part) for part in values)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(samples(1))
def test_merging_with_nothing_changes_nothing(sample):
    column, values = sample
    assert counted(column, values).merge(Distribution.empty(column)) == counted(column, values)


@given(samples(2))
def test_a_window_holds_exactly_what_came_after_the_snapshot(sample):
    column, before, after = sample
    window = counted(column, before + after).since(counted(column, before))
    assert window == counted(column, after)


@given(samples(1))
def test_every_row_is_a_value_or_missing_or_infinite(sample):
    column, values = sample
    found = counted(column, values)
    assert found.rows == len(values) == found.count + found.missing + found.nonfinite
    assert found.missing == np.isnan(values).sum()
    numeric_column = column.kind is ColumnKind.NUMERIC
    assert found.nonfinite == (np.isinf(values).sum() if numeric_column else 0)


@given(samples(2))
def test_bins_hold_every_value_once_and_add_like_counts(sample):
    column, left, right = sample
    one, other = counted(column, left), counted(column, right)
    assert one.binned.shape == (len(column.bins),)
    assert one.binned.sum() == one.count
    np.testing.assert_array_equal(one.merge(other).binned, one.binned + other.binned)


@given(samples(1), shares)
def test_the_quantile_of_the_values_lies_in_the_cell_that_is_named(sample, q):
    column, values = sample
    finite = [value for value in values if np.isfinite(value)]
    if column.kind is not ColumnKind.NUMERIC or not finite:
        return
    found = counted(column, values).quantile(q)
    assert found.lower <= np.quantile(finite, q, method="inverted_cdf") < found.upper
