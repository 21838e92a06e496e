import sys

import msgspec
import pytest
from harness.counting import categorical, numeric

from sidecar.sketch import Column

LARGEST = sys.float_info.max


def test_a_numeric_column_has_a_bucket_beyond_each_end():
    column = numeric(edges=(0.0, 1.0, 2.0))
    assert column.value_buckets == 4
    assert column.width == 6


def test_a_categorical_column_has_a_bucket_for_everything_else():
    assert categorical(categories=("a", "b")).value_buckets == 3
    assert categorical(categories=()).value_buckets == 1


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (numeric, {"edges": (1.0,)}),
        (numeric, {"edges": (1.0, 1.0)}),
        (numeric, {"edges": (2.0, 1.0)}),
        (numeric, {"edges": (1.0, float("nan"))}),
        (numeric, {"edges": (float("-inf"), 1.0)}),
        (numeric, {"edges": (1.0, float("inf"))}),
        (numeric, {"categories": ("a",)}),
        (categorical, {"edges": (1.0, 2.0)}),
        (categorical, {"categories": ("a", "a")}),
        (numeric, {"bins": ()}),
        (numeric, {"bins": (1,)}),
        (numeric, {"bins": (0, 2, 2)}),
        (numeric, {"bins": (0, 5)}),
        (numeric, {"summed": (-1,)}),
        (numeric, {"summed": (5,)}),
        (numeric, {"summed": (2, 1)}),
        (numeric, {"center": float("nan")}),
        (numeric, {"center": float("inf")}),
    ],
)
def test_a_column_that_cannot_be_counted_is_refused_under_its_name(make, wrong):
    with pytest.raises(ValueError, match="odd"):
        make("odd", **wrong)


def test_a_column_is_the_same_after_a_journey():
    column = numeric(summed=(0, 4), bins=(0, 2), center=1.5)
    arrived = msgspec.msgpack.decode(msgspec.msgpack.encode(column), type=Column)
    assert arrived == column
    assert arrived.content_hash == column.content_hash


@pytest.mark.parametrize(
    "other",
    [
        numeric(center=1.0),
        numeric(summed=(1,)),
        numeric(bins=(0, 1)),
        numeric("y"),
        numeric(edges=(0.0, 1.0, 2.0, 4.5)),
        categorical("x"),
    ],
)
def test_columns_that_count_differently_have_different_hashes(other):
    assert other.content_hash != numeric().content_hash


@pytest.mark.parametrize(
    ("column", "reach"),
    [
        (numeric(edges=(0.0, 4.0)), 2.0**32),
        (numeric(edges=(-8.0, 4.0)), 2.0**33),
        (numeric(edges=(1e-9, 2e-9), center=-4.0), 2.0**32),
        (numeric(edges=(0.0, 5e-324)), 2.0**30),
        (numeric(edges=(-LARGEST, LARGEST)), 1e290),
        (categorical(), 0.0),
    ],
)
def test_the_reach_of_a_sum_is_far_beyond_the_reference_and_never_without_end(column, reach):
    assert column.reach == reach
