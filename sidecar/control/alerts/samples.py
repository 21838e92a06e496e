"""Samples: what the sidecar's series say at one moment, in the form /metrics has them.

A sample is anything with a name, labels and a value; prometheus_client's are. A label set is held
as a sorted tuple of pairs, so that it can be a key and comes back from disk as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from sidecar.config.alerting import SeriesSelection
from sidecar.config.matchers import accepts_labels

Labels = tuple[tuple[str, str], ...]
"""Labels and their values, sorted by label."""

SeriesKey = tuple[str, Labels]
"""A series: its name and all of its labels."""


class Sample(Protocol):
    """One value of one series."""

    @property
    def name(self) -> str:
        """The name as exposed, with `_total` or `_bucket`."""

    @property
    def labels(self) -> Mapping[str, str]:
        """All labels."""

    @property
    def value(self) -> float:
        """The value now."""


SampleSource = Callable[[frozenset[str]], Iterable[Sample]]
"""Gives the samples of these names now; it may give others too, which are ignored."""

Samples = Mapping[str, tuple[Sample, ...]]
"""Samples by name."""


def by_name(samples: Iterable[Sample], names: frozenset[str]) -> Samples:
    """The samples of these names."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.name in names:
            found.setdefault(sample.name, []).append(sample)
    return {name: tuple(ones) for name, ones in found.items()}


def selected(samples: Samples, selection: SeriesSelection, suffix: str = "") -> Iterator[Sample]:
    """The samples that a selection means; `suffix` is `_bucket` where it names a histogram."""
    for sample in samples.get(selection.series + suffix, ()):
        if not selection.where or accepts_labels(selection.where, sample.labels):
            yield sample


def labels_of(sample: Sample, by: tuple[str, ...] | None, *, without: str = "") -> Labels:
    """The labels of a sample by which its value is kept apart; None: all of them."""
    labels = sample.labels
    if by is None:
        return tuple(sorted((name, value) for name, value in labels.items() if name != without))
    return tuple([(name, labels.get(name, "")) for name in sorted(by)])


def series_key(sample: Sample) -> SeriesKey:
    """The series that a sample is of."""
    return sample.name, labels_of(sample, None)
