"""Sends failed predictions to a model again: straight to its own URL.

Not through the proxy's listener: a replay is nobody's live traffic, so it is in no latency, no
error rate and no split, and nobody mirrors or records it. The request is the one the client sent,
as far as it was kept: method, path, query, body, and header fields but those of the old
connection. Added are

    X-Sidecar-Replay   the id of the job: by it a model can tell a replay, also one sent twice
    X-Request-Id       as it was

The answer is read whole, its secrets are hidden as in any answer, and its beginning is kept.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from sidecar.config.addresses import Endpoint, parse_endpoint
from sidecar.config.settings import ModelSettings, UpstreamTls
from sidecar.delivery.dead_letters.jobs import Fate, Outcome
from sidecar.delivery.dead_letters.letters import Answer, Content
from sidecar.delivery.dead_letters.targets import OutOfReach
from sidecar.payload import Body
from sidecar.records import Captured, Record, Redactor
from sidecar.records.redaction import LONGEST_PARSED_BYTES

KEPT_ANSWER_BYTES: Final = 64 * 1024
"""What is kept of an answer's body."""

LONGEST_CONTENT_TYPE: Final = 200

REPLAY_HEADER: Final = "X-Sidecar-Replay"

# RFC 9110 7.6.1: these belong to a connection. The others are made anew for this one, or would
# send the request somewhere else.
_NOT_SENT: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
        "upgrade", "content-length", "expect", "host", "x-request-id", "x-sidecar-model",
        "x-sidecar-replay", "x-sidecar-shadow",
    }
)  # fmt: skip

# aiohttp would add its own; the client's are sent, or none.
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

TlsContexts = Callable[[UpstreamTls], ssl.SSLContext]
"""Makes the TLS context towards a model. Blocking. Raises OSError."""

Redactors = Callable[[str], Redactor]
"""What hides the secrets in the answers of a route."""


class ModelTarget:
    """One model, at its endpoints in turn, for one job. `timeout_s` is for a letter, `wall_ns` is
    the wall clock.
    """

    def __init__(
        self,
        model: str,
        settings: ModelSettings,
        *,
        job_id: str,
        timeout_s: float,
        tls: TlsContexts,
        redactors: Redactors,
        wall_ns: Callable[[], int],
    ) -> None:
        self.name = f"model {model}"
        self._model = model
        self._settings = settings
        self._job_id = job_id
        self._timeout_s = timeout_s
        self._tls = tls
        self._redactors = redactors
        self._wall_ns = wall_ns
        self._endpoints = [parse_endpoint(url) for url in settings.endpoints]
        self._sessions: dict[int, aiohttp.ClientSession] = {}
        self._turn = 0

    async def send(self, letters: Sequence[Content]) -> list[Outcome]:
        """Send them one by one. Raises OutOfReach."""
        outcomes: list[Outcome] = []
        for one in letters:
            try:
                outcomes.append(await self._send(one))
            except OutOfReach as error:
                raise OutOfReach(error.reason, settled=outcomes) from None
        return outcomes

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _send(self, letter: Content) -> Outcome:
        letter_id = letter.letter.id
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._exchange(letter)
        except TimeoutError:
            return _failed(letter_id, f"no answer within {self._timeout_s:g} s")
        except aiohttp.ClientConnectorCertificateError:
            raise OutOfReach("its TLS certificate is not trusted") from None
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or type(error.os_error).__name__
            raise OutOfReach(f"cannot connect: {reason}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failed(letter_id, f"the exchange broke off: {type(error).__name__}")
        if 200 <= answer.status < 300:
            return Outcome(letter=letter_id, fate=Fate.REPLAYED, answer=answer)
        return _failed(letter_id, f"answered {answer.status}", answer)

    async def _exchange(self, letter: Content) -> Answer:
        record = letter.record
        captured = None if record is None else record.captured
        if record is None or captured is None:
            raise ValueError("nothing to send")  # such letters are refused before
        endpoint, session = await self._next_session()
        async with session.request(
            record.method,
            _url(endpoint, record, captured),
            data=captured.request_body,
            headers=_headers(record, captured, self._job_id),
            skip_auto_headers=_NOT_ADDED,
            allow_redirects=False,
            server_hostname=self._settings.tls.server_name if endpoint.tls else None,
        ) as response:
            held, size = bytearray(), 0
            async for part in response.content.iter_any():
                held += part[: LONGEST_PARSED_BYTES - len(held)]
                size += len(part)
        content_type = response.headers.get("Content-Type", "")
        body = Body(
            bytes(held),
            record.path.encode("latin-1", "replace"),
            content_type.encode("latin-1", "replace"),
            response.headers.get("Content-Encoding", "").encode("latin-1", "replace"),
        )
        kept = self._redactors(record.route).response_body(
            body, KEPT_ANSWER_BYTES, length=size if size > len(held) else None
        )
        return Answer(
            at_ns=self._wall_ns(),
            model=self._model,
            status=response.status,
            content_type=content_type[:LONGEST_CONTENT_TYPE],
            body=kept.data or b"",
            cut=kept.cut,
            withheld=kept.withheld,
        )

    async def _next_session(self) -> tuple[Endpoint, aiohttp.ClientSession]:
        number = self._turn % len(self._endpoints)
        self._turn += 1
        endpoint = self._endpoints[number]
        if number not in self._sessions:
            context = (
                await asyncio.to_thread(self._tls, self._settings.tls) if endpoint.tls else None
            )
            if number not in self._sessions:  # another letter may have been faster
                self._sessions[number] = self._session(endpoint, context)
        return endpoint, self._sessions[number]

    def _session(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> aiohttp.ClientSession:
        connector: aiohttp.BaseConnector
        if endpoint.address.path:
            connector = aiohttp.UnixConnector(endpoint.address.path)
        else:
            connector = aiohttp.TCPConnector(ssl=context if context is not None else True)
        return aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=float(self._settings.timeouts.connect)
            ),
        )


def _url(endpoint: Endpoint, record: Record, captured: Captured) -> URL:
    """The target as the client wrote it: nothing of it is quoted again or tidied up."""
    address = endpoint.address
    return URL.build(
        scheme="https" if endpoint.tls else "http",
        host=address.host or "localhost",
        port=address.port or None,
        path=_wire_text(record.path),
        query_string=_wire_text(captured.query or ""),
        encoded=True,
    )


def _headers(record: Record, captured: Captured, job_id: str) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    spelled: dict[str, str] = {}
    for name, value in captured.request_headers:
        if name.lower() not in _NOT_SENT:
            # aiohttp takes a field that is spelled differently for one that replaces the first.
            headers.add(spelled.setdefault(name.lower(), name), _wire_text(value))
    headers["X-Request-Id"] = _wire_text(record.request_id)
    headers[REPLAY_HEADER] = job_id
    return headers


def _wire_text(text: str) -> str:
    """A text of a record (bytes as Latin-1) so that aiohttp, which writes UTF-8, sends the same."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text  # other bytes than UTF-8: these few arrive as two for one


def _failed(letter_id: int, note: str, answer: Answer | None = None) -> Outcome:
    return Outcome(letter=letter_id, fate=Fate.FAILED_AGAIN, note=note, answer=answer)
