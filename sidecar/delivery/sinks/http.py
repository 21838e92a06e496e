"""Records to a server that takes CloudEvents over HTTP, by POST.

What its answer means:

    2xx             taken
    400, 413, 422   these records, as they are, never: they are refused (a list of them as a whole)
    429, 5xx, ...   not available now; Retry-After is passed on. So is every other answer: a wrong
                    token (401) or path (404) is not the records' fault, and may be mended

Redirects are not followed: they would carry the token and the records to somebody who was not
configured. One pooled session; secrets are read when they are used, so that a rotated one counts
at once. Reasons are our own sentences: those of the HTTP library quote URLs, which may be secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from base64 import b64encode
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from msgspec import Struct

import sidecar
from sidecar.config.sinks import EventForm, EventMode
from sidecar.config.sinks import HttpSink as HttpSettings
from sidecar.delivery.retry_after import retry_after_s
from sidecar.delivery.sink import Delivered, Item, Refused, Unavailable
from sidecar.delivery.sinks.cloudevents import (
    BATCH_TYPE,
    Event,
    KserveNames,
    batch,
    header_fields,
    kserve_events,
    record_event,
)
from sidecar.delivery.sinks.credentials import client_context, secret
from sidecar.delivery.sinks.lines import Thread
from sidecar.delivery.sinks.registry import Surroundings
from sidecar.records import RecordError

REFUSALS: Final = frozenset({400, 413, 422})
"""Answers that are about the records; see above."""

ENOUGH_BYTES: Final = 64 * 1024
"""An answer's body is of no use to us. Up to this much is read, so that the connection can be used
again; when there is more, or it takes longer than this, the connection is closed."""
ENOUGH_S: Final = 1.0

MARGIN: Final = 0.9
"""The share of the pump's deadline after which single requests are given up: what was taken until
then can still be told."""

_NAMESPACE: Final = "POD_NAMESPACE"


class _Answer(Struct, frozen=True):
    """What came of one request; neither refused nor taken: it is not available."""

    reason: str = ""
    refused: bool = False
    taken: bool = False
    retry_after_s: float = 0.0


class HttpSink:
    """One receiver."""

    def __init__(self, settings: HttpSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self._names = KserveNames(namespace=surroundings.environ.get(_NAMESPACE, "default"))
        self._thread = Thread(f"sink-{settings.name}")
        self._session: aiohttp.ClientSession | None = None
        # After a failure of TLS its files are read anew: they may have expired. Not after others:
        # those of the system take 20 ms of CPU, and a receiver that is down is tried often.
        self._doubtful = False

    async def open(self) -> None:
        """Make the session; nothing is sent. Raises Unavailable (TLS files)."""
        tls = self._settings.tls
        context = await self._thread.call(lambda: client_context(tls))
        await self._let_go()
        self._doubtful = False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=self._settings.concurrency),
            # One deadline for each request, which is the batch's: see `_post`.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        """Send the records. Raises Refused (the list as a whole), Unavailable."""
        if self._session is None or self._doubtful:
            await self.open()
        to, fields = await self._thread.call(self._destination)
        if self._settings.mode is EventMode.BATCHED:
            return await self._deliver_list(batch, to, fields)
        return await self._deliver_each(batch, to, fields)

    async def close(self) -> None:
        """Close the connections."""
        await self._let_go()
        self._thread.close()

    # Batched mode.

    async def _deliver_list(
        self, items: Sequence[Item], to: str, fields: dict[str, str]
    ) -> Delivered:
        content, unwritable = await self._thread.call(lambda: self._list_of(items))
        if len(unwritable) < len(items):
            answer = await self._post(to, {**fields, "Content-Type": BATCH_TYPE}, content)
            if answer.refused:
                raise Refused(answer.reason)
            if not answer.taken:
                raise Unavailable(answer.reason, retry_after_s=answer.retry_after_s)
        return Delivered(refused=tuple(unwritable))

    def _list_of(self, items: Sequence[Item]) -> tuple[bytes, list[tuple[int, str]]]:
        events, unwritable = [], []
        for place, item in enumerate(items):
            try:
                events.append(record_event(item.record, self._settings.source))
            except RecordError as error:
                unwritable.append((place, error.message))
        return batch(events), unwritable

    # Binary mode.

    async def _deliver_each(
        self, items: Sequence[Item], to: str, fields: dict[str, str]
    ) -> Delivered:
        """Send a request for each event, several at once; stop when one shows that it is down."""
        waiting = iter(enumerate(items))
        answers: dict[int, _Answer] = {}
        down: list[_Answer] = []

        async def send() -> None:
            for place, item in waiting:
                answers[place] = answer = await self._send(item, to, fields)
                if not (answer.taken or answer.refused):
                    down.append(answer)
                if down:
                    return

        try:
            async with (
                asyncio.timeout(self._settings.timeout * MARGIN),
                asyncio.TaskGroup() as senders,
            ):
                for _ in range(min(self._settings.concurrency, len(items))):
                    senders.create_task(send())
        except TimeoutError:
            down.append(_Answer(reason=f"no answer within {self._settings.timeout:g} s"))
        refused = [(place, one.reason) for place, one in answers.items() if one.refused]
        if down:
            raise Unavailable(
                down[0].reason,
                retry_after_s=max(one.retry_after_s for one in down),
                taken=[place for place, one in answers.items() if one.taken],
                refused=refused,
            )
        return Delivered(refused=tuple(refused))

    async def _send(self, item: Item, to: str, fields: dict[str, str]) -> _Answer:
        """Send what a record gives; all of it must be taken."""
        try:
            events = self._events(item)
        except RecordError as error:
            return _Answer(reason=error.message, refused=True)
        for event in events:
            answer = await self._post(to, {**fields, **header_fields(event)}, event.data)
            if not answer.taken:
                return answer
        return _Answer(taken=True)

    def _events(self, item: Item) -> list[Event]:
        if self._settings.events is EventForm.KSERVE:
            return kserve_events(item.record, self._settings.source, self._names)
        return [record_event(item.record, self._settings.source)]

    # HTTP.

    async def _post(self, to: str, fields: dict[str, str], content: bytes) -> _Answer:
        session = self._session
        if session is None:
            return _Answer(reason="it is not open")
        try:
            async with session.post(
                to, data=content, headers=fields, allow_redirects=False
            ) as response:
                await _use_up(response)
                return self._meaning(response.status, response.headers.get("Retry-After"))
        except aiohttp.ConnectionTimeoutError:
            reason, reached = "cannot connect: it does not answer", False
        except aiohttp.ClientConnectorCertificateError:
            reason, reached = "its TLS certificate is not trusted", True
        except aiohttp.ClientConnectorError as error:
            reason = f"cannot connect: {_failure_of(error.os_error)}"
            reached = isinstance(error, aiohttp.ClientSSLError)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason, reached = f"the exchange broke off: {type(error).__name__}", True
        self._doubtful |= reached and urlsplit(to).scheme == "https"
        return _Answer(reason=reason)

    def _meaning(self, status: int, retry_after: str | None) -> _Answer:
        if 200 <= status < 300:
            return _Answer(taken=True)
        reason = f"it answered {status} {_phrase(status)}".rstrip()
        if status in REFUSALS:
            return _Answer(reason=reason, refused=True)
        asked_s = retry_after_s(retry_after, self._surroundings.wall_ns())
        return _Answer(reason=reason, retry_after_s=asked_s)

    def _destination(self) -> tuple[str, dict[str, str]]:
        """The URL, and the fields that every request has. Blocking. Raises Unavailable."""
        settings, environ = self._settings, self._surroundings.environ
        to = settings.url or secret("URL", settings.url_file, settings.url_env, environ) or ""
        if not _is_url(to):
            place = settings.url_file or settings.url_env or "`url`"
            raise Unavailable(f"{place} holds no URL that begins with http:// or https://")
        fields = {**settings.headers, "User-Agent": f"model-sidecar/{sidecar.__version__}"}
        token = secret("token", settings.token_file, settings.token_env, environ)
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        elif settings.username is not None:
            password = secret("password", settings.password_file, settings.password_env, environ)
            pair = f"{settings.username}:{password or ''}".encode()
            fields["Authorization"] = f"Basic {b64encode(pair).decode()}"
        return to, fields

    async def _let_go(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _use_up(response: aiohttp.ClientResponse) -> None:
    """Read the answer to its end, if that is near. The status says all; this cannot fail."""
    left = ENOUGH_BYTES
    with contextlib.suppress(aiohttp.ClientError, OSError):  # TimeoutError is an OSError
        async with asyncio.timeout(ENOUGH_S):
            while left > 0 and (read := await response.content.read(left)):
                left -= len(read)


def _failure_of(error: OSError) -> str:
    """Why there is no connection; asyncio's own words name the address, which may be a secret."""
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
