"""What the sidecar's API says of drift and alerts, as values. Pure: JSON in, values out.

Only what the demo shows is decoded; the API has more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

_WORST_FIRST: Final = ("major", "drift", "ok", "insufficient_data")


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
    def badness(self) -> tuple[int, float]:
        """Sorts the worst first."""
        return _WORST_FIRST.index(self.status), -(self.psi or 0.0)


class _Comparison(Struct, frozen=True, kw_only=True):
    verdicts: tuple[Verdict, ...]
    why: str


class Watched(Struct, frozen=True, kw_only=True):
    """One model in its role: here in one window, against its baseline."""

    model: str
    role: str
    comparisons: tuple[_Comparison, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All columns, worst first; none while there is no window."""
        found = [verdict for comparison in self.comparisons for verdict in comparison.verdicts]
        return tuple(sorted(found, key=lambda verdict: verdict.badness))

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


class _Drift(Struct, frozen=True, kw_only=True):
    watches: tuple[Watched, ...]


class _Alerts(Struct, frozen=True, kw_only=True):
    alerts: tuple[Alert, ...]


class Worst(Struct, frozen=True, kw_only=True):
    """The worst verdict on a column, and when it was first seen."""

    verdict: Verdict
    after_s: float


class Memory:
    """The worst of every column since the start: laps end, and drift with them."""

    def __init__(self) -> None:
        self._worst: dict[tuple[str, str], Worst] = {}

    def add(self, drift: Iterable[Watched], after_s: float) -> None:
        """What one look has shown; among verdicts of one status the first stays."""
        for watched in drift:
            for verdict in watched.verdicts:
                key = watched.model, verdict.feature
                known = self._worst.get(key)
                if known is None or verdict.badness[0] < known.verdict.badness[0]:
                    self._worst[key] = Worst(verdict=verdict, after_s=after_s)

    def worst(self, model: str) -> Mapping[str, Worst]:
        """By column."""
        return {feature: worst for (of, feature), worst in self._worst.items() if of == model}


_drift = msgspec.json.Decoder(_Drift)
_alerts = msgspec.json.Decoder(_Alerts)


def read_drift(answer: bytes) -> tuple[Watched, ...]:
    """The answer of `/api/v1/drift`."""
    return _drift.decode(answer).watches


def read_alerts(answer: bytes) -> tuple[Alert, ...]:
    """Those that fire, of the answer of `/api/v1/alerts`; the worst first."""
    return tuple(alert for alert in _alerts.decode(answer).alerts if alert.state != "pending")
