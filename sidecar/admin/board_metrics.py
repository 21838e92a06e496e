"""The board as Prometheus families: one pass over one snapshot.

A route, model and role has its series from the moment it has a cell, at zero, so that `rate()` sees
the first request too. Series that cannot be (a shadow's total duration, a primary's fallbacks) are
left out.

A histogram's last bucket and its count are the same number, and its sum is that of the values
themselves, not of their buckets.

Must not know: HTTP, processes, how the board is written.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from sidecar.admin.buckets import NS_PER_S, ClassicBuckets
from sidecar.board import LATENCY_COLUMNS, CellCounter, ModelGauge, Snapshot, WorkerGauge
from sidecar.model import CellKey, Role, ShadowOutcome, StatusClass
from sidecar.sketch import IntArray

Cells = Sequence[tuple[int, CellKey]]
Models = Sequence[tuple[int, str]]

_CELL = ("route", "model", "role")
_STATUSES = tuple((status.value, CellCounter.of_status(status)) for status in StatusClass)
_OUTCOMES = tuple((outcome.value, CellCounter.of_shadow(outcome)) for outcome in ShadowOutcome)
_REJECTED = tuple(
    (gauge.name.removeprefix("REJECTED_").lower(), gauge)
    for gauge in WorkerGauge
    if gauge.name.startswith("REJECTED_")
)

_HISTOGRAMS = {
    "total": (
        "sidecar_request_duration_seconds",
        "From reading a request's head to writing the last byte of its answer.",
    ),
    "upstream": (
        "sidecar_upstream_duration_seconds",
        "From sending the request to the model to the last byte of its answer.",
    ),
    "first_byte": (
        "sidecar_time_to_first_byte_seconds",
        "From reading a request's head (a shadow: sending it) to the model's first byte.",
    ),
    "overhead": (
        "sidecar_overhead_seconds",
        "What the sidecar added: request duration less upstream duration.",
    ),
}
_SHADOW_COLUMNS = frozenset({"upstream", "first_byte"})  # nobody waits for the rest of a mirror

_WORKER_SUMS = (
    (GaugeMetricFamily, "sidecar_inflight_requests", WorkerGauge.IN_FLIGHT,
     "Requests that clients wait for now."),
    (GaugeMetricFamily, "sidecar_inflight_shadow_requests", WorkerGauge.SHADOWS_IN_FLIGHT,
     "Mirrored requests under way now."),
    (GaugeMetricFamily, "sidecar_connections", WorkerGauge.CONNECTIONS,
     "Client connections open now."),
    (CounterMetricFamily, "sidecar_accepted_connections", WorkerGauge.ACCEPTED,
     "Client connections accepted."),
    (CounterMetricFamily, "sidecar_accept_pauses", WorkerGauge.ACCEPT_PAUSED,
     "Times a worker stopped accepting at the connection limit; clients wait in the queue."),
    (GaugeMetricFamily, "sidecar_draining_workers", WorkerGauge.DRAINING,
     "Workers that finish what they have and take nothing new."),
)  # fmt: skip

_MODEL_SUMS = (
    (GaugeMetricFamily, "sidecar_upstream_waiting_requests", ModelGauge.WAITERS,
     "Requests that wait for a connection to the model now."),
    (CounterMetricFamily, "sidecar_upstream_connects", ModelGauge.CONNECTS,
     "Connections to the model begun."),
    (CounterMetricFamily, "sidecar_upstream_connect_failures", ModelGauge.CONNECT_FAILURES,
     "Connections to the model that could not be made."),
    (CounterMetricFamily, "sidecar_upstream_idle_closes", ModelGauge.IDLE_CLOSED_BY_MODEL,
     "Idle connections that the model closed before the sidecar did."),
    (CounterMetricFamily, "sidecar_breaker_opened", ModelGauge.BREAKER_OPENED,
     "Times the model's circuit breaker opened, counted in each worker."),
)  # fmt: skip


class NamedPlaces(Protocol):
    """Who has which place on the board: a `RoutingUpdate`, or anything with these."""

    @property
    def version(self) -> int:
        """The routing version."""

    @property
    def cells(self) -> Sequence[CellKey | None]:
        """The key of each cell; None: unused."""

    @property
    def model_rows(self) -> Sequence[str | None]:
        """The model of each row; None: unused."""


class BoardMetrics(Collector):
    """Collects over one snapshot per call. Raises ConfigError at once when buckets are unusable."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        routing: Callable[[], NamedPlaces],
        *,
        buckets_s: Sequence[float],
        version: str,
    ) -> None:
        self._snapshot = snapshot
        self._routing = routing
        self._buckets = ClassicBuckets(buckets_s, snapshot().edges)
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """All families of the board."""
        return self.families({name for name, _ in _HISTOGRAMS.values()})

    def families(self, wanted: Collection[str]) -> Iterator[Metric]:
        """Likewise, of the histograms only those that are wanted: they are most of the work."""
        snapshot, routing = self._snapshot(), self._routing()
        cells = [(cell, key) for cell, key in enumerate(routing.cells) if key is not None]
        models = [(row, name) for row, name in enumerate(routing.model_rows) if name is not None]
        yield from _requests(snapshot, cells)
        yield from self._durations(snapshot, cells, wanted)
        yield from _workers(snapshot, routing.version)
        yield from _models(snapshot, models)
        yield InfoMetricFamily(
            "sidecar_build",
            "The running version.",
            value={"version": self._version, "python": platform.python_version()},
        )

    def _durations(
        self, snapshot: Snapshot, cells: Cells, wanted: Collection[str]
    ) -> Iterator[Metric]:
        for column, (name, documentation) in _HISTOGRAMS.items():
            if name not in wanted:
                continue
            at = LATENCY_COLUMNS.index(column)
            family = HistogramMetricFamily(name, documentation, labels=_CELL)
            for cell, key in cells:
                if key.role is Role.SHADOW and column not in _SHADOW_COLUMNS:
                    continue
                family.samples += self._histogram(
                    name, key, snapshot.counts(cell, at), int(snapshot.sums[cell, at])
                )
            yield family

    def _histogram(
        self, name: str, key: CellKey, counts: IntArray, sum_ns: int
    ) -> Iterator[Sample]:
        # Most of an exposition is these: made directly they cost half of what `add_metric` takes.
        labels = {"model": key.model, "role": key.role.value, "route": key.route}
        buckets = self._buckets.labelled(counts)
        for bound, below in buckets:
            yield Sample(f"{name}_bucket", {"le": bound, **labels}, below)
        yield Sample(f"{name}_count", labels, buckets[-1][1])
        yield Sample(f"{name}_sum", labels, sum_ns / NS_PER_S)


def _labels(key: CellKey) -> tuple[str, str, str]:
    return key.route, key.model, key.role.value


def _requests(snapshot: Snapshot, cells: Cells) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "sidecar_requests",
        "Exchanges with a model that have ended, by how.",
        labels=(*_CELL, "status"),
    )
    shadows = CounterMetricFamily(
        "sidecar_shadow",
        "Requests sampled for a shadow, by what became of the copy.",
        labels=("route", "model", "outcome"),
    )
    fallbacks = CounterMetricFamily(
        "sidecar_fallbacks",
        "Requests of a canary that could not be reached, answered by the primary.",
        labels=("route", "model"),
    )
    retries: Counter[tuple[str, str]] = Counter()
    for cell, key in cells:
        counts = snapshot.counters[cell].tolist()
        for status, counter in _STATUSES:
            requests.add_metric((*_labels(key), status), counts[counter])
        if key.role is Role.SHADOW:
            for outcome, counter in _OUTCOMES:
                shadows.add_metric((key.route, key.model, outcome), counts[counter])
            continue
        retries[key.route, key.model] += counts[CellCounter.RETRIES]
        if key.role is Role.CANARY:
            fallbacks.add_metric((key.route, key.model), counts[CellCounter.FALLBACK])
    repeated = CounterMetricFamily(
        "sidecar_retries",
        "Requests sent to the model once more, as no byte of an answer had come.",
        labels=("route", "model"),
    )
    for route_model, count in retries.items():
        repeated.add_metric(route_model, count)
    yield from (requests, shadows, fallbacks, repeated)


def _workers(snapshot: Snapshot, version: int) -> Iterator[Metric]:
    for family, name, gauge, documentation in _WORKER_SUMS:
        yield family(name, documentation, value=snapshot.worker_sum(gauge))
    originated = CounterMetricFamily(
        "sidecar_originated_answers",
        "Answers that the sidecar gave itself instead of a model's.",
        labels=("status",),
    )
    for status, gauge in _REJECTED:
        originated.add_metric((status,), snapshot.worker_sum(gauge))
    yield originated
    yield GaugeMetricFamily(
        "sidecar_workers", "Worker processes that are configured.", value=len(snapshot.workers)
    )
    yield GaugeMetricFamily(
        "sidecar_routing_version",
        "Version of the routing that the controller wants.",
        value=version,
    )
    versions = GaugeMetricFamily(
        "sidecar_worker_routing_version",
        "Version of the routing that a worker uses; 0: none yet.",
        labels=("worker",),
    )
    for worker, gauges in enumerate(snapshot.workers.tolist()):
        versions.add_metric((str(worker),), gauges[WorkerGauge.ROUTING_VERSION])
    yield versions


def _models(snapshot: Snapshot, models: Models) -> Iterator[Metric]:
    for family_of, name, gauge, documentation in _MODEL_SUMS:
        family = family_of(name, documentation, labels=("model",))
        for row, model in models:
            family.add_metric((model,), snapshot.model_sum(row, gauge))
        yield family
    breaker = GaugeMetricFamily(
        "sidecar_breaker_state",
        "The circuit breaker, in the worker where it is worst: 0 closed, 1 half-open, 2 open.",
        labels=("model",),
    )
    connections = GaugeMetricFamily(
        "sidecar_upstream_connections",
        "Connections to the model open now.",
        labels=("model", "state"),
    )
    for row, model in models:
        gauges = snapshot.models[:, row]
        breaker.add_metric((model,), int(gauges[:, ModelGauge.BREAKER].max()))
        idle = int(gauges[:, ModelGauge.IDLE].sum())
        opened = int(gauges[:, ModelGauge.CONNECTIONS].sum())
        connections.add_metric((model, "active"), opened - idle)
        connections.add_metric((model, "idle"), idle)
    yield from (breaker, connections)
