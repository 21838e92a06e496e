"""A baseline as a value: how its counts are found, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from sidecar.baseline import BaselineSegment, measure_columns
from sidecar.baseline.counting import as_numbers, count
from sidecar.model import ColumnPart
from sidecar.sketch import Distribution


def test_counts_are_found_by_name_by_column_and_by_segment(baseline, columns):
    income = baseline.distribution("income")

    assert income.rows == baseline.rows == 1000
    assert baseline.distribution(income.column) is income
    north = np.array([region == "north" for region in columns["region"]])
    assert baseline.distribution("income", "region", "north") == count(
        income.column, columns["income"][north]
    )


def test_the_values_of_a_segment_key_sum_to_the_whole(baseline):
    (segment,) = baseline.segments
    assert sorted(segment.values) == ["north", "south", "west"]
    for column in baseline.columns:
        parts = [
            baseline.distribution(column, "region", value) for value in (*segment.values, None)
        ]
        whole = parts[0].merge(parts[1]).merge(parts[2]).merge(parts[3])
        assert np.array_equal(whole.counts, baseline.distribution(column).counts)
    assert sum(segment.rows) == baseline.rows


def test_a_value_that_is_not_told_apart_is_other(baseline):
    assert baseline.distribution("income", "region", "east") == baseline.distribution(
        "income", "region"
    )


@pytest.mark.parametrize("asked", [("nowhere",), ("income", "planet", "earth")])
def test_what_is_not_there_is_a_key_error(baseline, asked):
    with pytest.raises(KeyError):
        baseline.distribution(*asked)


def test_a_feature_may_have_the_name_of_the_score(baseline):
    score = baseline.distribution("score")
    feature = Distribution.empty(replace_part(score.column, ColumnPart.FEATURE))
    both = replace(baseline, distributions=(feature, *baseline.distributions), segments=())

    assert both.distribution("score") is feature
    assert both.distribution(score.column) is score


def replace_part(column, part):
    return type(column)(
        name=column.name, part=part, kind=column.kind, edges=column.edges, bins=column.bins
    )


def test_parts_that_do_not_fit_are_refused(baseline):
    one = baseline.distributions[0]
    latency = Distribution.empty(measure_columns(openai=False)[0])
    segment = baseline.segments[0]
    with pytest.raises(ValueError, match="a column is given twice"):
        replace(baseline, distributions=(one, *baseline.distributions), segments=())
    with pytest.raises(ValueError, match="features, then predictions, then scores"):
        replace(baseline, distributions=baseline.distributions[::-1], segments=())
    with pytest.raises(ValueError, match="features, then predictions, then scores"):
        replace(baseline, distributions=(latency,), segments=())
    with pytest.raises(ValueError, match="no column of rows"):
        replace(baseline, measured=(one,))
    with pytest.raises(ValueError, match="has other columns"):
        replace(baseline, distributions=baseline.distributions[:-1])
    with pytest.raises(ValueError, match="counts for each value, and for `other`"):
        BaselineSegment(
            name="region", values=("a",), rows=(1,), distributions=segment.distributions[:1]
        )
    with pytest.raises(ValueError, match="a value is given twice"):
        BaselineSegment(
            name="region", values=("a", "a"), rows=(1, 1, 1), distributions=((), (), ())
        )


def test_the_content_hash_tells_counts_apart(baseline, columns):
    (city,) = [one for one in baseline.distributions if one.column.name == "city"]
    more = city.merge(count(city.column, as_numbers(city.column, ["Bonn"])))
    places = [more if one is city else one for one in baseline.distributions]

    assert replace(baseline, distributions=tuple(places)).content_hash != baseline.content_hash
    assert replace(baseline, model="other").content_hash == baseline.content_hash
