"""What a receiver is told: alerts in words, and which of them go in one message.

A notification is identified by its receiver and by which alerts it says what of: the same news has
the same id, before and after a crash. So what was confirmed is not sent again, and a receiver that
gets a message twice, because the confirmation was lost, can tell.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec
from msgspec import Struct

from sidecar.config.alerting import AlertSeverity
from sidecar.config.placeholders import fill
from sidecar.config.signals import Read
from sidecar.config.units import format_duration
from sidecar.control.alerts.lifecycle import Alert, State
from sidecar.control.alerts.policy import RulePolicy
from sidecar.control.alerts.samples import Labels


class Status(StrEnum):
    """What is said of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Bulletin(Struct, frozen=True, kw_only=True):
    """One alert, as it is told. `ends_at_ns` is 0 while it fires."""

    episode: str
    fingerprint: str
    status: Status
    alertname: str
    severity: AlertSeverity
    labels: dict[str, str]
    value: float
    compared: float
    threshold: float
    n: int | None
    starts_at_ns: int
    ends_at_ns: int
    summary: str
    description: str
    runbook_url: str

    @property
    def all_labels(self) -> dict[str, str]:
        """Its labels, with those that say which rule and tier it is of."""
        return {"alertname": self.alertname, "severity": self.severity.value, **self.labels}


class Notification(Struct, frozen=True, kw_only=True):
    """A message to one receiver about one group; `repeated` when it holds no news."""

    id: str
    receiver: str
    group: Labels
    bulletins: tuple[Bulletin, ...]
    repeated: bool
    created_ns: int

    @property
    def status(self) -> Status:
        """`firing` when anything in it fires."""
        fires = any(bulletin.status is Status.FIRING for bulletin in self.bulletins)
        return Status.FIRING if fires else Status.RESOLVED


def notification(
    receiver: str,
    group: Labels,
    bulletins: tuple[Bulletin, ...],
    *,
    repeated: bool,
    round_of: int,
    now_ns: int,
) -> Notification:
    """A message; `round_of` tells repeats of the same news apart."""
    said = sorted((bulletin.episode, bulletin.status.value) for bulletin in bulletins)
    identity = msgspec.json.encode([receiver, group, said, round_of if repeated else 0])
    return Notification(
        id=hashlib.blake2b(identity, digest_size=16).hexdigest(),
        receiver=receiver,
        group=group,
        bulletins=bulletins,
        repeated=repeated,
        created_ns=now_ns,
    )


def bulletin(alert: Alert, rule: RulePolicy | None) -> Bulletin:
    """What there is to say of an alert now; without its rule (it was removed) only the figures."""
    relative = rule is not None and rule.relation is not None
    values = {
        "alertname": alert.alertname,
        "severity": alert.severity.value,
        "value": _shown(alert.value, rule),
        "threshold": f"{alert.threshold:+g} %" if relative else _shown(alert.threshold, rule),
        "n": "-" if alert.n is None else str(alert.n),
        "window": _window(rule),
    }
    labels = dict(alert.labels)
    change = f" ({alert.compared:+.1f} %)" if relative else ""
    usual = f"{{alertname}}: {{value}}{change}, threshold {{threshold}}; {{labels}}"
    summary = (rule and rule.summary) or usual
    return Bulletin(
        episode=alert.episode,
        fingerprint=alert.fingerprint,
        status=Status.RESOLVED if alert.state is State.RESOLVED else Status.FIRING,
        alertname=alert.alertname,
        severity=alert.severity,
        labels=labels,
        value=alert.value,
        compared=alert.compared,
        threshold=alert.threshold,
        n=alert.n,
        starts_at_ns=alert.starts_at_ns,
        ends_at_ns=alert.ends_at_ns,
        summary=fill(summary, values, labels),
        description=fill((rule and rule.description) or "", values, labels),
        runbook_url=(rule and rule.runbook_url) or "",
    )


def _shown(figure: float, rule: RulePolicy | None) -> str:
    """A figure with its unit, as far as the reading tells."""
    if rule is not None and rule.reading.read is Read.RATIO:
        return f"{100 * figure:.3g} %"
    if rule is not None and rule.reading.read is Read.QUANTILE:
        return f"{figure:.3g} s" if rule.reading.of.series.endswith("_seconds") else f"{figure:.4g}"
    return f"{figure:.4g}"


def _window(rule: RulePolicy | None) -> str:
    if rule is None or rule.reading.read is Read.VALUE:
        return "now"
    return format_duration(rule.reading.window_s)
