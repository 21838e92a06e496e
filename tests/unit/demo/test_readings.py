"""Figures read from an exposition that prometheus_client itself rendered."""

import json

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from sidecar.demo.readings import Agreement, Latency, read, read_percents

BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.1)


@pytest.fixture
def exposition():
    registry = CollectorRegistry()
    labels = ["route", "model", "role"]
    requests = Counter("sidecar_requests", "n", [*labels, "status"], registry=registry)
    duration = Histogram(
        "sidecar_request_duration_seconds", "s", labels, buckets=BOUNDS, registry=registry
    )
    overhead = Histogram("sidecar_overhead_seconds", "s", labels, buckets=BOUNDS, registry=registry)
    shadow = Counter("sidecar_shadow", "n", ["route", "model", "outcome"], registry=registry)
    rows = Counter("sidecar_rows", "n", labels, registry=registry)
    compared = Counter(
        "sidecar_shadow_comparisons", "n", ["route", "model", "outcome"], registry=registry
    )
    rows.labels("a", "stable", "primary").inc(58)
    rows.labels("b", "stable", "primary").inc(19)
    rows.labels("a", "trial", "shadow").inc(50)
    compared.labels("a", "trial", "agreed").inc(40)
    compared.labels("b", "trial", "agreed").inc(5)
    compared.labels("a", "trial", "differed").inc(5)
    requests.labels("a", "stable", "primary", "2xx").inc(60)
    requests.labels("b", "stable", "primary", "2xx").inc(20)
    requests.labels("a", "stable", "primary", "5xx").inc(7)
    requests.labels("a", "stable", "primary", "error").inc(2)
    requests.labels("a", "stable", "primary", "4xx").inc(1)
    requests.labels("a", "next", "canary", "2xx").inc(9)
    requests.labels("a", "next", "canary", "fallback").inc(1)
    requests.labels("a", "trial", "shadow", "2xx").inc(50)
    for route in "ab":
        duration.labels(route, "stable", "primary").observe(0.0015)
        overhead.labels(route, "stable", "primary").observe(0.0001)
    shadow.labels("a", "trial", "answered").inc(50)
    shadow.labels("b", "trial", "answered").inc(5)
    shadow.labels("a", "trial", "timeout").inc(3)
    return generate_latest(registry).decode()


def test_models_add_up_over_routes_and_shadows_are_no_answers(exposition):
    readings = read(exposition)
    assert {(r.model, r.role): (r.requests, r.failed) for r in readings.models} == {
        ("stable", "primary"): (90, 9),
        ("next", "canary"): (10, 1),
    }
    assert readings.requests == 100
    assert [readings.share_percent(r) for r in readings.models] == [90.0, 10.0]


def test_rows_add_up_over_routes_and_none_is_invented(exposition):
    assert {r.model: r.rows for r in read(exposition).models} == {"stable": 77, "next": 0}


def test_a_shadow_agrees_in_its_share_of_what_was_compared(exposition):
    agreement = read(exposition).agreement
    assert agreement == {"trial": Agreement(agreed=45, differed=5)}
    assert agreement["trial"].percent == 90.0
    assert Agreement(agreed=0, differed=0).percent is None


def test_percentages_are_those_that_hold_now_not_the_files():
    routes = {"loans": {"weights": {"stable": 50.0, "next": 50.0}, "file": {"next": 10.0}}}
    answer = json.dumps({"version": 2, "routes": routes}).encode()
    assert read_percents(answer) == {"stable": 50.0, "next": 50.0}


def test_histograms_add_up_over_routes(exposition):
    stable = read(exposition).models[0]
    assert stable.total.n == stable.overhead.n == 2
    assert 0.001 < stable.total.quantile_s(0.5) <= 0.002
    assert 0 < stable.overhead.quantile_s(0.5) <= 0.001


def test_mirrors_are_counted_by_outcome(exposition):
    assert read(exposition).mirrors == {"trial": {"answered": 55, "timeout": 3}}


def test_an_exposition_without_traffic_has_no_shares_and_no_quantiles():
    readings = read("")
    assert (readings.models, readings.requests, readings.mirrors) == ((), 0, {})
    assert Latency().quantile_s(0.5) is None


@pytest.mark.parametrize("q", [0.01, 0.5, 0.9, 0.99, 1.0])
def test_a_quantile_lies_in_the_bucket_of_the_exact_one(q):
    values = np.random.default_rng(7).lognormal(-6, 1, 5_000)
    bounds = (*BOUNDS, float("inf"))
    latency = Latency(
        bounds_s=bounds, counts=tuple(int((values <= bound).sum()) for bound in bounds)
    )
    exact = float(np.quantile(values, q, method="inverted_cdf"))
    at = int(np.searchsorted(bounds, exact))
    assert (0, *bounds)[at] <= latency.quantile_s(q) <= min(bounds[at], BOUNDS[-1])


def test_a_quantile_beyond_the_last_bound_is_that_bound():
    assert Latency(bounds_s=(0.1, float("inf")), counts=(0, 5)).quantile_s(0.5) == 0.1
