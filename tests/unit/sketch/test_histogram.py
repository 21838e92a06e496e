import numpy as np
import pytest

from sidecar.sketch import Edges, Histogram, latency_edges

EDGES = Edges.of([10, 20, 40])


def histogram(counts, total=0):
    return Histogram(edges=EDGES, counts=np.array(counts), total=total)


def test_an_empty_histogram_has_no_mean_and_no_quantiles():
    empty = Histogram.empty(EDGES)
    assert (empty.count, empty.mean, empty.quantile(0.5)) == (0, None, None)


def test_the_mean_is_of_the_values_not_of_their_cells():
    assert histogram([0, 3, 0, 0], total=33).mean == 11


@pytest.mark.parametrize(
    ("counts", "complaint"), [([1, 2], "counts for"), ([0, -1, 0, 0], "negative")]
)
def test_counts_that_do_not_fit_are_refused(counts, complaint):
    with pytest.raises(ValueError, match=complaint):
        histogram(counts)


def test_counts_do_not_change_with_the_array_they_were_made_from():
    source = np.array([1, 0, 0, 0])
    made = Histogram(edges=EDGES, counts=source)
    source[0] = 5
    assert made.count == 1
    with pytest.raises(ValueError, match="read-only"):
        made.counts[0] = 5


def test_merging_adds_counts_and_totals():
    assert histogram([1, 2, 0, 0], 30).merge(histogram([0, 1, 1, 1], 80)) == histogram(
        [1, 3, 1, 1], 110
    )


def test_a_window_is_the_difference_of_two_snapshots():
    earlier, later = histogram([1, 2, 0, 0], 30), histogram([1, 3, 0, 4], 400)
    assert later.since(earlier) == histogram([0, 1, 0, 4], 370)


def test_a_snapshot_that_is_not_earlier_gives_no_window():
    with pytest.raises(ValueError, match="negative"):
        histogram([1, 2, 0, 0]).since(histogram([1, 3, 0, 0]))


@pytest.mark.parametrize("combine", [Histogram.merge, Histogram.since])
def test_histograms_over_different_edges_do_not_combine(combine):
    other = Histogram.empty(Edges.of([10, 20, 41]))
    with pytest.raises(ValueError, match="different edges"):
        combine(histogram([0, 0, 0, 0]), other)


def test_counting_below_a_bound_is_exact_at_edges_and_cautious_between_them():
    counted = histogram([1, 2, 4, 8])
    assert [counted.count_below(bound) for bound in (5, 10, 15, 20, 40, 1e9, np.inf)] == [
        0, 1, 1, 3, 7, 7, 15,
    ]  # fmt: skip


def test_a_quantile_comes_with_its_cell():
    counted = histogram([0, 1, 1, 0])
    low, high = counted.quantile(0.5), counted.quantile(1.0)
    assert (low.lower, low.estimate, low.upper) == (10, 15, 20)
    assert (high.lower, high.estimate, high.upper) == (20, 30, 40)


def test_values_of_a_cell_are_taken_to_lie_at_even_distances():
    counted = histogram([0, 5, 0, 0])
    estimates = [counted.quantile(q).estimate for q in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    assert estimates == [11, 11, 13, 15, 17, 19]


def test_a_quantile_outside_the_edges_says_so_and_estimates_the_nearest_edge():
    below, above = histogram([1, 0, 0, 0]).quantile(0.5), histogram([0, 0, 0, 1]).quantile(0.5)
    assert (below.lower, below.upper, below.estimate) == (-np.inf, 10, 10)
    assert (above.lower, above.upper, above.estimate) == (40, np.inf, 40)


@pytest.mark.parametrize("q", [-0.01, 1.01, float("nan")])
def test_a_quantile_outside_0_to_1_is_refused(q):
    with pytest.raises(ValueError, match="between 0 and 1"):
        histogram([0, 1, 0, 0]).quantile(q)


def test_histograms_are_equal_by_value_and_usable_as_keys():
    assert {histogram([1, 0, 0, 0], 5), histogram([1, 0, 0, 0], 5)} == {histogram([1, 0, 0, 0], 5)}
    assert histogram([1, 0, 0, 0], 5) != histogram([1, 0, 0, 0], 6)
    assert histogram([1, 0, 0, 0]) != histogram([0, 1, 0, 0])
    assert histogram([0, 0, 0, 0]) != 0


def test_a_million_latencies_of_two_modes_are_summarised_within_one_percent():
    rng = np.random.default_rng(7)
    values = np.concatenate([
        rng.lognormal(np.log(2e6), 0.3, 900_000), rng.lognormal(np.log(80e6), 0.6, 100_000)
    ])  # fmt: skip
    edges = latency_edges()
    counts = np.bincount(
        np.searchsorted(edges.values, values, side="right"), minlength=edges.bucket_count
    )
    counted = Histogram(edges=edges, counts=counts)
    for q in (0.01, 0.5, 0.89, 0.9, 0.95, 0.99, 0.999):
        exact = np.quantile(values, q)
        assert counted.quantile(q).estimate == pytest.approx(exact, rel=0.01)


def test_a_cell_of_a_single_value_is_read_back_as_that_value():
    edges = Edges.of([0.1, np.nextafter(0.1, 1.0), 1.0])
    made = Histogram(edges=edges, counts=np.array([0, 7, 0, 0]))

    assert {made.quantile(q).estimate for q in (0.0, 0.3, 0.8, 1.0)} == {0.1}
