"""Silences: operators who want to hear nothing new about some alerts for a while.

A silence keeps alerts from being announced. It does not hide them (API and metrics show them), and
it takes nothing back: whoever was told that an alert fires is also told that it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from sidecar.config.matchers import MatcherText, accepts_labels, objection
from sidecar.control.alerts.lifecycle import Alert
from sidecar.control.alerts.samples import Labels
from sidecar.control.alerts.windows import NS_PER_S
from sidecar.errors import ClientError

LONGEST_S: Final = 365 * 86_400
LONGEST_TEXT: Final = 500


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


def inhibited(alerts: Iterable[Alert]) -> frozenset[str]:
    """The fingerprints of those for whose labels a worse tier of their rule fires.

    That one is told then.
    """
    known = list(alerts)
    worst: dict[tuple[str, Labels], int] = {}
    for alert in known:
        if alert.state.fires:
            series = alert.alertname, alert.labels
            worst[series] = max(worst.get(series, 0), alert.severity.rank)
    return frozenset(
        alert.fingerprint
        for alert in known
        if worst.get((alert.alertname, alert.labels), 0) > alert.severity.rank
    )


def new_silence(
    silence_id: str,
    matchers: dict[str, MatcherText],
    *,
    now_ns: int,
    for_s: float,
    author: str,
    comment: str,
) -> Silence:
    """A silence that begins now. Raises ClientError that says what is wrong with it."""
    if not matchers:
        raise _refusal("A silence needs at least one matcher, such as `alertname=errors`")
    for label, matcher in matchers.items():
        wrong = objection(matcher)
        if wrong is not None:
            raise _refusal(f"Expected a matcher for `{label}`, found {wrong}")
    if not 0 < for_s <= LONGEST_S:
        raise _refusal("A silence lasts more than 0s and at most 365d")
    for name, text in (("author", author), ("comment", comment)):
        if not text.strip() or len(text) > LONGEST_TEXT:
            raise _refusal(f"A silence needs its {name}, in at most {LONGEST_TEXT} characters")
    return Silence(
        id=silence_id,
        matchers=matchers,
        from_ns=now_ns,
        until_ns=now_ns + round(for_s * NS_PER_S),
        author=author.strip(),
        comment=comment.strip(),
    )


def _refusal(message: str) -> ClientError:
    return ClientError(message, status=422, code="bad_silence")
