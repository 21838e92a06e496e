"""From samples to the figures of a rule: values, rates, shares and quantiles, by group.

A figure comes with the number of observations it rests on where that is known (the denominator of a
ratio, the durations of a quantile, the rows of a window), and is left out where there is nothing to
say: no such series, no traffic in the window, fewer observations than `at_least` (as far as they
are known), or a value that is not a number.

Pure.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from sidecar.config.alerting import Relation, SeriesSelection
from sidecar.config.signals import Read, Reading
from sidecar.control.alerts.samples import Labels, Sample, Samples, labels_of, selected
from sidecar.control.alerts.windows import HISTOGRAM_SUFFIX, Windows

Worst = Callable[[list[float]], float]
"""Which of several values counts: `max` or `min`."""

Buckets = Sequence[tuple[float, float]]
"""Upper bounds, rising, and how many observations are at or below each."""


class Figure(Struct, frozen=True):
    """What a rule looks at. `n` is how many observations it rests on, None where unknown."""

    value: float
    n: int | None = None


def figures(
    reading: Reading, samples: Samples, windows: Windows, *, worst: Worst
) -> dict[Labels, Figure]:
    """The figures of all groups; `worst` chooses among the values of one group."""
    match reading.read:
        case Read.VALUE:
            return _values(reading, samples, worst)
        case Read.RATE | Read.INCREASE:
            sums = _increases(
                reading, reading.of, samples, windows, per_second=reading.read is Read.RATE
            )
            return {labels: Figure(value) for labels, value in sums.items()}
        case Read.RATIO:
            return _ratios(reading, samples, windows)
        case Read.QUANTILE:
            return _quantiles(reading, samples, windows)


def reference_of(relation: Relation, labels: Labels, samples: Samples) -> float | None:
    """The figure that a group's change is relative to, if it is a constant or a series.

    Of several series that agree with the group's labels it is the mean.
    """
    if relation.value is not None:
        return relation.value
    wanted = dict(labels)
    selection = SeriesSelection(series=relation.series or "", where=relation.where)
    found = [
        sample.value
        for sample in selected(samples, selection)
        if math.isfinite(sample.value)
        and all(sample.labels.get(name, value) == value for name, value in wanted.items())
    ]
    return sum(found) / len(found) if found else None


def change_percent(value: float, reference: float) -> float | None:
    """The change from a reference, in percent of it; None of zero."""
    return 100 * (value - reference) / abs(reference) if reference else None


def quantile_of(buckets: Buckets, q: float) -> float | None:
    """The q-quantile of a classic histogram, as Prometheus' `histogram_quantile` has it.

    Within a bucket values are taken as spread evenly, from 0 in the first. In the bucket without
    an upper bound it is the greatest bound there is. None when nothing was observed.
    """
    total = buckets[-1][1] if buckets else 0
    if total <= 0:
        return None
    rank = q * total
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower


def _values(reading: Reading, samples: Samples, worst: Worst) -> dict[Labels, Figure]:
    counts = _Counts.of(reading, samples)
    groups: defaultdict[Labels, dict[float, int | None]] = defaultdict(dict)
    for sample in selected(samples, reading.of):
        said = reading.least is None or sample.value >= reading.least
        n = counts.of_value(sample)
        if said and math.isfinite(sample.value) and (n is None or n >= reading.at_least):
            groups[labels_of(sample, reading.by)].setdefault(sample.value, n)
    found = {}
    for labels, ones in groups.items():
        value = worst(list(ones))
        found[labels] = Figure(value, ones[value])
    return found


class _Counts(Struct, frozen=True):
    """How many observations values rest on: by the values of those labels that say whose."""

    names: tuple[str, ...] = ()
    by_values: dict[tuple[str | None, ...], int] = {}

    @classmethod
    def of(cls, reading: Reading, samples: Samples) -> _Counts:
        """What the series says that a reading names, if it names one."""
        found = [] if reading.counted is None else list(selected(samples, reading.counted))
        if not found:
            return cls()
        names = tuple(sorted(found[0].labels))  # all samples of a series have the same
        return cls(names, {_values_of(one, names): round(one.value) for one in found})

    def of_value(self, sample: Sample) -> int | None:
        """Of the sample's; None where no series says so."""
        return self.by_values.get(_values_of(sample, self.names)) if self.by_values else None


def _values_of(sample: Sample, names: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple([sample.labels.get(name) for name in names])


def _increases(
    reading: Reading,
    selection: SeriesSelection,
    samples: Samples,
    windows: Windows,
    *,
    per_second: bool = False,
) -> Mapping[Labels, float]:
    sums: defaultdict[Labels, float] = defaultdict(float)
    for sample in selected(samples, selection):
        found = windows.increase(sample, reading.window_s)
        if found is not None:
            amount = found.amount / found.elapsed_s if per_second else found.amount
            sums[labels_of(sample, reading.by)] += amount
    return sums


def _ratios(reading: Reading, samples: Samples, windows: Windows) -> dict[Labels, Figure]:
    of = _increases(reading, reading.of, samples, windows)
    to = _increases(reading, reading.to or reading.of, samples, windows)
    return {
        labels: Figure(of.get(labels, 0.0) / count, round(count))
        for labels, count in to.items()
        if count > 0 and count >= reading.at_least
    }


def _quantiles(reading: Reading, samples: Samples, windows: Windows) -> dict[Labels, Figure]:
    groups: defaultdict[Labels, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    by = reading.by
    for sample in selected(samples, reading.of, HISTOGRAM_SUFFIX):
        found = windows.increase(sample, reading.window_s)
        if found is not None:
            bound = float(sample.labels.get("le", "inf"))
            groups[labels_of(sample, by, without="le")][bound] += found.amount
    figures_found = {}
    for labels, counts in groups.items():
        buckets = sorted(counts.items())
        value, n = quantile_of(buckets, reading.q), round(buckets[-1][1])
        if value is not None and n >= reading.at_least:
            figures_found[labels] = Figure(value, n)
    return figures_found
