"""One client connection: reads requests in order, one exchange at a time, never losing the place.

    idle --bytes--> reading a head --head--> in an exchange --answer--> idle
                         |                        |
                         +------ refusal ---------+--> lingering --> closed

While an exchange runs, what arrives is its body, or belongs to later requests and is held back
unparsed: at most `limits.buffer` bytes or `limits.pipelined_requests` heads, then reading pauses.
Reading goes on until then, because a paused transport would not tell that the client has left. A
client that half-closes has left: a sidecar that waited for more could not tell it from one that
died.

After a refusal of a request that may still be coming in, the answer is sent, our side is closed,
and the rest is read and discarded for `limits.linger`: closing at once would reset the connection
under the answer (RFC 9112 9.6). Any ambiguity ends the connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum
from math import inf
from time import perf_counter_ns
from typing import TYPE_CHECKING, cast

from sidecar.errors import ClientError, LocalError, SidecarError
from sidecar.proxy import answers
from sidecar.proxy.chunked import (
    ChunkedDecoder,
    ChunkedError,
    CountedBody,
    encode_chunks,
    encode_end,
)
from sidecar.proxy.exchange import Exchange
from sidecar.proxy.forwarding import Hop, request_id
from sidecar.proxy.head import RequestHead
from sidecar.proxy.refusals import (
    bare_line_end,
    body_too_large,
    has_bare_line_end,
    head_too_large,
    line_too_long,
    malformed_body,
    timed_out,
)

if TYPE_CHECKING:
    from sidecar.proxy.plane import Plane

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, zero seconds: close with RST


class _Wait(Enum):
    """What the deadline of a connection is for."""

    REQUEST = "the next request"
    HEAD = "the rest of a head"
    BODY = "more of a body"
    NOTHING = "nothing of the client"
    WRITING = "the client to take its answer"
    LINGER = "the end of a refused request"


class ClientConnection(asyncio.Protocol):
    """See the module's text."""

    __slots__ = (
        "_body",
        "_buffer",
        "_exchange",
        "_full",
        "_limits",
        "_paused",
        "_unwritten",
        "_wait",
        "buffer_bytes",
        "deadline",
        "hop",
        "plane",
        "transport",
    )

    def __init__(self, plane: Plane, *, tls: bool) -> None:
        self.plane = plane
        self.hop = plane.unknown_hop(tls=tls)
        self.transport: asyncio.Transport | None = None
        self.deadline = inf
        self._limits = plane.current.limits
        self.buffer_bytes = int(self._limits.buffer)
        self._wait = _Wait.REQUEST
        self._buffer = b""  # bytes not parsed yet
        self._exchange: Exchange | None = None
        self._body: CountedBody | ChunkedDecoder | None = None  # of the exchange, while it comes in
        self._full = False  # the client has not taken what was written
        self._paused = False
        self._unwritten = 0

    # -- the transport ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop registers no subclass
        self.transport.set_write_buffer_limits(high=self.buffer_bytes)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.hop = Hop(peer=str(peer[0]), tls=self.hop.proto == b"https")
        self._expect(_Wait.REQUEST, self._limits.idle_timeout)
        self.plane.clients.add(self)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            wait = self._wait
            if wait is _Wait.WRITING:
                self._hold_back(data)
            elif wait is not _Wait.LINGER:
                self._read_head(data)
        elif self._body is not None:
            self._read_body(self._exchange, self._body, data)
        else:
            self._hold_back(data)

    def eof_received(self) -> None:
        if self.transport is not None and self._wait is not _Wait.LINGER:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.deadline = inf
        self.plane.left(self)
        exchange = self._exchange
        if exchange is not None:
            self._exchange = None
            self.plane.in_flight -= 1
            exchange.client_gone()

    def pause_writing(self) -> None:
        self._full = True
        if self._exchange is not None:
            self._exchange.pause_answer(True)
        if self._wait is not _Wait.LINGER:
            self._expect_flush()

    def resume_writing(self) -> None:
        self._full = False
        if self._wait is _Wait.WRITING:
            self._expect_more()
        if self._exchange is not None:
            self._exchange.pause_answer(False)
        elif self._wait is _Wait.REQUEST:
            self._go_on()

    # -- heads -----------------------------------------------------------------------------------

    def _read_head(self, data: bytes) -> None:
        started_ns = perf_counter_ns()
        seen = len(self._buffer)
        if seen:
            data = self._buffer + data
            self._buffer = b""
            if self._wait is not _Wait.HEAD:
                seen = 0  # held back behind another request: nobody has looked at it
        if data[0] == 13:
            # RFC 9112 2.2: an empty line before a request line is ignored.
            data = data.removeprefix(b"\r\n")
            seen = 0
        # A head that trickles in is not searched again with every byte.
        end = data.find(b"\r\n\r\n", seen - 3 if seen > 3 else 0)
        if end < 0:
            self._await_head(data, seen)
            return
        end += 4
        plane = self.plane
        installed = plane.current
        limits = self._limits = installed.limits
        if end > limits.header_bytes:
            self._refuse_head(head_too_large(limits.header_bytes), data)
            return
        try:
            head = installed.requests.parse(data[:end])
        except ClientError as error:
            self._refuse_head(error, data)
            return
        if head.content_length > limits.body_bytes:
            refusal = body_too_large(limits.body_bytes)
            self._refuse_begun(refusal, head, request_id(head, plane.ids), complete=False)
            return
        head.client_address = self.hop.peer
        self._begin(head, data, end, started_ns)

    def _begin(self, head: RequestHead, data: bytes, end: int, started_ns: int) -> None:
        """A head is read: find out how much of its body is here, and start an exchange."""
        length = head.content_length
        if length > 0:
            body = data[end : end + length]
            self._buffer = data[end + length :]
            complete = len(body) == length
            if not complete:
                self._body = CountedBody(length - len(body))
        elif head.chunked:
            decoder = ChunkedDecoder()
            try:
                pieces, self._buffer = decoder.feed(data[end:])
            except ChunkedError as error:
                self._refuse_head(malformed_body(error), data)
                return
            if decoder.payload_bytes > self._limits.body_bytes:
                self._refuse_head(body_too_large(self._limits.body_bytes), data)
                return
            body = encode_chunks(pieces)
            complete = decoder.complete
            if complete:
                body += encode_end(decoder.trailers)
            else:
                self._body = decoder
        else:
            body = b""
            complete = True
            self._buffer = data[end:]
        if self._paused and not (complete and self._holds_enough(self._buffer)):
            self.hold(False)
        plane = self.plane
        installed = plane.current
        identity = request_id(head, plane.ids)
        try:
            if plane.in_flight >= self._limits.in_flight:
                raise LocalError("too many requests are in flight", code="overloaded")
            decision = installed.router.decide(head, plane.random)
        except SidecarError as error:
            self._refuse_begun(error, head, identity, complete=complete)
            return
        exchange = Exchange(
            self, head, decision, installed, request_id=identity, started_ns=started_ns
        )
        self._exchange = exchange
        plane.in_flight += 1
        if complete:
            self.deadline = inf
            self._wait = _Wait.NOTHING
        else:
            self._expect(_Wait.BODY, self._limits.body_timeout)
        exchange.start(body, complete=complete)

    def _await_head(self, data: bytes, seen: int) -> None:
        """A head is not complete yet: refuse it as soon as it cannot become valid.

        Its first `seen` bytes have been looked at before.
        """
        limits = self._limits
        if self._wait is not _Wait.HEAD and data:
            self._expect(_Wait.HEAD, limits.header_timeout)
        line_end = data.find(b"\r\n")
        if (line_end if line_end >= 0 else len(data)) > limits.request_line:
            self._refuse_head(line_too_long(limits.request_line), data)
        elif len(data) > limits.header_bytes:
            self._refuse_head(head_too_large(limits.header_bytes), data)
        elif has_bare_line_end(data[seen - (data[seen - 1] == 13) :] if seen else data):
            self._refuse_head(bare_line_end(), data)
        else:
            self._buffer = data
            self.hold(False)

    # -- bodies ----------------------------------------------------------------------------------

    def _read_body(
        self, exchange: Exchange, body: CountedBody | ChunkedDecoder, data: bytes
    ) -> None:
        """More of the running request's body, and perhaps what follows it."""
        try:
            pieces, self._buffer = body.feed(data)
        except ChunkedError as error:
            exchange.stalled(malformed_body(error))
            return
        if body.payload_bytes > self._limits.body_bytes:
            exchange.stalled(body_too_large(self._limits.body_bytes))
            return
        if body.complete:
            self._body = None
        if not self._full:  # else what runs is the time to take the answer, however much comes
            self._expect_more()
        if pieces or body.complete:
            exchange.body(pieces, complete=body.complete, trailers=body.trailers)

    def _hold_back(self, data: bytes) -> None:
        """Later requests wait unparsed; past the bounds reading stops until they are taken up."""
        self._buffer = held = self._buffer + data if self._buffer else data
        if self._holds_enough(held):
            self.hold(True)

    def _holds_enough(self, held: bytes) -> bool:
        return (
            len(held) > self.buffer_bytes
            or held.count(b"\r\n\r\n") >= self._limits.pipelined_requests
        )

    def hold(self, held: bool) -> None:
        """Stop or resume reading from the client."""
        if held == self._paused or self.transport is None or self.transport.is_closing():
            return
        self._paused = held
        if held:
            self.transport.pause_reading()
            if self._wait is _Wait.BODY:
                self.deadline = inf  # the model keeps the client waiting: its deadlines run
        else:
            self.transport.resume_reading()
            if self._wait is _Wait.BODY:
                self._expect(_Wait.BODY, self._limits.body_timeout)

    # -- answers ---------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes of an answer; silently nothing once the client has left."""
        transport = self.transport
        # Writing to a closing transport would raise later, in a callback that is not ours.
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def done(self, exchange: Exchange) -> None:
        """The answer is complete: on to the next request, or close."""
        self._exchange = None
        self.plane.in_flight -= 1
        if exchange.close:
            if not exchange.complete:
                exchange.skip_mirrors()
            # In a drain it is we who close: the client may just have sent its next request.
            self._finish(lingering=not exchange.complete or self.plane.draining)
            return
        self._await_next()

    def _await_next(self) -> None:
        """Ready for the next request, unless the client has yet to take its answer."""
        if self._full:
            # The next answer would come on top of what the client has not taken yet: it waits.
            self._expect_flush()
            return
        self._expect(_Wait.REQUEST, self._limits.idle_timeout)
        if self._paused or self._buffer:
            self._go_on()

    def _go_on(self) -> None:
        """Read the next request: what was held back first, and only then more from the client."""
        if self._buffer:
            self.plane.soon(self._next)
        elif self._paused:
            self.hold(False)

    def _next(self) -> None:
        """Go on with what was held back."""
        if (
            self._exchange is None
            and self._buffer
            and not self._full
            and self.transport is not None
        ):
            data, self._buffer = self._buffer, b""
            self._read_head(data)

    def refuse(self, error: SidecarError, exchange: Exchange) -> None:
        """Answer a running exchange with an error of our own."""
        close = exchange.close or not exchange.complete or self.plane.draining
        exchange.close = close
        self._answer(error, exchange.request_id, head_request=exchange.head_request, close=close)
        self.done(exchange)

    def _refuse_begun(
        self, error: SidecarError, head: RequestHead, identity: bytes, *, complete: bool
    ) -> None:
        """Answer a request that no model gets."""
        close = head.close or not complete or self.plane.draining
        self._answer(error, identity, head_request=head.method == b"HEAD", close=close)
        if close:
            self._finish(lingering=not complete or self.plane.draining)
        else:
            self._await_next()

    def _refuse_head(self, error: SidecarError, data: bytes) -> None:
        """Answer what is not a request we understand; the connection ends here."""
        identity = self.plane.ids.uuid7()
        self._answer(error, identity, head_request=data[:5] == b"HEAD ", close=True)
        self._finish(lingering=True)

    def _answer(
        self, error: SidecarError, identity: bytes, *, head_request: bool, close: bool
    ) -> None:
        self.plane.originated(error.status)
        self.write(
            answers.render(error, request_id=identity, head_request=head_request, close=close)
        )

    def break_off(self, exchange: Exchange) -> None:
        """The answer cannot be completed: reset, so that nobody takes it for complete."""
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()
        self._exchange = None
        self.plane.in_flight -= 1
        if not exchange.complete:
            exchange.skip_mirrors()

    def leave(self) -> bytes:
        """Give the connection away to a tunnel; returns what the client already sent for it."""
        self.hold(False)
        self._exchange = None
        self.plane.in_flight -= 1
        self.deadline = inf
        early, self._buffer = self._buffer, b""
        return early

    def _finish(self, *, lingering: bool) -> None:
        """Close once everything is written; `lingering` when the client may still be sending."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._body = None
        if not (lingering or self._buffer or self._paused):
            self._expect_flush()
            transport.close()
            return
        self._buffer = b""
        self._unwritten = transport.get_write_buffer_size()
        self._expect(_Wait.LINGER, self._limits.linger)
        if self._paused:
            self._paused = False
            transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()

    # -- deadlines -------------------------------------------------------------------------------

    def _expect(self, wait: _Wait, seconds: float) -> None:
        self._wait = wait
        self.deadline = self.plane.now() + seconds

    def _expect_flush(self) -> None:
        if self.transport is not None:
            self._unwritten = self.transport.get_write_buffer_size()
        self._expect(_Wait.WRITING, self._limits.write_timeout)

    def _expect_more(self) -> None:
        if self._exchange is None:
            self._expect(_Wait.REQUEST, self._limits.idle_timeout)
        elif self._body is not None:
            self._expect(_Wait.BODY, inf if self._paused else self._limits.body_timeout)
        else:
            self._expect(_Wait.NOTHING, inf)

    def expire(self) -> None:
        """The deadline has passed."""
        wait = self._wait
        transport = self.transport
        self.deadline = inf
        if transport is None:
            return
        if wait is _Wait.HEAD:
            self._refuse_head(timed_out("the request head"), self._buffer)
        elif wait is _Wait.BODY and self._exchange is not None:
            self._exchange.stalled(timed_out("the request body"))
        elif wait not in (_Wait.WRITING, _Wait.LINGER):
            self._expect_flush()  # it may have left some of its last answer unread
            transport.close()
        elif transport.get_write_buffer_size() < self._unwritten:
            # It takes its answer, slowly: that is its right.
            self._unwritten = transport.get_write_buffer_size()
            self._expect(wait, self._limits.write_timeout)
        else:
            transport.abort()

    @property
    def idle(self) -> bool:
        """Between requests, with nothing read of the next."""
        return self._exchange is None and not self._buffer and self._wait is _Wait.REQUEST
