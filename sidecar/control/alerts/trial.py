"""The message of `sidecar alerts test`: an alert that never was, and says so.

It goes the whole way, so an Alertmanager notifies its own receivers; there it ends by itself.
"""

from __future__ import annotations

from typing import Final

from sidecar.config.alerting import AlertSeverity
from sidecar.control.alerts.bulletins import Bulletin, Notification, Status

ALERTNAME: Final = "test"


def trial_message(receiver: str, message_id: str, now_ns: int) -> Notification:
    """A message about one alert that fires and is kept by nobody."""
    return Notification(
        id=message_id,
        receiver=receiver,
        group=(("alertname", ALERTNAME),),
        bulletins=(
            Bulletin(
                episode=message_id,
                fingerprint=message_id,
                status=Status.FIRING,
                alertname=ALERTNAME,
                severity=AlertSeverity.INFO,
                labels={"receiver": receiver},
                value=0.0,
                compared=0.0,
                threshold=0.0,
                n=None,
                starts_at_ns=now_ns,
                ends_at_ns=0,
                summary=f"A test of the receiver {receiver}: nothing is wrong.",
                description="Sent by `sidecar alerts test`.",
                runbook_url="",
            ),
        ),
        repeated=False,
        created_ns=now_ns,
    )
