import numpy as np
import pytest

from sidecar.admin.buckets import ClassicBuckets
from sidecar.config.settings import MetricsSettings
from sidecar.errors import ConfigError
from sidecar.sketch import latency_edges

EDGES = latency_edges()


def counts_of(values_ns):
    buckets = np.searchsorted(EDGES.values, values_ns, side="right")
    return np.bincount(buckets, minlength=EDGES.bucket_count)


def test_buckets_are_cumulative_and_the_last_one_is_everything():
    buckets = ClassicBuckets((0.001, 0.01), EDGES)
    counts = counts_of([500, 999_999, 1_000_000, 5_000_000, 10_000_000, 5 * 10**12])
    assert buckets.labelled(counts) == [("0.001", 2), ("0.01", 4), ("+Inf", 6)]


def test_the_default_bounds_are_edges_and_so_count_exactly():
    bounds_s = MetricsSettings().buckets
    rng = np.random.default_rng(3)
    values_ns = np.round(10 ** rng.uniform(3.5, 12.5, 20_000))
    labelled = ClassicBuckets(bounds_s, EDGES).labelled(counts_of(values_ns))
    exact = [int((values_ns < round(bound_s * 1e9)).sum()) for bound_s in bounds_s]
    assert [count for _, count in labelled] == [*exact, values_ns.size]


@pytest.mark.parametrize("bound_s", [0.00007, 0.0123, 0.9, 33.3])
def test_any_other_bound_is_moved_by_less_than_half_a_percent(bound_s):
    near = np.array([bound_s * 0.995, bound_s * 1.005]) * 1e9
    labelled = ClassicBuckets((bound_s,), EDGES).labelled(counts_of(near))
    assert labelled == [(repr(bound_s) if bound_s > 0.0001 else "7e-05", 1), ("+Inf", 2)]


@pytest.mark.parametrize(
    ("bounds_s", "path"),
    [
        ((0.000_009, 1.0), r"\$\.metrics\.buckets\[0\]"),
        ((1.0, 1001.0), r"\$\.metrics\.buckets\[1\]"),
        ((1.0, float("inf")), r"\$\.metrics\.buckets\[1\]"),
        ((1.0, float("nan")), r"\$\.metrics\.buckets\[1\]"),
        ((1.0, 2.0, 2.0), r"\$\.metrics\.buckets\[2\].*rise"),
        ((1.0, 3.0, 2.0), r"\$\.metrics\.buckets\[2\].*rise"),
    ],
)
def test_bounds_that_cannot_be_told_apart_are_a_configuration_error(bounds_s, path):
    with pytest.raises(ConfigError, match=path):
        ClassicBuckets(bounds_s, EDGES)


def test_without_bounds_there_is_only_everything():
    assert ClassicBuckets((), EDGES).labelled(counts_of([5.0])) == [("+Inf", 1)]
