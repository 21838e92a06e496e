"""Drift as Prometheus families: what the newest round found.

Labels are bounded: features are those of the frozen schema, at most MOST_FEATURES of a model;
windows, references and segment values come from the configuration (values that are learned are at
most `segments[].top`). What is left out is counted.

A verdict series is there for every column, window and reference from the first round on, -1 where
there was too little to judge; a PSI is there only where there is one.

A model has one series per route: where it answers and is a shadow as well, its answers are shown,
and the shadow is counted as left out.

Must not know: HTTP, how drift is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sidecar.admin.buckets import NS_PER_S
from sidecar.admin.drift_views import value_text
from sidecar.control.drift import Judgement, Round, WatchJudgements
from sidecar.drift import FindingKind, Status
from sidecar.model import ColumnPart
from sidecar.sketch import Column

MOST_FEATURES: Final = 300
"""Features of a model that have series of their own; each has one per window and reference."""

VERDICTS: Final = {
    Status.INSUFFICIENT_DATA: -1,
    Status.OK: 0,
    Status.DRIFT: 1,
    Status.MAJOR: 2,
}

_BY_COLUMN: Final = frozenset({"sidecar_drift_psi", "sidecar_drift_verdict"})
_MODEL = ("route", "model")
_COLUMN = (*_MODEL, "feature", "reference", "window")

Names = Mapping[tuple[ColumnPart, str], str]


class DriftMetrics(Collector):
    """Collects over the newest round."""

    def __init__(self, newest: Callable[[], Round]) -> None:
        self._newest = newest

    def collect(self) -> Iterator[Metric]:
        """All families of drift."""
        return self.families(_BY_COLUMN)

    def families(self, wanted: Collection[str]) -> Iterator[Metric]:
        """At least those of these names: series by column are many."""
        newest = self._newest()
        shown: dict[tuple[str, str], WatchJudgements] = {}
        shadowed: list[WatchJudgements] = []
        for watch in newest.watches:  # primaries first, then canaries, then shadows
            key = (watch.key.route, watch.key.model)
            if key in shown:
                shadowed.append(watch)
            shown.setdefault(key, watch)
        watches = [(watch, _names(watch.columns)) for watch in shown.values()]
        if not _BY_COLUMN.isdisjoint(wanted):
            yield from _verdicts(watches)
        yield from _figures(watches)
        yield _findings(shown.values())
        yield _segments(shown.values())
        yield _left_out(watches, shadowed)
        yield GaugeMetricFamily(
            "sidecar_drift_judged_timestamp_seconds",
            "The snapshot of which the newest round judged, in seconds since 1970; 0: none yet.",
            value=newest.taken_ns / NS_PER_S,
        )
        yield GaugeMetricFamily(
            "sidecar_drift_round_seconds",
            "How long judging it took.",
            value=newest.duration_s,
        )


def _names(columns: Sequence[Column]) -> Names:
    """The label of each column that has series: its name, or with its part where that is taken."""
    features = [one for one in columns if one.part is ColumnPart.FEATURE][:MOST_FEATURES]
    others = [one for one in columns if one.part is not ColumnPart.FEATURE]
    names: dict[tuple[ColumnPart, str], str] = {}
    for one in (*features, *others):
        taken = one.name in names.values()
        names[one.part, one.name] = f"{one.part}:{one.name}" if taken else one.name
    return names


def _verdicts(watches: Sequence[tuple[WatchJudgements, Names]]) -> Iterator[Metric]:
    psi = GaugeMetricFamily(
        "sidecar_drift_psi",
        "Population stability index of a feature, prediction or score.",
        labels=_COLUMN,
    )
    verdicts = GaugeMetricFamily(
        "sidecar_drift_verdict",
        "0 ok, 1 drift, 2 major, -1 too little data (or no such window or reference yet).",
        labels=_COLUMN,
    )
    for watch, names in watches:
        for judgement in watch.judgements:
            found = {(one.part, one.feature): one for one in judgement.verdicts}
            for column, name in names.items():
                labels = (*_key(watch), name, judgement.reference, judgement.window)
                verdict = found.get(column)
                status = Status.INSUFFICIENT_DATA if verdict is None else verdict.status
                verdicts.add_metric(labels, VERDICTS[status])
                if verdict is not None and verdict.psi is not None:
                    psi.add_metric(labels, verdict.psi)
    yield from (psi, verdicts)


def _figures(watches: Sequence[tuple[WatchJudgements, Names]]) -> Iterator[Metric]:
    rows = GaugeMetricFamily(
        "sidecar_drift_window_rows", "Rows in a window.", labels=(*_MODEL, "window")
    )
    missing = GaugeMetricFamily(
        "sidecar_drift_missing_share",
        "Share of the rows of a window that have no value for a column.",
        labels=(*_MODEL, "feature", "window"),
    )
    positive = GaugeMetricFamily(
        "sidecar_positive_rate",
        "Share of a window's predictions that are of the positive class, where there are two.",
        labels=(*_MODEL, "window"),
    )
    confidence = GaugeMetricFamily(
        "sidecar_confidence_mean",
        "Mean of a window's highest probabilities, where scores are probabilities.",
        labels=(*_MODEL, "window"),
    )
    for watch, names in watches:
        for window, figures in watch.figures.items():
            key = (*_key(watch), window)
            rows.add_metric(key, figures.rows)
            if figures.positive_rate is not None:
                positive.add_metric(key, figures.positive_rate)
            if figures.confidence is not None:
                confidence.add_metric(key, figures.confidence)
            for (_, column), name in names.items():
                if column in figures.missing:
                    missing.add_metric((*_key(watch), name, window), figures.missing[column])
    yield from (rows, missing, positive, confidence)


def _findings(watches: Iterable[WatchJudgements]) -> Metric:
    family = GaugeMetricFamily(
        "sidecar_drift_findings",
        "Columns on which a finding about a window as a whole rests; 0: it was not found.",
        labels=(*_MODEL, "window", "finding"),
    )
    for watch in watches:
        for window, findings in watch.findings.items():
            for kind in FindingKind:
                features = {name for one in findings if one.kind is kind for name in one.features}
                family.add_metric((*_key(watch), window, kind.value), len(features))
    return family


def _segments(watches: Iterable[WatchJudgements]) -> Metric:
    family = GaugeMetricFamily(
        "sidecar_drift_segment_alarms",
        "Columns that drifted among the rows of a segment value.",
        labels=(*_MODEL, "segment", "value", "reference", "window"),
    )
    for watch in watches:
        for judgement in watch.judgements:
            for one in judgement.segments:
                family.add_metric(
                    _segment_labels(watch, judgement, one.segment.key, one.segment.value),
                    one.counts[Status.DRIFT] + one.counts[Status.MAJOR],
                )
    return family


def _left_out(
    watches: Sequence[tuple[WatchJudgements, Names]], shadowed: Sequence[WatchJudgements]
) -> Metric:
    family = GaugeMetricFamily(
        "sidecar_drift_left_out_columns",
        "Columns without series: features beyond the most that are shown, or a model's columns as "
        "a shadow where it answers too.",
        labels=(*_MODEL, "reason"),
    )
    as_shadow: dict[tuple[str, str], int] = {}
    for watch in shadowed:
        as_shadow[_key(watch)] = as_shadow.get(_key(watch), 0) + len(watch.columns)
    for watch, names in watches:
        family.add_metric((*_key(watch), "features"), len(watch.columns) - len(names))
        family.add_metric((*_key(watch), "role"), as_shadow.get(_key(watch), 0))
    return family


def _segment_labels(
    watch: WatchJudgements, judgement: Judgement, key: str, value: str | None
) -> tuple[str, ...]:
    return (*_key(watch), key, value_text(value), judgement.reference, judgement.window)


def _key(watch: WatchJudgements) -> tuple[str, str]:
    return watch.key.route, watch.key.model
