"""Categories by frequency, bounded in number, pooled so that every bin expects something."""

import numpy as np
import pytest

from sidecar.baseline.categories import (
    CATEGORIES_AT_MOST,
    LONGEST_CATEGORY,
    SHARE_OF_A_BIN,
    categorical_column,
)
from sidecar.baseline.counting import as_numbers, count
from sidecar.model import ColumnPart


def column_of(counts):
    return categorical_column("x", ColumnPart.FEATURE, counts)


def test_frequent_categories_come_first_and_equally_frequent_ones_by_name():
    assert column_of({"b": 5, "c": 9, "a": 5}).categories == ("c", "a", "b")


def test_only_the_most_frequent_are_told_apart():
    counts = {f"name {place:04}": 10_000 - place for place in range(1000)}
    column = column_of(counts)

    assert column.categories == tuple(counts)[:CATEGORIES_AT_MOST]
    assert column.width == CATEGORIES_AT_MOST + 3


def test_frequent_categories_are_bins_and_what_is_new_has_a_bin_of_its_own():
    assert column_of({"a": 500, "b": 300, "c": 200}).bins == (0, 1, 2, 3)


def test_rare_categories_are_pooled_in_order_and_the_rest_with_other():
    # a, b are frequent; 12 categories of 1 % each go two by two; the last 0.5 % is left over.
    counts = {"a": 500, "b": 375, **{f"c{place:02}": 10 for place in range(12)}, "z": 5}

    assert column_of(counts).bins == (0, 1, 2, 4, 6, 8, 10, 12, 14)


@pytest.mark.parametrize("names", [1, 2, 10, 50, 200, 2000])
def test_every_bin_but_the_last_holds_its_share_whatever_the_number_of_names(names):
    rng = np.random.default_rng(names)
    values = [f"n{place}" for place in rng.zipf(1.5, 20_000) % names]
    counts = {name: values.count(name) for name in set(values)}
    column = column_of(counts)
    binned = count(column, as_numbers(column, values)).binned

    assert (binned[:-1] >= SHARE_OF_A_BIN * len(values)).all()
    assert len(column.bins) <= 1 / SHARE_OF_A_BIN + 1


def test_a_text_too_long_for_a_name_is_no_category():
    column = column_of({"a": 5, "x" * (LONGEST_CATEGORY + 1): 50})
    assert column.categories == ("a",)


def test_nothing_is_nothing_to_learn_from():
    with pytest.raises(ValueError, match="no value to learn from"):
        column_of({})
