"""`/metrics`: what the board, the routing and the processes say, in the words of Prometheus.

One registry of our own; each part has a collector, and prometheus_client writes the text. Which
metrics there are, and what they mean, is docs/metrics.md; label values come from the configuration
and from closed sets, never from a request.

Must not know: HTTP. Who serves it passes the Accept header and sends what comes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from sidecar.admin.board_metrics import BoardMetrics, NamedPlaces
from sidecar.admin.durations import DurationMetric
from sidecar.admin.process_metrics import ProcessMetrics
from sidecar.board import Snapshot

_ROLLBACK_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_SUFFIX: Final = re.compile(r"_(total|bucket|count|sum|info)$")
"""What samples are called beyond the name of their family."""


@runtime_checkable
class SelectiveCollector(Protocol):
    """A collector whose families cost something, and that can leave some out."""

    def families(self, wanted: Collection[str]) -> Iterable[Metric]:
        """At least the families of these names (without `_total` and the like)."""


class Exposition:
    """Renders the metrics of the moment.

    `snapshot` reads the board; `routing` says whose its cells and rows are, and by which version;
    `processes` maps `launcher`, `controller`, `worker-0`, ... to the pids that run now. All three
    are called once per rendering. `buckets_s` are the upper bounds of latency buckets, `further`
    the collectors of other parts.

    Raises ConfigError when the buckets do not rise or lie outside of what the board can tell apart.
    """

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot],
        routing: Callable[[], NamedPlaces],
        processes: Callable[[], Mapping[str, int]],
        buckets_s: Sequence[float],
        version: str,
        further: Sequence[Collector] = (),
    ) -> None:
        self._rollbacks = DurationMetric(
            "sidecar_rollback_duration_seconds",
            "From the order to roll back to the last worker's acknowledgement.",
            bounds_s=_ROLLBACK_BOUNDS_S,
        )
        self._registry = CollectorRegistry(auto_describe=False)
        self._collectors = (
            BoardMetrics(snapshot, routing, buckets_s=buckets_s, version=version),
            self._rollbacks,
            ProcessMetrics(processes),
            *further,
        )
        for collector in self._collectors:
            self._registry.register(collector)

    def observe_rollback(self, duration_s: float) -> None:
        """Count a rollback that took so long."""
        self._rollbacks.observe(duration_s)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics if `accept` asks for it, else text."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def samples(self, names: frozenset[str]) -> Iterator[Sample]:
        """The samples of these series now; a collector that can, makes no other families."""
        wanted = frozenset(_SUFFIX.sub("", name) for name in names)
        for collector in self._collectors:
            families = (
                collector.families(wanted)
                if isinstance(collector, SelectiveCollector)
                else collector.collect()
            )
            for family in families:
                for sample in family.samples:
                    if sample.name in names:
                        yield sample
