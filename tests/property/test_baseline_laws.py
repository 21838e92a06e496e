"""What must hold of baselines of any values."""

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.baseline import decode, encode, learn, provisional
from sidecar.baseline.categories import categorical_column
from sidecar.baseline.counting import as_numbers, count
from sidecar.baseline.edges import numeric_column
from sidecar.baseline.intervals import proportion
from sidecar.baseline.roles import Roles
from sidecar.dataset.fields import value_of, values_of
from sidecar.model import ColumnPart
from sidecar.model.categories import category_of

finite = st.floats(allow_nan=False, allow_infinity=False)
near = st.floats(-100, 100).map(lambda value: round(value, 1))
numbers = st.lists(st.one_of(finite, near), min_size=1, max_size=300)
any_numbers = st.lists(st.one_of(near, st.floats()), min_size=1, max_size=60)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), near, texts)


def column_of(found):
    return numeric_column("x", ColumnPart.FEATURE, np.array(found, dtype=np.float64))


@given(numbers)
def test_edges_are_finite_and_rising_and_every_value_of_the_reference_is_counted(found):
    column = column_of(found)
    edges = np.array(column.edges)
    counted = count(column, np.array(found))

    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert counted.count == len(found) == counted.binned.sum()
    assert np.isfinite(counted.sums).all()
    if len(set(found)) > 1:
        assert counted.binned.min() > 0


@given(numbers)
@example([np.finfo(np.float64).max] * 3)  # a third of it, rounded up, three times
def test_few_distinct_values_are_read_back_to_the_last_bit(found):
    counted = count(column_of(found), np.array(found))
    largest = np.finfo(np.float64).max
    if len(set(found)) <= 96 and max(found) < largest:  # the largest float shares the overflow
        for q in (0.0, 0.25, 0.5, 0.9, 1.0):
            expected = np.quantile(np.array(found), q, method="inverted_cdf")
            assert counted.quantile(q).estimate == expected


@given(numbers, any_numbers, st.integers(0, 60))
def test_counting_in_two_parts_is_counting_at_once(reference, found, cut):
    column = column_of(reference)
    whole = count(column, np.array(found))
    merged = count(column, np.array(found[:cut])).merge(count(column, np.array(found[cut:])))

    assert np.array_equal(merged.counts, whole.counts)
    assert whole.rows == len(found)


@given(st.dictionaries(texts, st.integers(1, 10_000), min_size=1, max_size=400))
def test_every_bin_of_categories_but_the_last_holds_its_share(counts):
    column = categorical_column("x", ColumnPart.FEATURE, counts)
    known = [counts[category] for category in column.categories]
    binned = np.add.reduceat([*known, sum(counts.values()) - sum(known)], column.bins)

    assert known == sorted(known, reverse=True)
    assert (binned[:-1] >= 0.02 * sum(counts.values())).all()


@given(st.lists(st.tuples(values, values), max_size=60), st.data())
def test_any_rows_make_a_baseline_that_its_file_gives_back(rows, data):
    answers = data.draw(st.lists(values, min_size=len(rows), max_size=len(rows)))
    made = provisional("m", ("a", "b"), rows, answers, answers, {"g": answers})

    again = decode(encode(made))

    assert again == made
    assert encode(again) == encode(made)
    assert again.content_hash == made.content_hash
    for one in made.distributions:
        assert one.rows == made.rows
        parts = [
            distributions[made.columns.index(one.column)].counts
            for distributions in made.segments[0].distributions
        ]
        assert np.array_equal(np.sum(parts, axis=0), one.counts)


@given(st.lists(near, min_size=2, max_size=100), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_change_what_is_counted(found, random):
    shuffled = list(found)
    random.shuffle(shuffled)
    one, other = (learn("m", {"x": np.array(rows)}, Roles()) for rows in (found, shuffled))

    # The mean may differ in its last bit, since floats do not add in any order.
    assert one.columns[0].edges == other.columns[0].edges
    assert [list(d.counts) for d in one.distributions] == [
        list(d.counts) for d in other.distributions
    ]


@given(st.lists(st.one_of(st.floats().map(repr), texts), min_size=1, max_size=20))
def test_a_field_means_the_same_alone_and_in_its_column(fields):
    for alone, together in zip(map(value_of, fields), values_of(fields), strict=True):
        both_missing = all(
            value is None or (isinstance(value, float) and math.isnan(value))
            for value in (alone, together)
        )
        assert both_missing or alone == together


@given(st.lists(values, min_size=1, max_size=40))
def test_a_value_is_counted_where_its_category_is(found):
    named = [category_of(value) for value in found if value is not None and value == value]
    if not named:
        return
    column = categorical_column("x", ColumnPart.FEATURE, dict.fromkeys(named, 1))
    counted = count(column, as_numbers(column, found))

    for code, category in enumerate(column.categories):
        assert counted.values[code] == named.count(category)
    assert counted.missing == len(found) - len(named)


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_proportion_holds_it_and_stays_within_its_bounds(counted):
    found = proportion(*counted)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low
