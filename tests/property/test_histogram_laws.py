"""What must hold of histograms of any values over any edges."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sidecar.sketch import Edges, Histogram, latency_edges

LATENCY = latency_edges()

edges_strategy = st.lists(
    st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=12, unique=True
).map(lambda values: Edges.of(sorted(values)))
latencies = st.lists(st.integers(10_000, 999_999_999_999), min_size=1, max_size=60)
shares = st.floats(0, 1)


def counted(edges, values):
    buckets = np.searchsorted(edges.values, np.array(values, dtype=np.float64), side="right")
    counts = np.bincount(buckets, minlength=edges.bucket_count)
    return Histogram(edges=edges, counts=counts, total=sum(values))


@given(latencies, latencies)
def test_merging_is_commutative_and_counts_what_both_counted(left, right):
    merged = counted(LATENCY, left).merge(counted(LATENCY, right))
    assert merged == counted(LATENCY, right).merge(counted(LATENCY, left))
    assert merged == counted(LATENCY, left + right)


@given(latencies, latencies, latencies)
def test_merging_is_associative(first, second, third):
    a, b, c = (counted(LATENCY, values) for values in (first, second, third))
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(latencies)
def test_merging_with_an_empty_histogram_changes_nothing(values):
    assert counted(LATENCY, values).merge(Histogram.empty(LATENCY)) == counted(LATENCY, values)


@given(latencies, latencies)
def test_a_window_holds_exactly_what_came_after_the_snapshot(before, after):
    window = counted(LATENCY, before + after).since(counted(LATENCY, before))
    assert window == counted(LATENCY, after)


@given(edges_strategy, st.lists(st.floats(-2e6, 2e6), min_size=1, max_size=60), shares)
def test_the_quantile_of_the_values_lies_in_the_cell_that_is_named(edges, values, q):
    found = counted(edges, values).quantile(q)
    exact = np.quantile(values, q, method="inverted_cdf")
    assert found.lower <= exact < found.upper
    assert found.lower <= found.estimate <= found.upper


@given(latencies, shares)
def test_a_latency_quantile_is_within_one_percent(values, q):
    exact = np.quantile(values, q, method="inverted_cdf")
    assert counted(LATENCY, values).quantile(q).estimate == pytest.approx(exact, rel=0.01)


@given(latencies, shares, shares)
def test_quantiles_never_fall_as_q_rises(values, one, other):
    made = counted(LATENCY, values)
    assert made.quantile(min(one, other)).estimate <= made.quantile(max(one, other)).estimate


@given(edges_strategy, st.lists(st.floats(-2e6, 2e6), max_size=60), st.data())
def test_counting_below_an_edge_is_exact(edges, values, data):
    edge = data.draw(st.sampled_from(edges.values.tolist()))
    assert counted(edges, values).count_below(edge) == sum(value < edge for value in values)


@given(edges_strategy, st.lists(st.floats(-2e6, 2e6), max_size=60), st.floats(-2e6, 2e6))
def test_counting_below_any_bound_never_counts_too_much(edges, values, bound):
    assume(bound < edges.values[-1])
    assert counted(edges, values).count_below(bound) <= sum(value < bound for value in values)
