"""Delivery and dead letters as Prometheus families.

Must not know: HTTP, how a sink is talked to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from sidecar.admin.buckets import NS_PER_S, ClassicBuckets
from sidecar.control.recording import Recording
from sidecar.delivery.dead_letters import Found
from sidecar.delivery.figures import DeliveryFigures
from sidecar.delivery.retries import CircuitState

_BATCH_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OUTCOMES = ("delivered", "retried", "dead_lettered")


class DeliveryMetrics(Collector):
    """Collects from the pumps and the store of dead letters. `wall_ns` is the wall clock."""

    def __init__(self, recording: Recording, wall_ns: Callable[[], int]) -> None:
        self._recording = recording
        self._wall_ns = wall_ns

    def collect(self) -> Iterator[Metric]:
        """All families of delivery."""
        yield from _sinks(self._recording.deliveries())
        yield from self._dead_letters()

    def _dead_letters(self) -> Iterator[Metric]:
        store = self._recording.dead_letters
        now_ns = self._wall_ns()
        letters = GaugeMetricFamily(
            "sidecar_dead_letters",
            "Dead letters that somebody should still do something about.",
            labels=("class",),
        )
        age = GaugeMetricFamily(
            "sidecar_dead_letters_age_seconds",
            "How long ago the oldest of them arrived; 0: there is none.",
            labels=("class",),
        )
        size = GaugeMetricFamily(
            "sidecar_dead_letters_bytes", "What all dead letters take.", labels=("class",)
        )
        arrived = CounterMetricFamily(
            "sidecar_dead_letters_arrived", "Dead letters that came in.", labels=("class",)
        )
        purged = CounterMetricFamily(
            "sidecar_dead_letters_purged",
            "Dead letters that went before they were replayed, by why.",
            labels=("class", "reason"),
        )
        for class_, figures in store.figures.items():
            letters.add_metric((class_.value,), figures.open)
            age.add_metric((class_.value,), figures.age_s(now_ns))
            size.add_metric((class_.value,), figures.bytes)
            arrived.add_metric((class_.value,), figures.arrived)
            for reason, count in figures.purged_open.items():
                purged.add_metric((class_.value, reason.value), count)
        yield from (letters, age, size, arrived, purged)
        yield CounterMetricFamily(
            "sidecar_dead_letters_store_failures",
            "Calls that failed, as the file of dead letters could not be used.",
            value=store.failures,
        )
        yield CounterMetricFamily(
            "sidecar_dead_letters_put_aside",
            "Files of dead letters that were damaged, and were put aside.",
            value=store.put_aside,
        )
        missed = CounterMetricFamily(
            "sidecar_dead_letters_missed",
            "Records of which nobody knows whether they were failures: damaged or removed before "
            "it was looked, or not readable.",
            labels=("reason",),
        )
        totals = self._recording.failed_predictions.standing.totals
        for found in (Found.LOST, Found.UNREADABLE):
            missed.add_metric((found.value,), sum(totals.get(found.value, {}).values()))
        yield missed


def _sinks(deliveries: list[DeliveryFigures]) -> Iterator[Metric]:
    delivery = CounterMetricFamily(
        "sidecar_delivery",
        "Records by what became of them at a sink; `retried` counts each time one is sent again, "
        "`expired` and `corrupt` are lost to it.",
        labels=("sink", "outcome"),
    )
    batches = CounterMetricFamily(
        "sidecar_delivery_attempts",
        "Batches that were sent, by whether the sink was there.",
        labels=("sink", "outcome"),
    )
    queued = GaugeMetricFamily(
        "sidecar_delivery_queued", "Records in the hands of a sink's pump.", labels=("sink",)
    )
    lag_s = GaugeMetricFamily(
        "sidecar_delivery_lag_seconds",
        "Age of the oldest record that a sink has not taken.",
        labels=("sink",),
    )
    lag_bytes = GaugeMetricFamily(
        "sidecar_delivery_lag_bytes",
        "Bytes of the journal that a sink has not taken.",
        labels=("sink",),
    )
    down = GaugeMetricFamily(
        "sidecar_delivery_circuit",
        "0: a sink is sent batches; 1: one record is tried; 2: it is left alone for a while.",
        labels=("sink",),
    )
    durations = HistogramMetricFamily(
        "sidecar_delivery_batch_seconds",
        "How long sinks took for batches that they answered for.",
        labels=("sink",),
    )
    states = (CircuitState.CLOSED, CircuitState.HALF_OPEN, CircuitState.OPEN)
    for one in deliveries:
        for outcome in _OUTCOMES:
            delivery.add_metric((one.sink, outcome), getattr(one, outcome))
        for reason in ("expired", "corrupt"):
            delivery.add_metric((one.sink, reason), one.dropped.get(reason, 0))
        batches.add_metric((one.sink, "answered"), one.attempts - one.failures)
        batches.add_metric((one.sink, "failed"), one.failures)
        queued.add_metric((one.sink,), one.queued)
        lag_s.add_metric((one.sink,), one.lag_s)
        lag_bytes.add_metric((one.sink,), one.lag_bytes)
        down.add_metric((one.sink,), states.index(one.state))
        latency = one.batch_latency
        durations.add_metric(
            (one.sink,),
            ClassicBuckets(_BATCH_BOUNDS_S, latency.edges).labelled(latency.counts),
            sum_value=latency.total / NS_PER_S,
        )
    yield from (delivery, batches, queued, lag_s, lag_bytes, down, durations)
