"""What the sidecar says of itself, as figures: its `/metrics`, and the percentages it routes by.

Pure: text in, values out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct
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
    """One model in one role, since the sidecar started; `rows` are those read from its requests."""

    model: str
    role: str
    requests: int
    failed: int
    rows: int
    total: Latency
    overhead: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """In how many requests a shadow said what the primary said, and in how many it did not."""

    agreed: int
    differed: int

    @property
    def percent(self) -> float | None:
        """The share that agreed; None when nothing could be compared."""
        compared = self.agreed + self.differed
        return 100 * self.agreed / compared if compared else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All models that answer clients, and what became of the mirrored requests of each shadow."""

    models: tuple[ModelReading, ...] = ()
    mirrors: Mapping[str, Mapping[str, int]]
    agreement: Mapping[str, Agreement] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """Requests answered to clients, over all models."""
        return sum(reading.requests for reading in self.models)

    def share_percent(self, reading: ModelReading) -> float | None:
        """Return the percentage of the clients' requests that were this model's."""
        return 100 * reading.requests / self.requests if self.requests else None


class _Weights(Struct, frozen=True):
    weights: dict[str, float]


class _Routes(Struct, frozen=True):
    routes: dict[str, _Weights]


_routes = msgspec.json.Decoder(_Routes)


def read_percents(answer: bytes) -> Mapping[str, float]:
    """By model, the percentage of the clients that is set for it, of `/api/v1/weights`."""
    routes = _routes.decode(answer).routes.values()
    return {model: percent for route in routes for model, percent in route.weights.items()}


def read(exposition: str) -> Readings:
    """Parse an exposition in the Prometheus text format."""
    samples = [s for family in text_string_to_metric_families(exposition) for s in family.samples]
    statuses = _counted(samples, "sidecar_requests_total", ("model", "role"), "status")
    rows = _counted(samples, "sidecar_rows_total", ("model", "role"), "route")
    mirrors = _counted(samples, "sidecar_shadow_total", ("model",), "outcome")
    compared = _counted(samples, "sidecar_shadow_comparisons_total", ("model",), "outcome")
    models = tuple(
        ModelReading(
            model=model,
            role=role,
            requests=by_status.total(),
            failed=sum(by_status[status] for status in _FAILED),
            rows=rows[model, role].total(),
            total=_latency(samples, "sidecar_request_duration_seconds", model, role),
            overhead=_latency(samples, "sidecar_overhead_seconds", model, role),
        )
        for (model, role), by_status in statuses.items()
        if role != "shadow"
    )
    return Readings(
        models=models,
        mirrors={model: dict(outcomes) for (model,), outcomes in mirrors.items()},
        agreement={
            model: Agreement(agreed=outcomes["agreed"], differed=outcomes["differed"])
            for (model,), outcomes in compared.items()
        },
    )


def _counted(
    samples: Iterable[Sample], name: str, by: Sequence[str], part: str
) -> defaultdict[tuple[str, ...], Counter[str]]:
    """A counter by the label `part`, for each combination of the labels `by`."""
    counted: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sample in _named(samples, name):
        key = tuple(sample.labels[label] for label in by)
        counted[key][sample.labels[part]] += int(sample.value)
    return counted


def _named(samples: Iterable[Sample], name: str) -> Iterable[Sample]:
    return (sample for sample in samples if sample.name == name)


def _latency(samples: Iterable[Sample], name: str, model: str, role: str) -> Latency:
    counts: Counter[float] = Counter()
    for sample in _named(samples, f"{name}_bucket"):
        if (sample.labels["model"], sample.labels["role"]) == (model, role):
            counts[float(sample.labels["le"])] += sample.value  # type: ignore[assignment]
    bounds = sorted(counts)
    return Latency(bounds_s=tuple(bounds), counts=tuple(counts[bound] for bound in bounds))
