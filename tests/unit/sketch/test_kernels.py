import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.board import warm
from sidecar.sketch import ROW_WIDTH, latency_edges, record_rows

CELLS, COUNTERS, COLUMNS = 3, 4, 4
EDGES = latency_edges()

# Edges themselves, their neighbours, both ends and beyond: where a guess by logarithm goes wrong.
near_edges = st.builds(
    lambda edge, step: int(edge) + step,
    st.sampled_from(EDGES.values.tolist()),
    st.integers(-1, 1),
)
durations_ns = st.one_of(st.just(-1), near_edges, st.integers(0, 2**53))
rows_of_the_board = st.lists(
    st.tuples(
        st.integers(-1, CELLS), st.integers(-1, COUNTERS), *[durations_ns] * COLUMNS
    ),
    max_size=40,
)  # fmt: skip


def empty_tables():
    return (
        np.zeros((CELLS, COUNTERS), np.int64),
        np.zeros((CELLS, COLUMNS, EDGES.bucket_count), np.int64),
        np.zeros((CELLS, COLUMNS), np.int64),
    )


def as_rows(rows):
    return np.array(rows, dtype=np.int64).reshape(-1, ROW_WIDTH)


def oracle(rows):
    """The same in whole-array NumPy: masks, one binary search, unbuffered adds."""
    counters, latency, sums = empty_tables()
    inside = (rows[:, 0] >= 0) & (rows[:, 0] < CELLS) & (rows[:, 1] >= 0) & (rows[:, 1] < COUNTERS)
    known = rows[inside]
    np.add.at(counters, (known[:, 0], known[:, 1]), 1)
    for column in range(COLUMNS):
        measured = known[known[:, 2 + column] >= 0]
        values = measured[:, 2 + column]
        buckets = np.searchsorted(EDGES.values, values, side="right")
        np.add.at(latency, (measured[:, 0], column, buckets), 1)
        np.add.at(sums, (measured[:, 0], column), values)
    return counters, latency, sums, int((~inside).sum())


@pytest.fixture(scope="module", params=["interpreted", "compiled"])
def kernel(request):
    return record_rows if request.param == "interpreted" else warm(os.environ).record_rows


@given(rows=rows_of_the_board)
def test_the_kernel_counts_exactly_what_numpy_counts(kernel, rows):
    counters, latency, sums = empty_tables()
    left_out = kernel(as_rows(rows), counters, latency, sums, EDGES.values)
    expected_counters, expected_latency, expected_sums, expected_left_out = oracle(as_rows(rows))
    assert left_out == expected_left_out
    np.testing.assert_array_equal(counters, expected_counters)
    np.testing.assert_array_equal(latency, expected_latency)
    np.testing.assert_array_equal(sums, expected_sums)


def test_the_bucket_is_right_at_and_beside_every_edge(kernel):
    beside = np.concatenate([np.floor(EDGES.values) + step for step in (-1, 0, 1)]).astype(np.int64)
    rows = np.zeros((beside.size, ROW_WIDTH), np.int64)
    rows[:, 2:] = -1
    rows[:, 2] = beside
    counters, latency, sums = empty_tables()
    kernel(rows, counters, latency, sums, EDGES.values)
    expected = np.bincount(
        np.searchsorted(EDGES.values, beside, side="right"), minlength=EDGES.bucket_count
    )
    np.testing.assert_array_equal(latency[0, 0], expected)


def test_what_is_not_measured_is_counted_and_in_no_histogram(kernel):
    counters, latency, sums = empty_tables()
    kernel(as_rows([(1, 2, -1, -1, -1, -1)]), counters, latency, sums, EDGES.values)
    assert counters[1, 2] == counters.sum() == 1
    assert latency.sum() == 0
    assert sums.sum() == 0


def test_rows_without_a_place_are_left_out_and_reported(kernel):
    rows = as_rows([(-1, 0, 5, 5, 5, 5), (CELLS, 0, 5, 5, 5, 5), (0, COUNTERS, 5, 5, 5, 5)])
    counters, latency, sums = empty_tables()
    assert kernel(rows, counters, latency, sums, EDGES.values) == 3
    assert counters.sum() == latency.sum() == sums.sum() == 0


def test_no_rows_change_nothing(kernel):
    counters, latency, sums = empty_tables()
    assert kernel(as_rows([]), counters, latency, sums, EDGES.values) == 0
    assert counters.sum() == latency.sum() == sums.sum() == 0
