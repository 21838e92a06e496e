"""What the sidecar's API says of drift and alerts, as values. Pure: JSON in, values out.

Only what the demo shows is decoded; the API has more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from sidecar.drift import Thresholds

_SHOWN_FIRST: Final = ("major", "drift", "insufficient_data", "ok")
"""Too little to judge by is no all-clear: it is shown before what is in order."""

_WORST_FIRST: Final = ("major", "drift", "ok", "insufficient_data")
"""What is remembered of a column that was judged at some time and at others not."""


class Verdict(Struct, frozen=True, kw_only=True):
    """One column of a model in the newest window. `p` is adjusted for all columns of the window."""

    feature: str
    status: str
    psi: float | None
    p: float | None = msgspec.field(name="p_adjusted")
    n: int

    @property
    def alarms(self) -> bool:
        """Whether it has drifted."""
        return self.status in {"major", "drift"}

    @property
    def collects(self) -> bool:
        """Whether its window has too few rows to judge by."""
        return self.status == "insufficient_data" and self.n < Thresholds().minimum

    @property
    def unsettled(self) -> bool:
        """Whether its window has rows enough, which differ too much among themselves: it changes
        while we look, and cannot be judged until the window has passed the change."""
        return self.status == "insufficient_data" and not self.collects


class Comparison(Struct, frozen=True, kw_only=True):
    """A window against a reference; `why` says why there are no verdicts."""

    verdicts: tuple[Verdict, ...]
    why: str


class Watched(Struct, frozen=True, kw_only=True):
    """One model in its role: here in one window, against its baseline."""

    model: str
    role: str
    comparisons: tuple[Comparison, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All columns, worst first; none while there is no window."""
        found = [verdict for comparison in self.comparisons for verdict in comparison.verdicts]
        # To one decimal: noise in what is in order must not shuffle the lines at every look.
        return tuple(
            sorted(
                found,
                key=lambda one: (_SHOWN_FIRST.index(one.status), -round(one.psi or 0.0, 1)),
            )
        )

    @property
    def why_none(self) -> str:
        """Why there are no verdicts; empty when there are."""
        return next((comparison.why for comparison in self.comparisons), "")


class Alert(Struct, frozen=True, kw_only=True):
    """One alert; `state` is `pending`, `firing` or `clearing`."""

    fingerprint: str
    severity: str
    state: str
    summary: str

    @property
    def clearing(self) -> bool:
        """Whether its cause is over, and it is only kept for a while in case it comes back."""
        return self.state == "clearing"


class _Drift(Struct, frozen=True, kw_only=True):
    watches: tuple[Watched, ...]


class _Alerts(Struct, frozen=True, kw_only=True):
    alerts: tuple[Alert, ...]


class Worst(Struct, frozen=True, kw_only=True):
    """The worst verdict on a column, and when it was first seen."""

    verdict: Verdict
    after_s: float


class Raised(Struct, frozen=True, kw_only=True):
    """An alert, and when it was first seen."""

    alert: Alert
    after_s: float


class Memory:
    """The worst of every column and all alerts since the start: laps end, and drift with them."""

    def __init__(self) -> None:
        self._worst: dict[tuple[str, str], Worst] = {}
        self._firing: frozenset[str] = frozenset()
        self._raised: dict[str, Raised] = {}

    @property
    def raised(self) -> tuple[Raised, ...]:
        """Every alert that has fired, in order; each once."""
        return tuple(self._raised.values())

    def alerts(self, firing: Sequence[Alert], after_s: float) -> list[Alert]:
        """The alerts of one look; returns those that did not fire at the look before."""
        new = [alert for alert in firing if alert.fingerprint not in self._firing]
        self._firing = frozenset(alert.fingerprint for alert in firing)
        for alert in new:
            self._raised.setdefault(alert.fingerprint, Raised(alert=alert, after_s=after_s))
        return new

    def verdicts(self, drift: Iterable[Watched], after_s: float) -> None:
        """The verdicts of one look; among those of one status the first stays."""
        for watched in drift:
            for verdict in watched.verdicts:
                key = watched.model, verdict.feature
                known = self._worst.get(key)
                if known is None or _is_worse(verdict, known.verdict):
                    self._worst[key] = Worst(verdict=verdict, after_s=after_s)

    def worst(self, model: str) -> Mapping[str, Worst]:
        """By column."""
        return {feature: worst for (of, feature), worst in self._worst.items() if of == model}


def _is_worse(one: Verdict, other: Verdict) -> bool:
    return _WORST_FIRST.index(one.status) < _WORST_FIRST.index(other.status)


_drift = msgspec.json.Decoder(_Drift)
_alerts = msgspec.json.Decoder(_Alerts)


def read_drift(answer: bytes) -> tuple[Watched, ...]:
    """The answer of `/api/v1/drift`."""
    return _drift.decode(answer).watches


def read_alerts(answer: bytes) -> tuple[Alert, ...]:
    """Those that fire, of the answer of `/api/v1/alerts`; the worst of those that last first."""
    alerts = (alert for alert in _alerts.decode(answer).alerts if alert.state != "pending")
    return tuple(sorted(alerts, key=lambda alert: alert.clearing))
