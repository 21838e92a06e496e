from itertools import pairwise

import numpy as np
import pytest

from sidecar.sketch import Edges, latency_edges


def test_a_value_on_an_edge_belongs_to_the_cell_that_begins_there():
    edges = Edges.of([1, 2, 4])
    assert [edges.bucket_of(value) for value in (0.9, 1, 1.9, 2, 3.9, 4, 9)] == [
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]


def test_every_value_lies_within_the_bounds_of_its_bucket():
    edges = Edges.of([1, 2, 4])
    for value in (-5.0, 1.0, 2.5, 4.0, 1e300):
        lower, upper = edges.bounds(edges.bucket_of(value))
        assert lower <= value < upper


def test_the_outermost_buckets_reach_to_infinity():
    edges = Edges.of([1, 2])
    assert edges.bounds(0) == (-np.inf, 1)
    assert edges.bounds(2) == (2, np.inf)


@pytest.mark.parametrize("bucket", [-1, 3])
def test_a_bucket_that_does_not_exist_has_no_bounds(bucket):
    with pytest.raises(IndexError):
        Edges.of([1, 2]).bounds(bucket)


@pytest.mark.parametrize("values", [[], [1], [[1, 2]], [2, 1], [1, 1], [1, np.inf], [1, np.nan, 2]])
def test_values_that_are_no_edges_are_refused(values):
    with pytest.raises(ValueError, match="edges are"):
        Edges.of(values)


def test_edges_do_not_change_with_the_array_they_were_made_from():
    source = np.array([1.0, 2.0])
    edges = Edges(source)
    source[0] = 0.5
    assert edges.values[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        edges.values[0] = 0.5


def test_edges_are_equal_when_their_content_is():
    assert Edges.of([1, 2]) == Edges.of((1.0, 2.0))
    assert hash(Edges.of([1, 2])) == hash(Edges.of((1.0, 2.0)))
    assert Edges.of([1, 2]) != Edges.of([1, np.nextafter(2, 3)])
    assert Edges.of([1, 2]) != [1, 2]


def test_the_nearest_edge_is_found_inside_and_beyond_the_range():
    edges = Edges.of([1, 2, 4])
    assert [edges.nearest(value) for value in (0, 1.4, 1.6, 2, 3.5, 99)] == [0, 0, 1, 1, 2, 2]


def test_latency_edges_span_10_us_to_1000_s_in_cells_of_at_most_one_percent():
    values = latency_edges().values
    assert values[0] == 10_000
    assert values[-1] == 1_000_000_000_000
    assert max(high / low for low, high in pairwise(values.tolist())) <= 1.01


@pytest.mark.parametrize("ratio", [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5, 8])
def test_round_numbers_of_every_decade_are_latency_edges(ratio):
    values = set(latency_edges().values.tolist())
    assert {ratio * 10**power for power in range(4, 12)} <= values


def test_latency_edges_are_the_same_on_every_machine_and_in_every_release():
    # Boards and checkpoints name their edges by this hash: changing it is a change of format.
    assert latency_edges().content_hash == (
        "5439b1aa08d17ca01c23eeb354b69dea372992ab20cee074928e1c0c83ecfec9"
    )
