"""One connection to a model: sends a request, reads its answer, knows whether it may be reused.

What is served is a `Call` (an exchange with a client, or a copy to a shadow). An answer that
arrives in one read, as small predictions do, is handed over by one call to `answered`; anything
else comes as `begin`, `piece`s and `end`. A connection is reused only when both messages ended
exactly where they should; every doubt closes it. Deadlines are attributes that the worker's tick
compares with the clock: armed as timers, they would cost every request 0.7 us apiece.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Protocol

from sidecar.errors import UpstreamError
from sidecar.proxy.chunked import ChunkedDecoder, ChunkedError
from sidecar.proxy.head import ResponseHead, broken_response

if TYPE_CHECKING:
    from sidecar.proxy.endpoint import Endpoint

MAX_HEAD_BYTES = 128 * 1024  # of a model's answer; beyond it the answer is broken
MAX_INTERIM_ANSWERS = 16  # 1xx heads before the final one


class Call(Protocol):
    """Whoever waits for a model's answer."""

    def connected(self, connection: UpstreamConnection) -> None:
        """A connection is free for this call; it must `open` it now, or `abort` it."""

    def answered(self, head: ResponseHead, body: bytes) -> None:
        """The whole answer at once."""

    def interim(self, head: ResponseHead) -> None:
        """A 1xx answer other than 101."""

    def begin(self, head: ResponseHead) -> None:
        """The head of an answer whose body follows."""

    def piece(self, data: bytes) -> None:
        """Some of the body: one chunk, or a part of one, when the model sends chunks."""

    def end(self, trailers: list[bytes]) -> None:
        """The answer is complete."""

    def switched(self, head: ResponseHead, connection: UpstreamConnection, excess: bytes) -> None:
        """The model changed protocols; the connection now belongs to the call."""

    def failed(self, error: UpstreamError) -> None:
        """There will be no (further) answer."""

    def upstream_full(self, full: bool) -> None:
        """The model takes no more of the request for now, or takes it again."""


class UpstreamConnection(asyncio.Protocol):
    """See the module's text. States: idle (`_call` is None), awaiting a head, inside a body."""

    __slots__ = (
        "_buffer",
        "_call",
        "_decoder",
        "_full",
        "_head",
        "_interims",
        "_left",
        "_method",
        "_paused",
        "_request_complete",
        "_total_deadline",
        "deadline",
        "endpoint",
        "idle_since",
        "transport",
        "used",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.transport: asyncio.Transport | None = None
        self.deadline = inf
        self.idle_since = 0.0
        self.used = False  # it has carried a request before
        self._call: Call | None = None
        self._buffer = b""
        self._head: ResponseHead | None = None
        self._method = b""
        self._decoder: ChunkedDecoder | None = None
        self._left = 0
        self._interims = 0
        self._request_complete = True
        self._full = False  # the model has not taken what was written
        self._paused = False  # we do not read, at the wish of the call
        self._total_deadline = inf

    @property
    def busy(self) -> bool:
        """A call waits for it."""
        return self._call is not None

    # -- what a call does ------------------------------------------------------------------------

    def open(self, call: Call, data: bytes, *, method: bytes, complete: bool) -> None:
        """Begin a request; `data` is its head and as much of its body as there is."""
        self._call = call
        self._method = method
        self._request_complete = complete
        endpoint = self.endpoint
        now = endpoint.now()
        self._total_deadline = now + endpoint.total_s
        self.deadline = now + (endpoint.first_byte_s if complete else endpoint.idle_s)
        self.transport.write(data)  # type: ignore[union-attr]  # an open connection has one

    def write(self, data: bytes, *, complete: bool) -> None:
        """Send more of the request's body."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return  # connection_lost is on its way and tells the call
        self._request_complete = complete
        self._extend(self.endpoint.first_byte_s if complete else self.endpoint.idle_s)
        if data:
            transport.write(data)

    def pause(self) -> None:
        """Read no more of the answer: the client does not keep up. Only the total deadline runs."""
        self.deadline = self._total_deadline
        if self.transport is not None and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused and self.transport is not None and not self.transport.is_closing():
            self._paused = False
            waits_for_head = self._head is None and self._request_complete
            endpoint = self.endpoint
            self._extend(endpoint.first_byte_s if waits_for_head else endpoint.idle_s)
            self.transport.resume_reading()

    def abort(self) -> None:
        """The call is over: close at once, tell nobody."""
        self._call = None
        self._close()

    def _extend(self, seconds: float) -> None:
        self.deadline = min(self.endpoint.now() + seconds, self._total_deadline)

    # -- what the transport does -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._read_body(data)
            return
        call = self._call
        if call is None:
            self._close()  # an idle connection has nothing to say (RFC 9112 9.2)
            return
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._incomplete_head(data)
            return
        end += 4
        try:
            head = self.endpoint.responses.parse(data[:end], head_request=self._method == b"HEAD")
        except UpstreamError as error:
            self._fail(error)
            return
        self._buffer = b""
        if head.status < 200 or (self._method == b"CONNECT" and head.status < 300):
            self._interim(call, head, data[end:])
            return
        length = 0 if head.bodiless else head.content_length
        # The usual answer: all of it is here, and nothing else.
        if length == len(data) - end and not head.chunked:
            self._call = None
            self._release(head)
            call.answered(head, data[end:])
            return
        self._begin(call, head, length, data[end:])

    def _incomplete_head(self, data: bytes) -> None:
        if len(data) > MAX_HEAD_BYTES:
            self._fail(broken_response("its head is too large"))
        elif data.find(b"\n\n") >= 0 or not b"HTTP/1.".startswith(data[:7]):
            self._fail(broken_response("it is not HTTP/1.1 or HTTP/1.0"))
        else:
            self._buffer = data

    def _interim(self, call: Call, head: ResponseHead, rest: bytes) -> None:
        if head.status == 101 or head.status >= 200:
            self._call = None
            self.deadline = inf
            self.endpoint.succeeded()
            self.endpoint.give_away(self)
            call.switched(head, self, rest)
            return
        self._interims += 1
        if self._interims > MAX_INTERIM_ANSWERS:
            self._fail(broken_response("too many interim answers"))
            return
        call.interim(head)
        if rest and self._call is call:
            self.data_received(rest)

    def _begin(self, call: Call, head: ResponseHead, length: int, rest: bytes) -> None:
        self._head = head
        self._left = length
        self._decoder = ChunkedDecoder() if head.chunked else None
        self._extend(self.endpoint.idle_s)
        call.begin(head)
        if self._call is not call:
            return  # the call gave up on seeing the head
        if rest or length == 0:
            self._read_body(rest)

    def _read_body(self, data: bytes) -> None:
        call = self._call
        if call is None:
            self._close()
            return
        self._extend(self.endpoint.idle_s)
        decoder = self._decoder
        if decoder is not None:
            try:
                pieces, excess = decoder.feed(data)
            except ChunkedError as error:
                self._fail(broken_response(str(error)))
                return
            for piece in pieces:
                call.piece(piece)
                if self._call is not call:
                    return
            if decoder.complete:
                self._end(call, decoder.trailers, excess)
            return
        left = self._left
        if left < 0:
            call.piece(data)
            return
        if len(data) < left:
            self._left = left - len(data)
            call.piece(data)
            return
        if left:
            call.piece(data if len(data) == left else data[:left])
        if self._call is call:
            self._end(call, [], data[left:])

    def _end(self, call: Call, trailers: list[bytes], excess: bytes) -> None:
        head = self._head
        if self._paused:
            self.resume()  # the end was in the same read that the pause came of
        self._call = self._head = self._decoder = None
        if head is None or excess:
            self._close()  # bytes behind an answer belong to nobody: never reuse (RFC 9112 9.2)
        else:
            self._release(head)
        call.end(trailers)

    def _release(self, head: ResponseHead) -> None:
        """Keep the connection for the next call, if both messages ended cleanly."""
        self._interims = 0
        if head.close or not self._request_complete or self._full:
            self.endpoint.succeeded()
            self._close()
            return
        self.used = True
        self.deadline = inf
        self.endpoint.release(self, head.keep_alive_s)

    def eof_received(self) -> None:
        """A clean end completes only an answer that is delimited by it (RFC 9112 8)."""
        call = self._call
        if call is not None and self._head is not None and self._left < 0 and self._decoder is None:
            self._call = self._head = None
            self.endpoint.succeeded()
            self._close()
            call.end([])

    def connection_lost(self, exc: Exception | None) -> None:
        idle = self._call is None
        began = self._head is not None or bool(self._buffer) or self._interims > 0
        self.transport = None
        self.endpoint.lost(self, idle=idle, began=began)
        if not idle:
            if began or not self.used:
                # Else the request may just have met a connection at the end of its idle time.
                self.endpoint.failed()
            self._tell(
                UpstreamError(
                    "the model closed the connection "
                    + ("inside its answer" if began else "before answering"),
                    code="upstream_closed",
                    unanswered=not began,
                )
            )

    def pause_writing(self) -> None:
        self._full = True
        if self._call is not None:
            self._call.upstream_full(True)

    def resume_writing(self) -> None:
        self._full = False
        if self._call is not None:
            self._call.upstream_full(False)

    # -- ends ------------------------------------------------------------------------------------

    def expire(self) -> None:
        """The deadline has passed."""
        if self._head is not None:
            what = "fell silent inside its answer"
        elif not self._request_complete:
            if self.transport is not None and not self.transport.get_write_buffer_size():
                # Everything there is was taken: it is the client that is silent, at its own risk.
                self._extend(self.endpoint.idle_s)
                if self.deadline < self._total_deadline:
                    return
            what = "stopped taking the request"
        else:
            what = "did not answer in time"
        self._fail(UpstreamError(f"the model {what}", code="upstream_timeout", status=504))

    def give_up(self, error: UpstreamError) -> None:
        """Close, and tell the call why; at nobody's fault."""
        self._close()
        self._tell(error)

    def _fail(self, error: UpstreamError) -> None:
        self._close()
        if self._call is not None:
            self.endpoint.failed()
        self._tell(error)

    def _tell(self, error: UpstreamError) -> None:
        call = self._call
        self._call = self._head = self._decoder = None
        if call is not None:
            call.failed(error)

    def _close(self) -> None:
        self.deadline = inf
        self.endpoint.forget(self)
        if self.transport is not None:
            self.transport.abort()
