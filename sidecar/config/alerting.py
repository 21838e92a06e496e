"""The part of the configuration that says what is an alert, and who is told.

See `sidecar.config.settings`, of which these sections are part, and docs/alerts.md. What a signal
reads is in `sidecar.config.signals`, the spelling of matchers in `sidecar.config.matchers`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from sidecar.config.matchers import MatcherText
from sidecar.config.units import Duration


def _doc(text: str) -> Meta:
    return Meta(description=text)


class _Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class AlertSeverity(StrEnum):
    """How bad it is, from the least."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """The higher, the worse."""
        return list(AlertSeverity).index(self)


class ReceiverType(StrEnum):
    """How a receiver is spoken to."""

    WEBHOOK = "webhook"
    ALERTMANAGER = "alertmanager"
    LOG = "log"


class WebhookFormat(StrEnum):
    """What the body of a webhook's request looks like."""

    JSON = "json"
    SLACK = "slack"


class Signal(StrEnum):
    """Readings that have a name; `sidecar.config.signals` says of which series they are."""

    ERROR_RATE = "error_rate"
    SEGMENT_ERROR_RATE = "segment_error_rate"
    REQUEST_RATE = "request_rate"
    LATENCY_P50 = "latency_p50"
    LATENCY_P95 = "latency_p95"
    LATENCY_P99 = "latency_p99"
    OVERHEAD_P99 = "overhead_p99"
    FALLBACK_SHARE = "fallback_share"
    SHADOW_LOSS = "shadow_loss"
    BREAKER = "breaker"
    DRIFT = "drift"
    DRIFT_PSI = "drift_psi"
    MISSING_SHARE = "missing_share"
    POSITIVE_RATE = "positive_rate"
    CONFIDENCE = "confidence"
    SHED_SHARE = "shed_share"
    UNREAD_SHARE = "unread_share"
    UNWATCHED = "unwatched"
    DEAD_LETTERS = "dead_letters"
    DEAD_LETTER_AGE = "dead_letter_age"
    DEAD_LETTER_ARRIVALS = "dead_letter_arrivals"


# A rule's name becomes the label `alertname`; `sidecar.config.settings.Name` has the same form.
_Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(?!\n)$",
        extra={"wording": "a name: up to 63 letters, digits, `.`, `_` and `-`"},
    ),
]
LabelName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z_][a-z0-9_]{0,62}(?!\n)$",
        extra={"wording": "the name of a label: lower-case letters, digits and `_`"},
    ),
]
SeriesName = Annotated[
    str,
    Meta(
        pattern=r"^(sidecar|process)_[a-z0-9_]{1,100}(?!\n)$",
        extra={"wording": "a series of /metrics: `sidecar_...` or `process_...`"},
    ),
]
Matchers = Annotated[
    dict[LabelName, MatcherText],
    _doc(
        "Which of the series: label and text, list of texts, `~` and a regular expression, or `!` "
        "and what it must not be."
    ),
]


class SeriesSelection(_Settings, frozen=True, kw_only=True):
    """Some of the series of one name."""

    series: Annotated[SeriesName, _doc("Its name, as on /metrics.")]
    where: Matchers = {}


class RatioReading(_Settings, frozen=True, kw_only=True):
    """What share one counter's increase is of another's, over a window."""

    of: SeriesSelection
    to: SeriesSelection
    window: Annotated[Duration, _doc("How far back both are counted.")] = Duration(300)


class QuantileReading(_Settings, frozen=True, kw_only=True):
    """A quantile of a histogram, over a window."""

    q: Annotated[float, Meta(gt=0, lt=1, description="Such as 0.99.")]
    window: Annotated[Duration, _doc("How far back durations are counted.")] = Duration(300)


class Relation(_Settings, frozen=True, kw_only=True):
    """What a change is relative to; exactly one of `value`, `series` and `ago`."""

    value: Annotated[float | None, _doc("A fixed figure.")] = None
    series: Annotated[
        SeriesName | None, _doc("A series whose value it is, found by the labels in `by`.")
    ] = None
    where: Matchers = {}
    ago: Annotated[Duration | None, _doc("The same reading, so long ago.")] = None


class Tier(_Settings, frozen=True, kw_only=True):
    """A threshold and what follows; exactly one of `above`, `below` and `change_percent`."""

    severity: Annotated[AlertSeverity, _doc("Of its own in its rule; worse ones lie further out.")]
    above: Annotated[float | None, _doc("It is met by values above this.")] = None
    below: Annotated[float | None, _doc("It is met by values below this.")] = None
    change_percent: Annotated[
        float | None,
        _doc("It is met by a fall of so many percent (negative), or a rise; see `relative_to`."),
    ] = None
    until: Annotated[
        float | None,
        _doc("Once it fires, it is met up to this, nearer to normal; else to the threshold."),
    ] = None
    for_: Annotated[Duration, _doc("How long it must be met before it fires.")] = field(
        default=Duration(0), name="for"
    )
    keep_firing_for: Annotated[
        Duration, _doc("How long it must not be met before it is resolved.")
    ] = Duration(0)
    receivers: Annotated[
        tuple[_Name, ...], _doc("Who is told, of `alerts.receivers`. Empty: all of them.")
    ] = ()

    @property
    def threshold(self) -> float:
        """The figure to which a value, or a change in percent, is compared."""
        return next(
            figure for figure in (self.above, self.below, self.change_percent, 0.0)
            if figure is not None
        )  # fmt: skip


class RuleSettings(_Settings, frozen=True, kw_only=True):
    """What is read, and from where on it is an alert. One of `signal`, `series` and `ratio`."""

    name: Annotated[_Name, _doc("Unique; a default rule of this name is replaced.")]
    signal: Annotated[Signal | None, _doc("A reading that has a name; see docs/alerts.md.")] = None
    series: Annotated[
        SeriesName | None, _doc("A series by its name on /metrics; a histogram without `_bucket`.")
    ] = None
    ratio: RatioReading | None = None
    where: Matchers = {}
    rate: Annotated[
        Duration | None, _doc("With `series`: its increase per second over this window.")
    ] = None
    increase: Annotated[Duration | None, _doc("With `series`: its increase over this window.")] = (
        None
    )
    quantile: QuantileReading | None = None
    window: Annotated[Duration | None, _doc("With `signal`: its window, if not the usual.")] = None
    by: Annotated[
        tuple[LabelName, ...] | None,
        _doc(
            "Labels by which values are kept apart, each with an alert of its own: increases are "
            "summed, of values the worst counts. Else the signal's, or all labels of the series."
        ),
    ] = None
    at_least: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        _doc(
            "Fewest observations in the window of a ratio or quantile, or fewest rows in one of "
            "drift; below, there is no data."
        ),
    ] = None
    relative_to: Annotated[Relation | None, _doc("What `change_percent` is relative to.")] = None
    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1, description="Thresholds, any order.")]
    no_data_for: Annotated[
        Duration, _doc("How long values may be missing before an alert that fires is ended.")
    ] = Duration(900)
    summary: Annotated[str | None, _doc("One line, with placeholders such as `{value}`.")] = None
    description: Annotated[str | None, _doc("More, with placeholders.")] = None
    runbook_url: Annotated[str | None, _doc("Where it says what to do.")] = None
    labels: Annotated[dict[LabelName, str], _doc("Further labels of its alerts.")] = {}


class ReceiverSettings(_Settings, frozen=True, kw_only=True):
    """Somebody who is told. Its URL stands in exactly one of `url`, `url_file` and `url_env`."""

    type: Annotated[ReceiverType, _doc("How it is spoken to.")]
    url: Annotated[
        str | None, _doc("Where it listens, if that is no secret; of an Alertmanager its root.")
    ] = None
    url_file: Annotated[str | None, _doc("File with the URL, read anew each time.")] = None
    url_env: Annotated[str | None, _doc("Variable of the environment with the URL.")] = None
    token_file: Annotated[
        str | None, _doc("File with a bearer token to show it, read anew each time.")
    ] = None
    token_env: Annotated[str | None, _doc("Variable of the environment with that token.")] = None
    format: Annotated[WebhookFormat, _doc("Of a webhook: what its body looks like.")] = (
        WebhookFormat.JSON
    )
    timeout: Annotated[Duration, _doc("Longest wait for its answer, each time.")] = Duration(5)
    send_resolved: Annotated[bool, _doc("Whether it is also told when an alert has ended.")] = True


class AlertSettings(_Settings, frozen=True, kw_only=True):
    """What is an alert, and who is told."""

    interval: Annotated[Duration, _doc("Time between evaluations of the rules.")] = Duration(15)
    defaults: Annotated[
        bool, _doc("Whether the rules of the house apply; `sidecar alerts list` shows them.")
    ] = True
    receivers: Annotated[
        dict[_Name, ReceiverSettings], _doc("By name. None: the process log, named `log`.")
    ] = {}
    group_by: Annotated[
        tuple[LabelName, ...],
        _doc("Alerts with equal values of these labels share notifications."),
    ] = ("route", "model")
    group_wait: Annotated[
        Duration, _doc("How long the first alert of a group waits for others.")
    ] = Duration(10)
    group_interval: Annotated[Duration, _doc("Least time between notifications of one group.")] = (
        Duration(300)
    )
    repeat: Annotated[Duration, _doc("When what still fires is told again.")] = Duration(4 * 3600)
    rules: Annotated[tuple[RuleSettings, ...], _doc("Rules of your own.")] = ()
