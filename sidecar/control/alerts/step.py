"""One step of alerting: `state, notifications = step(policy, state, samples, silences, now_ns)`.

The whole of what alerts are, without a clock, a socket or a disk. What a step returns is to be kept
first and sent then; `confirmed` says that it has arrived.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from sidecar.control.alerts import grouping
from sidecar.control.alerts.bulletins import Notification
from sidecar.control.alerts.evaluation import evaluate
from sidecar.control.alerts.grouping import Ledger
from sidecar.control.alerts.lifecycle import Alert
from sidecar.control.alerts.policy import Policy
from sidecar.control.alerts.samples import Sample, by_name
from sidecar.control.alerts.silences import Silence, inhibited, silenced_by
from sidecar.control.alerts.windows import Windows


class AlertState(Struct, frozen=True, kw_only=True):
    """Everything that a step goes on from.

    `alerts` are those at least pending, by fingerprint; `ledgers` what each receiver was told;
    `seen` and `crowded_out` are of the last step.
    """

    alerts: dict[str, Alert] = {}
    ledgers: dict[str, Ledger] = {}
    windows: Windows = Windows()
    seen: dict[str, int] = {}
    crowded_out: int = 0

    @property
    def outgoing(self) -> list[Notification]:
        """Every message under way."""
        return [message for ledger in self.ledgers.values() for message in ledger.outgoing]


def step(
    policy: Policy,
    state: AlertState,
    samples: Iterable[Sample],
    silences: Iterable[Silence],
    now_ns: int,
) -> tuple[AlertState, tuple[Notification, ...]]:
    """The state after this moment, and the messages that are to go out."""
    found = evaluate(policy, state.windows, state.alerts, by_name(samples, policy.series), now_ns)
    firing = [alert for alert in found.alerts.values() if alert.state.fires]
    held = tuple(silences)
    muted = inhibited(firing) | {
        alert.fingerprint for alert in firing if silenced_by(alert, held, now_ns)
    }
    ledgers, messages = grouping.gathered(policy, state.ledgers, firing, found.ended, muted, now_ns)
    after = AlertState(
        alerts=found.alerts,
        ledgers=ledgers,
        windows=found.windows,
        seen=found.seen,
        crowded_out=found.crowded_out,
    )
    return after, messages


def resumed(state: AlertState, now_ns: int) -> AlertState:
    """The state when looking begins again: a time in which nobody looked is no missing data."""
    alerts = {
        key: msgspec.structs.replace(alert, seen_ns=now_ns) for key, alert in state.alerts.items()
    }
    return msgspec.structs.replace(state, alerts=alerts)


def confirmed(state: AlertState, sent: Notification, now_ns: int) -> AlertState:
    """The state once a message has arrived."""
    ledger = state.ledgers.get(sent.receiver)
    if ledger is None:
        return state
    after = grouping.confirmed(ledger, sent, now_ns)
    return msgspec.structs.replace(state, ledgers={**state.ledgers, sent.receiver: after})
