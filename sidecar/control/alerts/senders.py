"""How each type of receiver is spoken to: one attempt, and a word for why it failed.

Reasons are our own sentences: those of the HTTP library quote URLs, which may be secrets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, Protocol

import aiohttp
import msgspec

import sidecar
from sidecar.config.alerting import (
    AlertSeverity,
    ReceiverSettings,
    ReceiverType,
    WebhookFormat,
)
from sidecar.control.alerts.bodies import alertmanager_body, slack_body, webhook_body
from sidecar.control.alerts.bulletins import Notification, Status
from sidecar.control.alerts.destinations import DestinationUnknown, destination
from sidecar.delivery.retry_after import retry_after_s as asked_wait_s

LONGEST_RETRY_AFTER_S: Final = 600.0
"""A receiver that asks for more patience than this is asked again nevertheless."""

ALERTS_PATH: Final = "/api/v2/alerts"

log: Final = logging.getLogger("sidecar.alerts")

_LEVELS: Final = MappingProxyType(
    {
        AlertSeverity.INFO: logging.INFO,
        AlertSeverity.WARNING: logging.WARNING,
        AlertSeverity.CRITICAL: logging.ERROR,
    }
)


class NotDelivered(Exception):  # noqa: N818 - an outcome, told in words
    """An attempt failed. `retry_after_s` is what the receiver asked for, 0 when it did not."""

    def __init__(self, reason: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Sender(Protocol):
    """Sends one message, once."""

    async def send(self, message: Notification) -> None:
        """Return when the receiver has confirmed it. Raises NotDelivered."""


class LogSender:
    """The process log: a line per alert. The level follows the severity."""

    async def send(self, message: Notification) -> None:
        """Write the lines; that cannot fail."""
        for one in message.bulletins:
            over = one.status is Status.RESOLVED
            log.log(
                logging.INFO if over else _LEVELS[one.severity],
                "an alert was resolved" if over else "an alert fires",
                extra={
                    "alert": one.alertname,
                    "severity": one.severity.value,
                    "summary": one.summary,
                    "repeated": message.repeated,
                },
            )


class HttpSender:
    """Posts JSON. `body` makes it, `path` is added to the URL's own.

    `session` gives the pooled client; `now_ns` is the wall clock.
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        *,
        session: Callable[[], aiohttp.ClientSession],
        environ: Mapping[str, str],
        now_ns: Callable[[], int],
        body: Callable[[Notification, int], Any],
        path: str = "",
    ) -> None:
        self._settings = settings
        self._session = session
        self._environ = environ
        self._now_ns = now_ns
        self._body = body
        self._path = path

    async def send(self, message: Notification) -> None:
        """One POST; any 2xx confirms it."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                await self._post(message)
        except TimeoutError:
            raise NotDelivered(f"no answer within {self._settings.timeout:g} s") from None
        except DestinationUnknown as unknown:
            raise NotDelivered(str(unknown)) from None
        except aiohttp.ClientConnectorCertificateError:
            raise NotDelivered("its TLS certificate is not trusted") from None
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or type(error.os_error).__name__
            raise NotDelivered(f"cannot connect: {reason}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotDelivered(f"the exchange broke off: {type(error).__name__}") from None

    async def _post(self, message: Notification) -> None:
        to = await asyncio.to_thread(destination, self._settings, self._environ)
        headers = {
            **to.headers,
            "Content-Type": "application/json",
            "User-Agent": f"model-sidecar/{sidecar.__version__}",
            "Idempotency-Key": f'"{message.id}"',
        }
        content = msgspec.json.encode(self._body(message, self._now_ns()))
        # A redirect would carry the token and the alert to somebody who was not configured.
        async with self._session().post(
            to.url.rstrip("/") + self._path if self._path else to.url,
            data=content,
            headers=headers,
            allow_redirects=False,
        ) as response:
            if not 200 <= response.status < 300:
                raise NotDelivered(
                    f"it answered {response.status} {_phrase(response.status)}".rstrip(),
                    retry_after_s=retry_after_s(
                        response.headers.get("Retry-After"), self._now_ns()
                    ),
                )


def retry_after_s(field: str | None, now_ns: int) -> float:
    """The wait that a Retry-After field asks for, as far as we have patience; 0 for none."""
    return min(asked_wait_s(field, now_ns), LONGEST_RETRY_AFTER_S)


def sender_for(
    settings: ReceiverSettings,
    *,
    session: Callable[[], aiohttp.ClientSession],
    environ: Mapping[str, str],
    now_ns: Callable[[], int],
) -> Sender:
    """The sender of a receiver."""
    match settings.type:
        case ReceiverType.LOG:
            return LogSender()
        case ReceiverType.ALERTMANAGER:
            return HttpSender(
                settings,
                session=session,
                environ=environ,
                now_ns=now_ns,
                body=alertmanager_body,
                path=ALERTS_PATH,
            )
        case ReceiverType.WEBHOOK:
            return HttpSender(
                settings,
                session=session,
                environ=environ,
                now_ns=now_ns,
                body=_slack_now if settings.format is WebhookFormat.SLACK else webhook_body,
            )


def _slack_now(message: Notification, _now_ns: int) -> dict[str, Any]:
    return slack_body(message)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
