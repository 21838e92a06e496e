"""A histogram of durations that this process itself observes, now and then.

prometheus_client's own would do, but for its `_created` series, which only a process-wide switch
turns off.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class DurationMetric(Collector):
    """Counts durations in buckets with the upper bounds `bounds_s`, rising."""

    def __init__(self, name: str, documentation: str, *, bounds_s: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self._sum_s += duration_s

    def collect(self) -> Iterator[Metric]:
        """The one family, cumulative as Prometheus wants it."""
        bounds = [*map(floatToGoString, self._bounds_s), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        family = HistogramMetricFamily(self._name, self._documentation)
        family.add_metric([], buckets=buckets, sum_value=self._sum_s)
        yield family
