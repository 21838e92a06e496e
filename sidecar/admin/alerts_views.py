"""What the API shows of alerts: built from the watch's state. Pure; holds no URL and no token."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sidecar.config.alerting import AlertSeverity, ReceiverType, SeriesSelection
from sidecar.config.matchers import MatcherText
from sidecar.config.signals import Read
from sidecar.config.units import format_duration
from sidecar.control.alerts import (
    Alert,
    AlertState,
    Courier,
    Policy,
    RulePolicy,
    Silence,
    bulletin,
    inhibited,
    silenced_by,
    timestamp,
)


class AlertView(Struct, frozen=True, kw_only=True):
    """One alert. `since` is when it entered its state, `starts_at` when it began to fire.

    `state` is `pending`, `firing`, or `clearing` (it fires, and is no longer met). `told` are the
    receivers that confirmed it; `silenced_by` and `inhibited` say why others hear nothing.
    """

    alertname: str
    severity: AlertSeverity
    state: str
    labels: dict[str, str]
    value: float
    compared: float
    threshold: float
    n: int | None
    since: str
    starts_at: str | None
    fingerprint: str
    receivers: tuple[str, ...]
    told: tuple[str, ...]
    silenced_by: tuple[str, ...]
    inhibited: bool
    summary: str
    description: str
    runbook_url: str


class TierView(Struct, frozen=True, kw_only=True):
    """A threshold of a rule; times in seconds."""

    severity: AlertSeverity
    comparison: str
    threshold: float
    until: float
    for_s: float
    keep_firing_for_s: float
    receivers: tuple[str, ...]


class RuleView(Struct, frozen=True, kw_only=True):
    """A rule. `groups` is for how many label sets it found a value; 0 means that it watches nothing
    (yet): no such series, no traffic, or too little of it."""

    name: str
    default: bool
    reading: str
    groups: int
    tiers: tuple[TierView, ...]


class ReceiverView(Struct, frozen=True, kw_only=True):
    """A receiver. `failures` in a row, 0 while it can be told; `waiting` are messages of which it
    is not on disk that they arrived."""

    name: str
    type: ReceiverType
    waiting: int
    failures: int
    last_error: str
    last_delivered: str | None


class AlertsView(Struct, frozen=True, kw_only=True):
    """The answer of `GET /api/v1/alerts`. `crowded_out` alerts were too many to be kept."""

    alerts: tuple[AlertView, ...]
    rules: tuple[RuleView, ...]
    receivers: tuple[ReceiverView, ...]
    crowded_out: int


class SilenceView(Struct, frozen=True, kw_only=True):
    """A silence."""

    id: str
    matchers: dict[str, MatcherText]
    since: str
    until: str
    author: str
    comment: str


def alerts_view(
    policy: Policy,
    state: AlertState,
    couriers: Sequence[Courier],
    silences: Sequence[Silence],
    now_ns: int,
) -> AlertsView:
    """All there is to show; alerts that fire come first, the worst of them at the top."""
    alerts = sorted(
        state.alerts.values(),
        key=lambda one: (not one.state.fires, -one.severity.rank, one.alertname, one.labels),
    )
    outranked = inhibited(alerts)
    return AlertsView(
        alerts=tuple(
            _alert(
                one,
                policy,
                state,
                silenced_by=silenced_by(one, silences, now_ns),
                inhibited=one.fingerprint in outranked,
            )
            for one in alerts
        ),
        rules=tuple(_rule(rule, state.seen.get(rule.name, 0)) for rule in policy.rules),
        receivers=tuple(
            ReceiverView(
                name=one.receiver.name,
                type=one.receiver.settings.type,
                waiting=one.waiting,
                failures=one.failures,
                last_error=one.last_error if one.failures else "",
                last_delivered=timestamp(one.last_delivered_ns) if one.last_delivered_ns else None,
            )
            for one in couriers
        ),
        crowded_out=state.crowded_out,
    )


def silence_view(silence: Silence) -> SilenceView:
    """One silence."""
    return SilenceView(
        id=silence.id,
        matchers=silence.matchers,
        since=timestamp(silence.from_ns),
        until=timestamp(silence.until_ns),
        author=silence.author,
        comment=silence.comment,
    )


def _alert(
    alert: Alert,
    policy: Policy,
    state: AlertState,
    *,
    silenced_by: tuple[str, ...],
    inhibited: bool,
) -> AlertView:
    rule = policy.rule(alert.alertname)
    tier = None if rule is None else rule.tier(alert.severity)
    said = bulletin(alert, rule)
    return AlertView(
        alertname=alert.alertname,
        severity=alert.severity,
        state=alert.state.value,
        labels=dict(alert.labels),
        value=alert.value,
        compared=alert.compared,
        threshold=alert.threshold,
        n=alert.n,
        since=timestamp(alert.since_ns),
        starts_at=timestamp(alert.starts_at_ns) if alert.starts_at_ns else None,
        fingerprint=alert.fingerprint,
        receivers=() if tier is None else tier.receivers,
        told=tuple(
            name for name, ledger in state.ledgers.items() if ledger.told.get(alert.episode)
        ),
        silenced_by=silenced_by,
        inhibited=inhibited,
        summary=said.summary,
        description=said.description,
        runbook_url=said.runbook_url,
    )


def _rule(rule: RulePolicy, groups: int) -> RuleView:
    return RuleView(
        name=rule.name,
        default=rule.is_default,
        reading=in_words(rule),
        groups=groups,
        tiers=tuple(
            TierView(
                severity=tier.severity,
                comparison=_comparison(rule),
                threshold=tier.threshold,
                until=tier.until,
                for_s=tier.timing.for_ns / 1e9,
                keep_firing_for_s=tier.timing.keep_firing_ns / 1e9,
                receivers=tier.receivers,
            )
            for tier in rule.tiers
        ),
    )


def _comparison(rule: RulePolicy) -> str:
    if rule.relation is not None:
        return "change_percent"
    return "above" if rule.sign > 0 else "below"


def in_words(rule: RulePolicy) -> str:
    """What a rule reads, on one line: `error_rate(5m) by (route, model)`."""
    reading = rule.reading
    window = format_duration(reading.window_s) if reading.window_s else ""
    if rule.signal is not None:
        text = f"{rule.signal}({window})" if window else rule.signal.value
    elif reading.read is Read.VALUE:
        text = _selected(reading.of)
    else:
        parts = [f"{reading.q:g}"] if reading.read is Read.QUANTILE else []
        parts += [_selected(reading.of)]
        parts += [_selected(reading.to)] if reading.to is not None else []
        text = f"{reading.read}({', '.join((*parts, window))})"
    return text if reading.by is None else f"{text} by ({', '.join(reading.by)})"


def _selected(selection: SeriesSelection) -> str:
    if not selection.where:
        return selection.series
    where = ", ".join(f"{label}: {shown(matcher)}" for label, matcher in selection.where.items())
    return f"{selection.series}{{{where}}}"


def shown(matcher: MatcherText) -> str:
    """A matcher as it is written."""
    return matcher if isinstance(matcher, str) else f"[{', '.join(matcher)}]"
