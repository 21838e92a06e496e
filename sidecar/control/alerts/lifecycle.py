"""The life of one alert: a table of states and what moves between them.

                     met            not met          no data
    inactive       -> pending       inactive         inactive
    pending        for:  firing     -> inactive      no_data_for: inactive
    firing           firing         -> clearing      no_data_for: resolved
    clearing       -> firing        keep: resolved   no_data_for: resolved

`->` is at once; `for`, `keep` (`keep_firing_for`) and `no_data_for` are how long it takes. An alert
that is clearing still fires, for everybody who looks from outside. So:

- what is not met for a moment shorter than `keep_firing_for` is no end, and no new beginning;
- a series that is missing neither ends an alert at once nor begins one: a pending alert goes on
  waiting, and fires only on a value.

Pure: the time comes in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct

from sidecar.config.alerting import AlertSeverity
from sidecar.control.alerts.samples import Labels


class State(StrEnum):
    """Where an alert is. An inactive one is not kept at all; a resolved one is told, then gone."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    CLEARING = "clearing"
    RESOLVED = "resolved"

    @property
    def fires(self) -> bool:
        """Whether it is an alert for those outside."""
        return self in {State.FIRING, State.CLEARING}


class Condition(StrEnum):
    """What the figure of now says about a threshold."""

    MET = "met"
    NOT_MET = "not_met"
    NO_DATA = "no_data"


class Timing(Struct, frozen=True, kw_only=True):
    """How long things take, in nanoseconds."""

    for_ns: int = 0
    keep_firing_ns: int = 0
    no_data_ns: int = 0


class Wait(StrEnum):
    """Which of the timings a transition waits for."""

    FOR = "for_ns"
    KEEP_FIRING = "keep_firing_ns"
    NO_DATA = "no_data_ns"


AT_ONCE: Final[Mapping[tuple[State, Condition], State]] = MappingProxyType(
    {
        (State.INACTIVE, Condition.MET): State.PENDING,
        (State.PENDING, Condition.NOT_MET): State.INACTIVE,
        (State.FIRING, Condition.NOT_MET): State.CLEARING,
        (State.CLEARING, Condition.MET): State.FIRING,
    }
)
"""What a condition does at once; a pair that is absent changes nothing."""

AFTER: Final[Mapping[tuple[State, Condition], tuple[Wait, State]]] = MappingProxyType(
    {
        (State.PENDING, Condition.MET): (Wait.FOR, State.FIRING),
        (State.CLEARING, Condition.NOT_MET): (Wait.KEEP_FIRING, State.RESOLVED),
        (State.PENDING, Condition.NO_DATA): (Wait.NO_DATA, State.INACTIVE),
        (State.FIRING, Condition.NO_DATA): (Wait.NO_DATA, State.RESOLVED),
        (State.CLEARING, Condition.NO_DATA): (Wait.NO_DATA, State.RESOLVED),
    }
)
"""What it does once it has held for long enough."""


class Alert(Struct, frozen=True, kw_only=True):
    """One alert: a tier of a rule, for one group of labels.

    `since_ns` is when it entered its state, `starts_at_ns` when it began to fire (0: not yet),
    `ends_at_ns` when it was resolved, `seen_ns` when there was a value last. `compared` is what was
    compared with the threshold: the value, or its change in percent.
    """

    alertname: str
    severity: AlertSeverity
    labels: Labels
    fingerprint: str
    state: State
    since_ns: int
    seen_ns: int
    starts_at_ns: int = 0
    ends_at_ns: int = 0
    value: float = 0.0
    compared: float = 0.0
    threshold: float = 0.0
    n: int | None = None

    @property
    def episode(self) -> str:
        """Identifies this time of firing, among all alerts and all times."""
        return f"{self.fingerprint}-{self.starts_at_ns}"

    @property
    def all_labels(self) -> dict[str, str]:
        """Its labels, with those that say which rule and tier it is of."""
        return {"alertname": self.alertname, "severity": self.severity.value, **dict(self.labels)}


def inactive(alertname: str, severity: AlertSeverity, labels: Labels, now_ns: int) -> Alert:
    """An alert of which nothing is known yet."""
    return Alert(
        alertname=alertname,
        severity=severity,
        labels=labels,
        fingerprint=fingerprint(alertname, severity, labels),
        state=State.INACTIVE,
        since_ns=now_ns,
        seen_ns=now_ns,
    )


def advanced(alert: Alert, condition: Condition, timing: Timing, now_ns: int) -> Alert:
    """The alert after this condition was found now."""
    seen_ns = alert.seen_ns if condition is Condition.NO_DATA else now_ns
    # Of a clock that was set back: what lies in the future began now, or waits would never end.
    alert = msgspec.structs.replace(
        alert, since_ns=min(alert.since_ns, now_ns), seen_ns=min(seen_ns, now_ns)
    )
    at_once = AT_ONCE.get((alert.state, condition))
    if at_once is not None:
        alert = _entered(alert, at_once, now_ns)
    later = AFTER.get((alert.state, condition))
    if later is None:
        return alert
    wait, state = later
    held_since_ns = alert.seen_ns if condition is Condition.NO_DATA else alert.since_ns
    if now_ns - held_since_ns < getattr(timing, wait):
        return alert
    return _entered(alert, state, now_ns)


def resolved(alert: Alert, now_ns: int) -> Alert:
    """The alert, ended now whatever is read: its rule is gone."""
    return _entered(alert, State.RESOLVED, now_ns)


def fingerprint(alertname: str, severity: AlertSeverity, labels: Labels) -> str:
    """Identifies an alert, through restarts and reloads."""
    text = msgspec.json.encode([alertname, severity, labels])
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _entered(alert: Alert, state: State, now_ns: int) -> Alert:
    begins = alert.state is State.PENDING and state is State.FIRING
    return msgspec.structs.replace(
        alert,
        state=state,
        since_ns=now_ns,
        starts_at_ns=now_ns if begins else alert.starts_at_ns,
        ends_at_ns=now_ns if state is State.RESOLVED else 0,
    )
