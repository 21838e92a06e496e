"""The fixed columns of what is said of a request as a whole."""

from itertools import pairwise

import numpy as np
import pytest

from sidecar.baseline import measure_columns
from sidecar.baseline.counting import count
from sidecar.model import ColumnPart

COLUMNS = {column.name: column for column in measure_columns(openai=True)}
TIMES = ("latency_ns", "time_to_first_token_ns", "inter_token_ns")


def test_every_request_has_three_measures_and_those_with_tokens_four_more():
    plain = [column.name for column in measure_columns(openai=False)]

    assert plain == ["latency_ns", "unusual", "request_rows"]
    assert list(COLUMNS) == [*plain, "prompt_tokens", "completion_tokens", *TIMES[1:]]
    assert {column.part for column in COLUMNS.values()} == {ColumnPart.MEASURE}


@pytest.mark.parametrize("name", TIMES)
def test_times_are_known_to_five_percent_from_ten_microseconds_to_a_thousand_seconds(name):
    edges = COLUMNS[name].edges

    assert (edges[0], edges[-1]) == (1e4, 1e12)
    assert max(high / low for low, high in pairwise(edges)) <= 1.05 + 1e-9
    assert {50_000.0, 1e6, 2e8, 1e9} <= set(edges)


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_no_token_is_told_from_one_and_large_numbers_are_known_to_five_percent(name):
    counted = count(COLUMNS[name], np.array([0.0, 0.0, 1.0, 2.0, 128.0]))

    assert counted.values[1:4].tolist() == [2, 1, 1]
    edges = COLUMNS[name].edges
    assert max(high / low for low, high in pairwise(edges) if low >= 20) <= 1.05 + 1e-9


def test_shares_have_a_hundred_cells_and_one_is_at_the_end():
    column = COLUMNS["unusual"]
    assert len(column.edges) == 101
    assert count(column, np.array([1.0])).values[-1] == 1


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_bins_begin_at_edges_that_people_can_read(column):
    bounds = [column.edges[first - 1] for first in column.bins[1:]]
    digits = {f"{bound:e}".split("e")[0].rstrip("0") for bound in bounds}

    assert len(bounds) >= 9
    assert column.name == "unusual" or digits <= {"1.", "2.", "5."}


def test_the_columns_are_the_same_wherever_they_are_made():
    # These stand in files and in the names of series: a change is a change of format.
    assert COLUMNS["latency_ns"].content_hash == "1752fba5a23c2150"
    assert COLUMNS["prompt_tokens"].content_hash == "bcaafc6fc863734f"
