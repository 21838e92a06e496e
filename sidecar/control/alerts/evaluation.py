"""From samples to alerts: every rule read, every tier of every group moved on.

Only alerts that are at least pending are kept. One whose rule or tier is gone from the
configuration ends at once; one whose rule merely changed goes on under the new thresholds, as it is
the same alert: its rule's name, severity and labels.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from sidecar.control.alerts.lifecycle import (
    Alert,
    Condition,
    State,
    advanced,
    inactive,
    resolved,
)
from sidecar.control.alerts.policy import Policy, RulePolicy, TierPolicy
from sidecar.control.alerts.readings import Figure, change_percent, figures, reference_of
from sidecar.control.alerts.samples import Labels, Samples
from sidecar.control.alerts.windows import NS_PER_S, Points, Windows, earlier

MOST_ALERTS: Final = 500
"""Alerts kept at a time: nobody reads more, and all of them fit into one message."""


class Compared(Struct, frozen=True):
    """A figure and what of it is compared: itself, or its change in percent."""

    figure: Figure
    compared: float


class Evaluation(Struct, frozen=True, kw_only=True):
    """What came of it. `ended` are the alerts that fired and fire no more.

    `seen` is for how many groups each rule found a value; `crowded_out` how many alerts would have
    been one too many.
    """

    windows: Windows
    alerts: dict[str, Alert]
    ended: tuple[Alert, ...]
    seen: dict[str, int]
    crowded_out: int


def evaluate(
    policy: Policy,
    windows: Windows,
    alerts: Mapping[str, Alert],
    samples: Samples,
    now_ns: int,
) -> Evaluation:
    """Read every rule and move every alert on. `alerts` are by fingerprint."""
    windows = windows.followed_by((rule.reading for rule in policy.rules), samples, now_ns)
    known: dict[tuple[str, str], dict[Labels, Alert]] = {}
    for alert in alerts.values():
        known.setdefault((alert.alertname, alert.severity), {})[alert.labels] = alert
    trails: dict[str, dict[Labels, Points]] = {}
    seen: dict[str, int] = {}
    moved: list[Alert] = []
    for rule in policy.rules:
        found = _compared(rule, samples, windows, now_ns, trails)
        seen[rule.name] = len(found)
        for tier in rule.tiers:
            before = known.pop((rule.name, tier.severity), {})
            moved += _moved(rule, tier, before, found, now_ns)
    moved += [resolved(alert, now_ns) for gone in known.values() for alert in gone.values()]
    active = [alert for alert in moved if alert.state not in {State.INACTIVE, State.RESOLVED}]
    # Those that fire first, then those that were there first: what is new waits for a place.
    active.sort(key=lambda alert: (not alert.state.fires, alert.fingerprint not in alerts))
    return Evaluation(
        windows=msgspec.structs.replace(windows, trails=trails),
        alerts={alert.fingerprint: alert for alert in active[:MOST_ALERTS]},
        ended=tuple(
            alert for alert in moved if alert.state is State.RESOLVED and alert.starts_at_ns
        ),
        seen=seen,
        crowded_out=len(active[MOST_ALERTS:]),
    )


def _compared(
    rule: RulePolicy,
    samples: Samples,
    windows: Windows,
    now_ns: int,
    trails: dict[str, dict[Labels, Points]],
) -> dict[Labels, Compared]:
    """What a rule compares now, by the labels of its alerts; earlier readings go to `trails`."""
    if rule.relation is not None and rule.relation.ago is not None:
        # What has no value this once goes on where it was when it has one again.
        since_ns = now_ns - round(rule.relation.ago * NS_PER_S)
        known = windows.trails.get(rule.name, {})
        trails[rule.name] = {k: one for k, one in known.items() if one.at_ns[-1] > since_ns}
    found = figures(rule.reading, samples, windows, worst=max if rule.sign > 0 else min)
    compared = {}
    for labels, figure in found.items():
        reference: float | None = None
        if rule.relation is None:
            value: float | None = figure.value
        else:
            if rule.relation.ago is not None:
                ago_ns = round(rule.relation.ago * NS_PER_S)
                before = windows.trails.get(rule.name, {}).get(labels, Points())
                reference = earlier(before, ago_ns, now_ns)
                trail = before.followed_by(figure.value, now_ns, ago_ns)
                trails[rule.name][labels] = trail
            else:
                reference = reference_of(rule.relation, labels, samples)
            value = None if reference is None else change_percent(figure.value, reference)
        if value is not None:
            compared[_with(labels, rule.labels)] = Compared(figure, value)
    return compared


def _moved(
    rule: RulePolicy,
    tier: TierPolicy,
    before: Mapping[Labels, Alert],
    found: Mapping[Labels, Compared],
    now_ns: int,
) -> Iterator[Alert]:
    """Every alert of a tier after this moment: those that were, and those that begin."""
    for labels, alert in before.items():
        if labels not in found:
            yield advanced(alert, Condition.NO_DATA, tier.timing, now_ns)
    for labels, one in found.items():
        known = before.get(labels)
        met = tier.met_by(one.compared, fires=known is not None and known.state.fires)
        if known is None and not met:
            continue
        alert = known if known is not None else inactive(rule.name, tier.severity, labels, now_ns)
        condition = Condition.MET if met else Condition.NOT_MET
        yield advanced(_figured(alert, one, tier), condition, tier.timing, now_ns)


def _figured(alert: Alert, one: Compared, tier: TierPolicy) -> Alert:
    return msgspec.structs.replace(
        alert,
        value=one.figure.value,
        n=one.figure.n,
        compared=one.compared,
        threshold=tier.threshold,
    )


def _with(labels: Labels, further: Mapping[str, str]) -> Labels:
    return tuple(sorted({**dict(labels), **further}.items())) if further else labels
