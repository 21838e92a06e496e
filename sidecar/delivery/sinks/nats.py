"""Records into a stream of NATS JetStream: one message each, acknowledged by the stream.

    subject   as configured, with `{route}` and `{model}` replaced by those of the record
    payload   the record's JSON
    headers   the CloudEvents attributes (NATS protocol binding 1.0.2): `ce-id`, `ce-model`, ...;
              `Nats-Msg-Id`, the record's id, by which the stream drops what comes twice within its
              duplicate window (two minutes unless it is set up otherwise)

A batch is published at once and its acknowledgements are awaited together. They come to an inbox of
the sink's own: the library's `publish_async` never tells of an acknowledgement that is an error.
There is no reconnecting in the background, and so nothing is buffered where the pump does not know
of it: a connection that was lost is made anew for the next batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

import orjson
from msgspec import Struct

from sidecar.config.sinks import NatsSink as NatsSettings
from sidecar.delivery.sink import Delivered, Item, Unavailable
from sidecar.delivery.sinks.credentials import client_context, secret
from sidecar.delivery.sinks.envelope import JSON_TYPE, attributes
from sidecar.delivery.sinks.libraries import library
from sidecar.delivery.sinks.registry import Surroundings
from sidecar.model import CellKey
from sidecar.records import RecordError, to_json

MARGIN: Final = 0.9
"""The share of the pump's deadline after which is told what was taken; later nobody listens."""

CREATED_MAX_AGE_S: Final = 7 * 86_400
"""How long a stream made here keeps records: without a bound it would fill the disk."""

_CLOSE_S: Final = 2.0
_NOT_IN_TOKENS: Final = re.compile(r"[\s.*>]")
_TOO_LARGE: Final = 10054  # JSStreamMessageExceedsMaximumErr
_NO_RESPONDERS: Final = "503"
_LEAST_HEADER_BYTES: Final = len(b"NATS/1.0\r\n\r\n")
_LINE_BYTES: Final = len(b": \r\n")


class Answer(Struct, frozen=True):
    """What a stream said of a message: taken (both empty), or why refused for good, or not now."""

    refused: str = ""
    unavailable: str = ""


class NatsSink:
    """One stream."""

    def __init__(self, settings: NatsSettings, surroundings: Surroundings) -> None:
        self._nats = library("nats.aio.client", "nats")
        self._errors = library("nats.errors", "nats")
        if settings.credentials_file is not None:
            library("nkeys", "nats")  # which signs the server's challenge with the seed
        self._settings = settings
        self._surroundings = surroundings
        self._limit_s = MARGIN * settings.timeout
        self._client: Any = None
        self._silent = False
        self._inbox = ""
        self._tokens = count()
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._subjects: dict[CellKey, str] = {}
        # What fails is told by outcomes; the library would tell of it as well, line by line.
        logging.getLogger("nats").setLevel(logging.CRITICAL)

    async def open(self) -> None:
        """Connect, and find the stream or make it. Raises Unavailable."""
        await self.close()
        self._silent = False
        options = await asyncio.to_thread(self._options)
        client = self._client = self._nats.Client()
        try:
            async with asyncio.timeout(self._limit_s):
                await client.connect(self._settings.url, **options)
                self._inbox = client.new_inbox()
                await client.subscribe(f"{self._inbox}.*", cb=self._acknowledged)
                if self._settings.create:
                    await self._create(client)
        except BaseException as error:
            await self.close()
            if isinstance(error, self._errors.Error | OSError):  # TimeoutError is one
                raise Unavailable(self._explained(error)) from None
            raise

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        """Publish all, and wait until the stream has answered for all. Raises Unavailable."""
        answers: dict[int, Answer] = {}
        waiting: dict[int, asyncio.Future[Answer]] = {}
        why = "the connection to the server was lost"
        try:
            async with asyncio.timeout(self._limit_s):
                if self._client is None or self._client.is_closed or self._silent:
                    await self.open()
                await self._publish(batch, answers, waiting)
                if waiting:
                    await asyncio.wait(waiting.values())
        except TimeoutError:
            why = "no acknowledgement in time"
        except self._errors.Error as error:
            why = self._explained(error)
        finally:
            for place, future in waiting.items():
                if future.done() and not future.cancelled():
                    answers[place] = future.result()
                future.cancel()
            self._waiting.clear()
        taken = [place for place, one in answers.items() if one == TAKEN]
        refused = tuple((place, one.refused) for place, one in answers.items() if one.refused)
        if len(taken) + len(refused) == len(batch):
            return Delivered(refused=refused)
        self._silent = not answers  # a connection on which nothing is heard is not worth keeping
        why = next((one.unavailable for one in answers.values() if one.unavailable), why)
        raise Unavailable(why, taken=taken, refused=refused)

    async def close(self) -> None:
        """Let go of the connection; a server that does not read any more is not waited for."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(self._errors.Error, OSError):  # TimeoutError is one
                async with asyncio.timeout(_CLOSE_S):
                    await client.close()

    async def _publish(
        self,
        batch: Sequence[Item],
        answers: dict[int, Answer],
        waiting: dict[int, asyncio.Future[Answer]],
    ) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limit_s
        largest = self._client.max_payload
        for place, item in enumerate(batch):
            if loop.time() > end:  # the library has been seen to swallow a cancellation
                raise TimeoutError
            try:
                payload, headers = to_json(item.record), self._headers(item)
            except RecordError as error:
                answers[place] = Answer(refused=error.message)
                continue
            if len(payload) + _bytes_of(headers) > largest:
                answers[place] = Answer(refused=f"larger than the server takes: {largest} bytes")
                continue
            token = str(next(self._tokens))
            waiting[place] = self._waiting[token] = loop.create_future()
            await self._client.publish(
                self._subject(item.cell), payload, reply=f"{self._inbox}.{token}", headers=headers
            )

    async def _acknowledged(self, message: Any) -> None:  # noqa: ANN401 - of an optional library
        future = self._waiting.pop(message.subject.rpartition(".")[2], None)
        if future is not None and not future.done():
            future.set_result(answer_of(message.headers or {}, message.data))

    async def _lost(self) -> None:
        """The connection ended: nothing that was not acknowledged will be."""
        for future in self._waiting.values():
            future.cancel()

    async def _create(self, client: Any) -> None:  # noqa: ANN401 - of an optional library
        manager = client.jsm(timeout=self._limit_s)
        try:
            await manager.stream_info(self._settings.stream)
        except library("nats.js.errors", "nats").NotFoundError:
            pattern = self._settings.subject.replace("{route}", "*").replace("{model}", "*")
            await manager.add_stream(
                name=self._settings.stream, subjects=[pattern], max_age=CREATED_MAX_AGE_S
            )

    def _headers(self, item: Item) -> dict[str, str]:
        named = attributes(item.record, self._surroundings.source)
        headers = {f"ce-{name}": value for name, value in named.items()}
        headers |= {"content-type": JSON_TYPE, "Nats-Msg-Id": item.id}
        if self._settings.stream is not None:
            headers["Nats-Expected-Stream"] = self._settings.stream
        return headers

    def _subject(self, cell: CellKey) -> str:
        subject = self._subjects.get(cell)
        if subject is None:
            subject = self._subjects[cell] = subject_of(self._settings.subject, cell)
        return subject

    def _options(self) -> dict[str, Any]:
        """The arguments of `connect`. Blocking (files). Raises Unavailable."""
        settings, environ = self._settings, self._surroundings.environ
        options: dict[str, Any] = {
            "name": "model-sidecar",
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,  # also counts while connecting; the pump has the patience
            "reconnect_time_wait": 0.05,
            "connect_timeout": self._limit_s,
            "closed_cb": self._lost,
            "error_cb": _unheard,
        }
        if settings.username is not None:
            options["user"] = settings.username
            options["password"] = secret(
                "password", settings.password_file, settings.password_env, environ
            )
        token = secret("token", settings.token_file, settings.token_env, environ)
        if token is not None:
            options["token"] = token
        if settings.credentials_file is not None:
            options["user_credentials"] = settings.credentials_file
        if settings.tls is not None:
            options["tls"] = client_context(settings.tls)
        return options

    def _explained(self, error: BaseException) -> str:
        """Why the server is not available, in words without an address or a secret."""
        if isinstance(error, TimeoutError):
            return "no answer of the server in time"
        if "authorization" in str(error).lower():  # while connecting it has no class of its own
            return "the server refuses our credentials"
        if isinstance(error, OSError | self._errors.NoServersError):
            return "the server cannot be reached"
        return f"the server cannot be used: {type(error).__name__}"


def answer_of(headers: Mapping[str, str], data: bytes) -> Answer:
    """What an acknowledgement means (ADR-1 of NATS: JetStream API errors).

    A duplicate, which the stream has already, is taken.
    """
    if headers.get("Status") == _NO_RESPONDERS:
        return Answer(unavailable="no stream of JetStream takes this subject")
    try:
        error = orjson.loads(data).get("error")
    except (orjson.JSONDecodeError, AttributeError):
        return Answer(unavailable="an acknowledgement that is none")
    if error is None:
        return TAKEN
    said = f"{error.get('description')} ({error.get('err_code')})"
    if error.get("err_code") == _TOO_LARGE:
        return Answer(refused=f"the stream refuses it: {said}")
    return Answer(unavailable=f"the stream takes nothing: {said}")


def subject_of(template: str, cell: CellKey) -> str:
    """The subject of a cell's records; what has a meaning in subjects becomes `_` in names."""
    names = {"route": cell.route, "model": cell.model}
    for name, value in names.items():
        template = template.replace(f"{{{name}}}", _NOT_IN_TOKENS.sub("_", value))
    return template


def _bytes_of(headers: Mapping[str, str]) -> int:
    """As they count towards the server's `max_payload`."""
    lines = sum(len(name) + len(value.encode()) + _LINE_BYTES for name, value in headers.items())
    return _LEAST_HEADER_BYTES + lines


async def _unheard(_: Exception) -> None:
    """What goes wrong is told by outcomes."""


TAKEN: Final = Answer()
