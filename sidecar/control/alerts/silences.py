"""Silences: operators who want to hear nothing new about some alerts for a while.

A silence keeps alerts from being announced. It does not hide them (API and metrics show them), and
it takes nothing back: whoever was told that an alert fires is also told that it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from sidecar.config.matchers import MatcherText, accepts_labels
from sidecar.control.alerts.lifecycle import Alert


class Silence(Struct, frozen=True, kw_only=True):
    """Alerts whose labels match, `alertname` and `severity` included, from one time to another."""

    id: str
    matchers: dict[str, MatcherText]
    from_ns: int
    until_ns: int
    author: str
    comment: str

    def holds(self, alert: Alert, now_ns: int) -> bool:
        """Whether it keeps this alert from being announced now."""
        return self.from_ns <= now_ns < self.until_ns and accepts_labels(
            self.matchers, alert.all_labels
        )


def silenced_by(alert: Alert, silences: Iterable[Silence], now_ns: int) -> tuple[str, ...]:
    """The ids of the silences that hold an alert now."""
    return tuple(silence.id for silence in silences if silence.holds(alert, now_ns))


def inhibited(alert: Alert, alerts: Iterable[Alert]) -> bool:
    """Whether a worse tier of the same rule fires for the same labels: that one is told then."""
    return any(
        other.state.fires
        and other.alertname == alert.alertname
        and other.labels == alert.labels
        and other.severity.rank > alert.severity.rank
        for other in alerts
    )
