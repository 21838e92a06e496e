"""What goes over the wire to each kind of receiver: JSON documents, made of a notification. Pure.

webhook        the document of docs/alerts.md, version "1"
slack          Slack's incoming webhooks, and what speaks like them (Mattermost, Rocket.Chat)
alertmanager   the list of `POST /api/v2/alerts`
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sidecar.config.alerting import AlertSeverity
from sidecar.control.alerts.bulletins import Bulletin, Notification, Status
from sidecar.control.alerts.policy import KEPT_ALIVE_NS
from sidecar.control.alerts.windows import NS_PER_S

VERSION: Final = "1"

SLACK_ATTACHMENTS: Final = 20
"""Slack asks for no more than 20 in one message; the others are counted."""

SLACK_CHARACTERS: Final = 2000

_COLORS: Final = {
    AlertSeverity.INFO: "#439fe0",
    AlertSeverity.WARNING: "#daa038",
    AlertSeverity.CRITICAL: "#a30200",
}
_RESOLVED_COLOR: Final = "#2eb886"


def webhook_body(message: Notification, now_ns: int) -> dict[str, Any]:
    """The JSON document of a webhook."""
    return {
        "version": VERSION,
        "id": message.id,
        "receiver": message.receiver,
        "status": message.status.value,
        "repeated": message.repeated,
        "group": dict(message.group),
        "sent_at": timestamp(now_ns),
        "alerts": [
            {
                "fingerprint": one.fingerprint,
                "status": one.status.value,
                "alertname": one.alertname,
                "severity": one.severity.value,
                "labels": one.labels,
                "value": one.value,
                "compared": one.compared,
                "threshold": one.threshold,
                "n": one.n,
                "starts_at": timestamp(one.starts_at_ns),
                "ends_at": timestamp(one.ends_at_ns) if one.ends_at_ns else None,
                "summary": one.summary,
                "description": one.description,
                "runbook_url": one.runbook_url,
            }
            for one in message.bulletins
        ],
    }


def slack_body(message: Notification) -> dict[str, Any]:
    """A message of Slack's incoming webhooks: a line, and a coloured attachment per alert."""
    fires = sum(one.status is Status.FIRING for one in message.bulletins)
    over = len(message.bulletins) - fires
    counts = [f"{fires} firing"] if fires else []
    counts += [f"{over} resolved"] if over else []
    group = ", ".join(f"{name}={value}" for name, value in message.group if value)
    text = " and ".join(counts) + (f" ({group})" if group else "")
    left_out = len(message.bulletins) - SLACK_ATTACHMENTS
    if left_out > 0:
        text += f"; {left_out} not shown"
    return {
        "text": _slack(f"Still {text}" if message.repeated else text.capitalize()),
        "attachments": [_attachment(one) for one in message.bulletins[:SLACK_ATTACHMENTS]],
    }


def alertmanager_body(message: Notification, now_ns: int) -> list[dict[str, Any]]:
    """Alerts of Alertmanager's API v2. What fires ends by itself unless it is told again."""
    return [
        {
            "labels": {name: value for name, value in one.all_labels.items() if value},
            "annotations": {
                name: text
                for name, text in (
                    ("summary", one.summary),
                    ("description", one.description),
                    ("runbook_url", one.runbook_url),
                )
                if text
            },
            "startsAt": timestamp(one.starts_at_ns),
            "endsAt": timestamp(one.ends_at_ns or now_ns + KEPT_ALIVE_NS),
        }
        for one in message.bulletins
    ]


def timestamp(at_ns: int) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    seconds, rest_ns = divmod(at_ns, NS_PER_S)
    whole = datetime.fromtimestamp(seconds, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"


def _attachment(one: Bulletin) -> dict[str, Any]:
    resolved = one.status is Status.RESOLVED
    shown: dict[str, Any] = {
        "fallback": _slack(one.summary),
        "color": _RESOLVED_COLOR if resolved else _COLORS[one.severity],
        "title": _slack(f"{'resolved' if resolved else one.severity.value}: {one.alertname}"),
        "text": _slack("\n".join(text for text in (one.summary, one.description) if text)),
        "footer": _slack(", ".join(f"{name}={value}" for name, value in one.labels.items())),
        "ts": (one.ends_at_ns or one.starts_at_ns) // NS_PER_S,
    }
    return {**shown, "title_link": one.runbook_url} if one.runbook_url else shown


def _slack(text: str) -> str:
    """A text in which nothing is markup: Slack's own three characters are escaped."""
    text = text[:SLACK_CHARACTERS]
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
