"""What the sidecar's own `/metrics` says, as figures. Pure: text in, values out."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_FAILED = frozenset({"5xx", "error", "fallback"})
"""Status classes that are the model's failure; 4xx is the client's, `aborted` nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Classic histogram buckets: `counts[i]` observations at most `bounds_s[i]`, both rising."""

    bounds_s: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """How many observations."""
        return int(self.counts[-1]) if self.counts else 0

    def quantile_s(self, q: float) -> float | None:
        """Return the q-quantile in seconds, None without observations.

        Linear within a bucket, like PromQL's `histogram_quantile`: right to within one bucket's
        width; the lower bound of the last bucket where it has no upper one.
        """
        if not self.n:
            return None
        rank = q * self.n
        lower_s = below = 0.0
        for upper_s, count in zip(self.bounds_s, self.counts, strict=True):
            if count >= rank and count > below:
                if math.isinf(upper_s):
                    return lower_s
                return lower_s + (upper_s - lower_s) * (rank - below) / (count - below)
            lower_s, below = upper_s, count
        return lower_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReading:
    """One model in one role, since the sidecar started."""

    model: str
    role: str
    requests: int
    failed: int
    total: Latency
    overhead: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All models that answer clients, and what became of the mirrored requests of each shadow."""

    models: tuple[ModelReading, ...] = ()
    mirrors: Mapping[str, Mapping[str, int]]

    @property
    def requests(self) -> int:
        """Requests answered to clients, over all models."""
        return sum(reading.requests for reading in self.models)

    def share_percent(self, reading: ModelReading) -> float | None:
        """Return the percentage of the clients' requests that were this model's."""
        return 100 * reading.requests / self.requests if self.requests else None


def read(exposition: str) -> Readings:
    """Parse an exposition in the Prometheus text format."""
    samples = [s for family in text_string_to_metric_families(exposition) for s in family.samples]
    statuses: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for sample in _named(samples, "sidecar_requests_total"):
        key = sample.labels["model"], sample.labels["role"]
        statuses[key][sample.labels["status"]] += int(sample.value)
    mirrors: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in _named(samples, "sidecar_shadow_total"):
        mirrors[sample.labels["model"]][sample.labels["outcome"]] += int(sample.value)
    models = tuple(
        ModelReading(
            model=model,
            role=role,
            requests=by_status.total(),
            failed=sum(by_status[status] for status in _FAILED),
            total=_latency(samples, "sidecar_request_duration_seconds", model, role),
            overhead=_latency(samples, "sidecar_overhead_seconds", model, role),
        )
        for (model, role), by_status in statuses.items()
        if role != "shadow"
    )
    return Readings(
        models=models, mirrors={model: dict(outcomes) for model, outcomes in mirrors.items()}
    )


def _named(samples: Iterable[Sample], name: str) -> Iterable[Sample]:
    return (sample for sample in samples if sample.name == name)


def _latency(samples: Iterable[Sample], name: str, model: str, role: str) -> Latency:
    counts: Counter[float] = Counter()
    for sample in _named(samples, f"{name}_bucket"):
        if (sample.labels["model"], sample.labels["role"]) == (model, role):
            counts[float(sample.labels["le"])] += sample.value  # type: ignore[assignment]
    bounds = sorted(counts)
    return Latency(bounds_s=tuple(bounds), counts=tuple(counts[bound] for bound in bounds))
