"""Readings: how a number is made of series, and the signals, which are readings with a name.

A signal is a shorthand. `signal: error_rate` and the ratio of two counters written out are the same
reading, and nothing behind this module can tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct

from sidecar.config.alerting import RuleSettings, SeriesSelection, Signal
from sidecar.config.matchers import MatcherText
from sidecar.config.units import Duration

FEWEST_OBSERVATIONS: Final = 20
"""`at_least`: of fewer requests or rows in its window a share or a tail quantile is chance."""

_USUAL_WINDOW: Final = Duration(300)


class Read(StrEnum):
    """What is done with the series."""

    VALUE = "value"
    RATE = "rate"
    INCREASE = "increase"
    RATIO = "ratio"
    QUANTILE = "quantile"


class Reading(Struct, frozen=True, kw_only=True):
    """A number to be made of series, for each combination of the labels `by`.

    `to` is the denominator of a ratio, `q` the quantile's; `window_s` is 0 for a value. `of` names
    a histogram without `_bucket`. `by` None: each series of its own, by all of its labels. Values
    below `least` say that there is none. `counted` is a series that says how many observations a
    value rests on: the one whose labels the value's series has too.
    """

    read: Read
    of: SeriesSelection
    to: SeriesSelection | None = None
    q: float = 0.0
    window_s: float = 0.0
    by: tuple[str, ...] | None = None
    at_least: int = 0
    least: float | None = None
    counted: SeriesSelection | None = None


class SignalDefinition(Struct, frozen=True, kw_only=True):
    """A signal: what it means, the labels by which it can be narrowed and grouped, its reading."""

    meaning: str
    labels: tuple[str, ...]
    reading: Reading


def reading_of(rule: RuleSettings) -> Reading:
    """The reading that a rule is about, written out. The rule is valid."""
    if rule.signal is not None:
        usual = SIGNALS[rule.signal].reading
        return msgspec.structs.replace(
            usual,
            of=_narrowed(usual.of, rule),
            to=usual.to and _narrowed(usual.to, rule),
            window_s=usual.window_s if rule.window is None else rule.window,
            by=usual.by if rule.by is None else rule.by,
            at_least=usual.at_least if rule.at_least is None else rule.at_least,
        )
    at_least = FEWEST_OBSERVATIONS if rule.at_least is None else rule.at_least
    if rule.ratio is not None:
        return Reading(
            read=Read.RATIO,
            of=_narrowed(rule.ratio.of, rule),
            to=_narrowed(rule.ratio.to, rule),
            window_s=rule.ratio.window,
            by=rule.by,
            at_least=at_least,
        )
    of = SeriesSelection(series=rule.series or "", where=rule.where)
    if rule.quantile is not None:
        return Reading(
            read=Read.QUANTILE,
            of=of,
            q=rule.quantile.q,
            window_s=rule.quantile.window,
            by=rule.by,
            at_least=at_least,
        )
    if rule.rate is not None:
        return Reading(read=Read.RATE, of=of, window_s=rule.rate, by=rule.by)
    if rule.increase is not None:
        return Reading(read=Read.INCREASE, of=of, window_s=rule.increase, by=rule.by)
    return Reading(read=Read.VALUE, of=of, by=rule.by)


def _narrowed(selection: SeriesSelection, rule: RuleSettings) -> SeriesSelection:
    """A selection under the rule's own matchers too; of one label the rule's holds."""
    return SeriesSelection(series=selection.series, where={**selection.where, **rule.where})


_ANSWERING: Final[dict[str, MatcherText]] = {"role": ("primary", "canary")}
_CELL: Final = ("route", "model", "role")
_FEATURE: Final = ("route", "model", "feature")
_VERDICT: Final = (*_FEATURE, "reference", "window")
_SEGMENT: Final = (*_CELL, "segment", "value")
_ROWS: Final = "sidecar_drift_window_rows"


def _quantile(meaning: str, histogram: str, q: float) -> SignalDefinition:
    return SignalDefinition(
        meaning=meaning,
        labels=_CELL,
        reading=Reading(
            read=Read.QUANTILE,
            of=SeriesSelection(series=histogram, where=_ANSWERING),
            q=q,
            window_s=_USUAL_WINDOW,
            by=("route", "model"),
            at_least=FEWEST_OBSERVATIONS,
        ),
    )


def _ratio(
    meaning: str,
    labels: tuple[str, ...],
    of: SeriesSelection,
    to: SeriesSelection,
    *,
    by: tuple[str, ...] = ("route", "model"),
) -> SignalDefinition:
    reading = Reading(
        read=Read.RATIO,
        of=of,
        to=to,
        window_s=_USUAL_WINDOW,
        by=by,
        at_least=FEWEST_OBSERVATIONS,
    )
    return SignalDefinition(meaning=meaning, labels=labels, reading=reading)


def _value(
    meaning: str,
    series: str,
    labels: tuple[str, ...],
    *,
    by: tuple[str, ...] = ("route", "model"),
    least: float | None = None,
    counted: str | None = None,
    at_least: int = 0,
) -> SignalDefinition:
    reading = Reading(
        read=Read.VALUE,
        of=SeriesSelection(series=series),
        by=by,
        least=least,
        counted=SeriesSelection(series=counted) if counted else None,
        at_least=at_least,
    )
    return SignalDefinition(meaning=meaning, labels=labels, reading=reading)


SIGNALS: Final[Mapping[Signal, SignalDefinition]] = MappingProxyType(
    {
        Signal.ERROR_RATE: _ratio(
            "share of the requests that the model failed (5xx, no usable answer, or answered by "
            "the primary instead), of those that clients did not abort",
            _CELL,
            SeriesSelection(
                series="sidecar_requests_total",
                where={**_ANSWERING, "status": ("5xx", "error", "fallback")},
            ),
            SeriesSelection(
                series="sidecar_requests_total", where={**_ANSWERING, "status": "!aborted"}
            ),
        ),
        Signal.SEGMENT_ERROR_RATE: _ratio(
            "share of a segment's requests that were answered by 400 or more, or not at all",
            _SEGMENT,
            SeriesSelection(series="sidecar_segment_failures_total"),
            SeriesSelection(series="sidecar_segment_requests_total"),
            by=("route", "model", "segment", "value"),
        ),
        Signal.REQUEST_RATE: SignalDefinition(
            meaning="requests per second",
            labels=(*_CELL, "status"),
            reading=Reading(
                read=Read.RATE,
                of=SeriesSelection(series="sidecar_requests_total", where=_ANSWERING),
                window_s=_USUAL_WINDOW,
                by=("route", "model"),
            ),
        ),
        Signal.LATENCY_P50: _quantile(
            "median of what clients wait, in seconds", "sidecar_request_duration_seconds", 0.5
        ),
        Signal.LATENCY_P95: _quantile(
            "95th percentile of what clients wait, in seconds",
            "sidecar_request_duration_seconds",
            0.95,
        ),
        Signal.LATENCY_P99: _quantile(
            "99th percentile of what clients wait, in seconds",
            "sidecar_request_duration_seconds",
            0.99,
        ),
        Signal.OVERHEAD_P99: _quantile(
            "99th percentile of what the sidecar adds, in seconds", "sidecar_overhead_seconds", 0.99
        ),
        Signal.FALLBACK_SHARE: _ratio(
            "share of a canary's requests that the primary answered, as it could not be reached",
            ("route", "model"),
            SeriesSelection(series="sidecar_fallbacks_total"),
            SeriesSelection(series="sidecar_requests_total", where={"role": "canary"}),
        ),
        Signal.SHADOW_LOSS: _ratio(
            "share of the copies for a shadow that it did not answer",
            ("route", "model"),
            SeriesSelection(series="sidecar_shadow_total", where={"outcome": "!answered"}),
            SeriesSelection(series="sidecar_shadow_total"),
        ),
        Signal.BREAKER: _value(
            "circuit breaker: 0 closed, 1 half-open, 2 open",
            "sidecar_breaker_state",
            ("model",),
            by=("model",),
        ),
        Signal.DRIFT: _value(
            "drift verdict: 0 ok, 1 drift, 2 major; with too little traffic there is none",
            "sidecar_drift_verdict",
            _VERDICT,
            by=_FEATURE,
            least=0,
            counted=_ROWS,
        ),
        Signal.DRIFT_PSI: _value(
            "population stability index of a feature, prediction or score",
            "sidecar_drift_psi",
            _VERDICT,
            by=_FEATURE,
            counted=_ROWS,
            at_least=FEWEST_OBSERVATIONS,
        ),
        Signal.MISSING_SHARE: _value(
            "share of a window's rows that have no value for a feature",
            "sidecar_drift_missing_share",
            (*_FEATURE, "window"),
            by=_FEATURE,
            counted=_ROWS,
            at_least=FEWEST_OBSERVATIONS,
        ),
        Signal.POSITIVE_RATE: _value(
            "share of a window's predictions that are of the positive class",
            "sidecar_positive_rate",
            ("route", "model", "window"),
            counted=_ROWS,
            at_least=FEWEST_OBSERVATIONS,
        ),
        Signal.CONFIDENCE: _value(
            "mean of a window's highest probabilities",
            "sidecar_confidence_mean",
            ("route", "model", "window"),
            counted=_ROWS,
            at_least=FEWEST_OBSERVATIONS,
        ),
        Signal.SHED_SHARE: _ratio(
            "share of the exchanges whose bodies the monitor did not read, to save time",
            _CELL,
            SeriesSelection(
                series="sidecar_monitor_exchanges_total",
                where={"outcome": ("shed", "queue_full")},
            ),
            SeriesSelection(series="sidecar_monitor_exchanges_total"),
        ),
        Signal.UNREAD_SHARE: _ratio(
            "share of the exchanges whose bodies could not be decoded",
            _CELL,
            SeriesSelection(
                series="sidecar_monitor_exchanges_total", where={"outcome": "~unread_.*"}
            ),
            SeriesSelection(series="sidecar_monitor_exchanges_total"),
        ),
        Signal.UNWATCHED: _value(
            "1 for a model of a route that should be observed and is not",
            "sidecar_unwatched",
            _CELL,
        ),
        Signal.DEAD_LETTERS: _value(
            "dead letters that wait, or failed again when they were replayed",
            "sidecar_dead_letters",
            ("class",),
            by=("class",),
        ),
        Signal.DEAD_LETTER_AGE: _value(
            "how long ago the oldest of those arrived, in seconds",
            "sidecar_dead_letters_age_seconds",
            ("class",),
            by=("class",),
        ),
        Signal.DEAD_LETTER_ARRIVALS: SignalDefinition(
            meaning="dead letters that came in",
            labels=("class",),
            reading=Reading(
                read=Read.INCREASE,
                of=SeriesSelection(series="sidecar_dead_letters_arrived_total"),
                window_s=_USUAL_WINDOW,
                by=("class",),
            ),
        ),
    }
)
"""Every signal, in the order of docs/alerts.md."""
