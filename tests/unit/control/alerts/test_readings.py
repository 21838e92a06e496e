"""The figures of rules: by hand, and against the definition of Prometheus."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.alerting import (
    QuantileReading,
    RatioReading,
    Relation,
    SeriesSelection,
    Signal,
)
from sidecar.config.signals import Read, Reading, reading_of
from sidecar.config.units import Duration
from sidecar.control.alerts.readings import (
    Figure,
    change_percent,
    figures,
    quantile_of,
    reference_of,
)
from sidecar.control.alerts.samples import by_name
from sidecar.control.alerts.windows import Windows

S = 1_000_000_000


def names_of(samples) -> frozenset[str]:
    return frozenset(sample.name for sample in samples)


def read_after(reading: Reading, *moments, worst=max, every_s: int = 15):
    """What a reading says after these moments, each a list of samples."""
    windows = Windows()
    for number, samples in enumerate(moments):
        found = by_name(samples, names_of(samples))
        windows = windows.followed_by([reading], found, number * every_s * S)
    return figures(reading, found, windows, worst=worst)


def value(by=None, where=None) -> Reading:
    selection = SeriesSelection(series="sidecar_x", where=where or {})
    return Reading(read=Read.VALUE, of=selection, by=by)


def test_values_are_kept_apart_by_all_labels_unless_said_otherwise(sample):
    found = read_after(
        value(), [sample("sidecar_x", 1, a="1", b="1"), sample("sidecar_x", 2, a="1", b="2")]
    )

    assert found == {
        (("a", "1"), ("b", "1")): Figure(1.0),
        (("a", "1"), ("b", "2")): Figure(2.0),
    }


def test_a_value_rests_on_the_rows_of_its_own_window(sample):
    reading = Reading(
        read=Read.VALUE,
        of=SeriesSelection(series="sidecar_psi"),
        by=("model",),
        counted=SeriesSelection(series="sidecar_rows"),
    )
    rows = [sample("sidecar_rows", 10 * n, model="m", window=f"{n}h") for n in (1, 2)]
    psi = [sample("sidecar_psi", n, model="m", feature="x", window=f"{n}h") for n in (1, 2)]

    assert read_after(reading, [*rows, *psi]) == {(("model", "m"),): Figure(2.0, 20)}
    assert read_after(reading, [*rows, *psi], worst=min) == {(("model", "m"),): Figure(1.0, 10)}
    assert read_after(reading, psi) == {(("model", "m"),): Figure(2.0, None)}


@pytest.mark.parametrize("signal", [Signal.POSITIVE_RATE, Signal.MISSING_SHARE])
def test_a_share_of_a_few_rows_says_nothing(sample, rule, signal):
    reading = reading_of(rule(signal=signal))
    of_window = {"route": "r", "model": "m"}
    samples = [
        sample(reading.of.series, share, feature="age", window=window, **of_window)
        for window, share in (("5m", 1.0), ("1h", 0.4))
    ]
    rows = [
        sample("sidecar_drift_window_rows", count, window=window, **of_window)
        for window, count in (("5m", 19), ("1h", 400))
    ]

    assert list(read_after(reading, [*samples, *rows]).values()) == [Figure(0.4, 400)]


def test_of_several_values_in_a_group_the_worst_counts(sample):
    samples = [sample("sidecar_x", 1, a="1", b="1"), sample("sidecar_x", 2, a="1", b="2")]

    assert read_after(value(by=("a",)), samples) == {(("a", "1"),): Figure(2.0)}
    assert read_after(value(by=("a",)), samples, worst=min) == {(("a", "1"),): Figure(1.0)}
    assert read_after(value(by=()), samples) == {(): Figure(2.0)}


def test_a_value_that_is_no_number_says_nothing(sample):
    samples = [sample("sidecar_x", math.nan, a="1"), sample("sidecar_x", math.inf, a="2")]

    assert read_after(value(), samples) == {}


def test_too_little_data_for_a_verdict_is_no_value(sample, rule):
    reading = reading_of(rule(signal=Signal.DRIFT))
    labels = {"route": "r", "model": "m", "window": "5m", "reference": "baseline"}

    found = read_after(
        reading,
        [
            sample("sidecar_drift_verdict", -1, feature="age", **labels),
            sample("sidecar_drift_verdict", 2, feature="income", **labels),
        ],
    )

    assert found == {(("feature", "income"), ("model", "m"), ("route", "r")): Figure(2.0)}


def test_matchers_choose_among_the_series(sample):
    samples = [sample("sidecar_x", 1, a="x1"), sample("sidecar_x", 2, a="y1")]

    assert list(read_after(value(where={"a": "~y.*"}), samples).values()) == [Figure(2.0)]
    assert list(read_after(value(where={"a": "!y1"}), samples).values()) == [Figure(1.0)]


def test_rates_and_increases_sum_what_is_not_kept_apart(sample, rule):
    def moment(n):
        return [
            sample("sidecar_c_total", 30 * n, route="r", status="2xx"),
            sample("sidecar_c_total", 15 * n, route="r", status="5xx"),
        ]

    rate = reading_of(rule(series="sidecar_c_total", rate=Duration(60), by=("route",)))
    increase = reading_of(rule(series="sidecar_c_total", increase=Duration(60), by=("route",)))

    assert read_after(rate, moment(0), moment(1)) == {(("route", "r"),): Figure(3.0)}
    assert read_after(increase, moment(0), moment(1)) == {(("route", "r"),): Figure(45.0)}


def requests(sample, **counts):
    return [
        sample(
            "sidecar_requests_total",
            count,
            route="r",
            model="m",
            role="primary",
            status=status.strip("_"),
        )
        for status, count in counts.items()
    ]


def test_the_error_rate_is_failures_over_what_was_not_aborted(sample, rule):
    reading = reading_of(rule(signal=Signal.ERROR_RATE))

    found = read_after(
        reading,
        requests(sample, _2xx=0, _5xx=0, error=0, aborted=0),
        requests(sample, _2xx=70, _5xx=20, error=10, aborted=1000),
    )

    assert found == {(("model", "m"), ("route", "r")): Figure(0.3, 100)}


@pytest.mark.parametrize(("count", "says"), [(19, False), (20, True)])
def test_a_share_of_too_few_requests_is_chance_and_says_nothing(sample, rule, count, says):
    reading = reading_of(rule(signal=Signal.ERROR_RATE))

    found = read_after(reading, requests(sample, _5xx=0), requests(sample, _5xx=count))

    assert bool(found) is says


def test_without_traffic_there_is_no_error_rate(sample, rule):
    reading = reading_of(rule(signal=Signal.ERROR_RATE, at_least=0))

    assert read_after(reading, requests(sample, _5xx=5), requests(sample, _5xx=5)) == {}


def test_a_ratio_written_out_reads_like_a_signal(sample, rule):
    reading = reading_of(
        rule(
            ratio=RatioReading(
                of=SeriesSelection(series="sidecar_a_total"),
                to=SeriesSelection(series="sidecar_b_total"),
                window=Duration(60),
            ),
            by=("route",),
        )
    )

    def moment(a, b):
        return [
            sample("sidecar_a_total", a, route="r", why="x"),
            sample("sidecar_b_total", b, route="r"),
        ]

    assert read_after(reading, moment(0, 0), moment(10, 40)) == {
        (("route", "r"),): Figure(0.25, 40)
    }


def buckets(sample, **counts):
    return [
        sample("sidecar_d_seconds_bucket", count, route="r", le=bound)
        for bound, count in counts.items()
    ]


def test_a_quantile_is_of_the_durations_in_the_window(sample, rule):
    reading = reading_of(
        rule(series="sidecar_d_seconds", quantile=QuantileReading(q=0.5), by=("route",))
    )
    before = buckets(sample, **{"0.1": 1000, "1.0": 1000, "+Inf": 1000})
    after = buckets(sample, **{"0.1": 1000, "1.0": 1100, "+Inf": 1100})

    (found,) = read_after(reading, before, after).values()

    assert found.n == 100
    assert found.value == pytest.approx(0.1 + 0.9 * 0.5)


def test_a_quantile_beyond_the_last_bound_is_that_bound(sample, rule):
    reading = reading_of(rule(series="sidecar_d_seconds", quantile=QuantileReading(q=0.99)))
    before = buckets(sample, **{"0.1": 0, "1.0": 0, "+Inf": 0})
    after = buckets(sample, **{"0.1": 0, "1.0": 0, "+Inf": 50})

    assert read_after(reading, before, after) == {(("route", "r"),): Figure(1.0, 50)}


def test_quantiles_of_nothing_are_nothing():
    assert quantile_of([], 0.5) is None
    assert quantile_of([(1.0, 0.0), (math.inf, 0.0)], 0.5) is None


@given(
    st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(any),
    st.floats(0.01, 0.99),
)
def test_a_quantile_lies_in_the_bucket_that_holds_its_rank(counts, q):
    bounds = [0.1 * 2**place for place in range(len(counts) - 1)] + [math.inf]
    total, below, cumulative = sum(counts), 0, []
    for bound, count in zip(bounds, counts, strict=True):
        below += count
        cumulative.append((bound, float(below)))

    found = quantile_of(cumulative, q)

    place = next(i for i, (_, count) in enumerate(cumulative) if count >= q * total)
    lower = 0.0 if place == 0 else bounds[place - 1]
    upper = lower if math.isinf(bounds[place]) else bounds[place]
    assert lower - 1e-12 <= found <= upper + 1e-12


def test_a_change_is_relative_to_the_series_that_agrees_with_the_labels(sample):
    samples = [
        sample("sidecar_ref", 0.9, model="a"),
        sample("sidecar_ref", 0.5, model="b"),
    ]
    relation = Relation(series="sidecar_ref")
    labels = (("model", "a"), ("route", "r"))

    reference = reference_of(relation, labels, by_name(samples, names_of(samples)))

    assert reference == 0.9
    assert change_percent(0.81, reference) == pytest.approx(-10)
    assert reference_of(relation, (("model", "c"),), by_name(samples, names_of(samples))) is None


def test_a_change_from_nothing_is_unknown_and_of_a_negative_figure_keeps_its_sign():
    assert change_percent(1.0, 0.0) is None
    assert change_percent(-12.0, -10.0) == pytest.approx(-20)
