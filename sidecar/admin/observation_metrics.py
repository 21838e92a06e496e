"""What is observed as Prometheus families: from the totals of every watch, as they stand now.

Totals outlive restarts, so these counters go on where they were (a scraper sees no reset). A
segment's series are as many as it has values, those that are learned included: `segments[].top`
bounds them, and what is none of them is `other`.

Must not know: HTTP, snapshots, what drift is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from sidecar.admin.buckets import NS_PER_S, ClassicBuckets
from sidecar.admin.observation_views import OUTCOMES, whole
from sidecar.control.observation import OTHER, Observer, Watched
from sidecar.model import Role
from sidecar.sketch import Area, BlockCounter, Edges, WatchCounter

LATENCY = "latency_ns"
# A route may have hundreds of segments: a few bounds, all of them edges of the measure.
SEGMENT_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_CELL = ("route", "model", "role")
_SEGMENT = (*_CELL, "segment", "value")
_COMPARISONS = {
    "agreed": (WatchCounter.AGREED,),
    "differed": (WatchCounter.PAIRED, WatchCounter.AGREED),  # the first less the second
    "unpaired": (WatchCounter.UNPAIRED,),
}

_EXCHANGES = frozenset({"sidecar_monitor_exchanges", "sidecar_rows", "sidecar_shadow_comparisons"})
_SEGMENTS = frozenset(
    {
        "sidecar_segment_requests",
        "sidecar_segment_failures",
        "sidecar_segment_request_duration_seconds",
    }
)

Totals = Sequence[tuple[Watched, Area]]


class ObservationMetrics(Collector):
    """Collects what an observer sees."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def collect(self) -> Iterator[Metric]:
        """All families of observing."""
        return self.families((*_EXCHANGES, *_SEGMENTS))

    def families(self, wanted: Collection[str]) -> Iterator[Metric]:
        """Likewise, but of segments and exchanges only if any is wanted: areas are large."""
        observer = self._observer
        if not _EXCHANGES.isdisjoint(wanted) or not _SEGMENTS.isdisjoint(wanted):
            totals = [(one, observer.live(one.owner)) for one in observer.watched()]
            yield from _exchanges(totals)
            if not _SEGMENTS.isdisjoint(wanted):
                yield from _segments(totals)
        yield self._unwatched()
        yield from self._snapshots()

    def _unwatched(self) -> Metric:
        family = GaugeMetricFamily(
            "sidecar_unwatched",
            "1 for what should be observed and is not: /api/v1/status says why.",
            labels=_CELL,
        )
        for one in self._observer.watched():
            family.add_metric(_labels(one), 0)
        for left_out in self._observer.unwatched():
            key = left_out.key
            family.add_metric((key.route, key.model, key.role.value), 1)
        return family

    def _snapshots(self) -> Iterator[Metric]:
        history = self._observer.history
        yield GaugeMetricFamily("sidecar_snapshots", "Snapshots kept.", value=len(history.shelf))
        yield GaugeMetricFamily(
            "sidecar_snapshots_bytes", "What they take.", value=history.size_bytes
        )
        yield GaugeMetricFamily(
            "sidecar_snapshot_timestamp_seconds",
            "When the newest was taken, in seconds since 1970; 0: none yet.",
            value=history.newest_ns / NS_PER_S,
        )
        yield CounterMetricFamily(
            "sidecar_snapshot_write_failures",
            "Times the disk refused a snapshot; it is kept in memory and tried again.",
            value=history.losses.write_failures,
        )


def _labels(one: Watched) -> tuple[str, str, str]:
    return one.key.route, one.key.model, one.key.role.value


def _exchanges(totals: Totals) -> Iterable[Metric]:
    exchanges = CounterMetricFamily(
        "sidecar_monitor_exchanges",
        "Exchanges that the monitor was offered, by what became of them.",
        labels=(*_CELL, "outcome"),
    )
    rows = CounterMetricFamily(
        "sidecar_rows", "Rows that were read from requests and counted.", labels=_CELL
    )
    comparisons = CounterMetricFamily(
        "sidecar_shadow_comparisons",
        "A shadow's answers, by how they compare with the primary's.",
        labels=("route", "model", "outcome"),
    )
    for one, area in totals:
        for counter, outcome in OUTCOMES.items():
            exchanges.add_metric((*_labels(one), outcome), area.counter(counter))
        rows.add_metric(_labels(one), whole(one, area).counter(BlockCounter.ROWS))
        if one.key.role is Role.SHADOW:
            for outcome, (counter, *less) in _COMPARISONS.items():
                count = area.counter(counter) - sum(area.counter(other) for other in less)
                comparisons.add_metric((one.key.route, one.key.model, outcome), count)
    return exchanges, rows, comparisons


def _segments(totals: Totals) -> Iterable[Metric]:
    requests = CounterMetricFamily(
        "sidecar_segment_requests", "Requests that were read, by segment.", labels=_SEGMENT
    )
    failures = CounterMetricFamily(
        "sidecar_segment_failures",
        "Requests among them that failed: a status from 400 on, or no whole answer.",
        labels=_SEGMENT,
    )
    durations = HistogramMetricFamily(
        "sidecar_segment_request_duration_seconds",
        "Durations of the requests that were read, by segment.",
        labels=_SEGMENT,
    )
    for one, area in totals:
        for segment in one.segments:
            for value, place in one.blocks(segment.name).items():
                block = area.block(place)
                labels = (*_labels(one), segment.name, OTHER if value is None else value)
                requests.add_metric(labels, block.counter(BlockCounter.REQUESTS))
                failures.add_metric(labels, block.counter(BlockCounter.FAILED))
                latency = block.distribution(LATENCY)
                buckets = ClassicBuckets(SEGMENT_BUCKETS_S, Edges.of(latency.column.edges))
                sum_ns = int(block.outcomes(LATENCY).latency_ns.sum())
                durations.add_metric(
                    labels, buckets.labelled(latency.values), sum_value=sum_ns / NS_PER_S
                )
    return requests, failures, durations
