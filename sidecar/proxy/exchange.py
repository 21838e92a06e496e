"""One request and its answer: reach a model, carry bytes both ways, survive what can be, count it.

The rules that must never break:
- A request goes out again only when no byte of it reached a model, or when it is idempotent and its
  connection ended before any byte of an answer (RFC 9110 9.2.2); never after an answer has begun.
- A canary that cannot be reached is answered for by the primary, and counted as the canary's
  `fallback`.
- An answer that breaks off is broken off towards the client too: it never ends cleanly.
- Every exchange is counted exactly once, in the cell of the model it was assigned to.

What passes in an exchange of a watched model is given to the monitor when it is over, by reference,
as said by the model that answered. Every exchange that was counted is entered into the logbook,
which gets the same value.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from sidecar.board import CellCounter
from sidecar.errors import SidecarError, UpstreamError
from sidecar.monitor import Capture, Ended, Request, Ticket
from sidecar.proxy.chunked import ChunkedDecoder, encode_chunks, encode_end
from sidecar.proxy.fields import tokens
from sidecar.proxy.forwarding import (
    client_head,
    interim_head,
    switching_head,
    trace_at,
    upstream_head,
)
from sidecar.proxy.head import RequestHead, ResponseHead
from sidecar.proxy.pool import Pool
from sidecar.proxy.tunnel import join
from sidecar.proxy.upstream import UpstreamConnection
from sidecar.routing import Decision, Target

if TYPE_CHECKING:
    from sidecar.proxy.client import ClientConnection
    from sidecar.proxy.plane import Installed

_KEEP_ALIVE = b"Connection: keep-alive\r\n"
_CLOSE = b"Connection: close\r\n"


class Exchange:
    """Between one client connection and whichever upstream connection serves it now."""

    __slots__ = (
        "_answer_bytes",
        "_answer_head",
        "_attempts_left",
        "_begun",
        "_capture",
        "_chunked_answer",
        "_client",
        "_connection",
        "_decision",
        "_first_ns",
        "_head",
        "_head_bytes",
        "_installed",
        "_keep_bytes",
        "_pool",
        "_request",
        "_request_bytes",
        "_retrying",
        "_sent_ns",
        "_started_ns",
        "_status",
        "_target",
        "_ticket",
        "_upstream_ns",
        "_wire",
        "_wire_bytes",
        "close",
        "complete",
        "request_id",
    )

    def __init__(
        self,
        client: ClientConnection,
        head: RequestHead,
        decision: Decision,
        installed: Installed,
        *,
        request_id: bytes,
        started_ns: int,
    ) -> None:
        self._client = client
        self._head = head
        self._decision = decision
        self._installed = installed
        self._target: Target = decision.target
        self._pool: Pool = installed.pools[decision.target.model]
        self._connection: UpstreamConnection | None = None
        self._attempts_left = self._pool.settings.retry.attempts
        self._retrying = False
        self._begun = False
        self._chunked_answer = False
        self._status = 0
        self._started_ns = started_ns
        self._sent_ns = 0
        self._first_ns = 0
        self._upstream_ns = 0
        self._head_bytes = 0
        self._keep_bytes = 0
        # What was or will be sent, while it may be needed again.
        self._wire: list[bytes] | None = None
        self._wire_bytes = 0
        self._request_bytes = 0
        self._answer_bytes = 0
        self._answer_head = b""
        self._request: Request | None = None  # for monitor and logbook, once it is complete
        self._capture: Capture | None = None  # of bodies that come in pieces, when wanted
        self._ticket: Ticket | None = None  # what its copies are compared by
        self.complete = False  # the client's request has arrived whole
        self.close = head.close  # the client's connection ends with this answer
        self.request_id = request_id

    @property
    def head_request(self) -> bool:
        """The answer has no body (RFC 9110 9.3.2)."""
        return self._head.method == b"HEAD"

    # -- the request -----------------------------------------------------------------------------

    def start(self, body: bytes, *, complete: bool) -> None:
        """Send the head and what there is of the body, framed as it goes to the model."""
        client = self._client
        head = upstream_head(
            self._head,
            client.hop,
            request_id=self.request_id,
            default_host=self._pool.authority,
            ids=client.plane.ids,
        )
        self._head_bytes = len(head)
        self._wire = [head + body] if body else [head]
        self._request_bytes = len(body)
        self.complete = complete
        shadows = self._decision.shadows
        if not complete:
            self._plan_keeping()
            self._begin_capture(head, body)
        self._pool.acquire(self)
        if complete and shadows:
            self._mirror()

    def _plan_keeping(self) -> None:
        """How much of a streamed body is kept, for a retry or for shadows."""
        keep = self._pool.settings.retry.body_bytes if self._head.idempotent else 0
        for shadow in self._decision.shadows:
            keep = max(
                keep, self._installed.mirrors[self._decision.route.name][shadow.index].max_body
            )
        self._keep_bytes = keep
        self._wire_bytes = 0 if self._wire is None else sum(map(len, self._wire)) - self._head_bytes

    def _begin_capture(self, head: bytes, body: bytes) -> None:
        """Keep the body for monitor and logbook, if they may want it: `_wire` is given up early."""
        plane, decision = self._client.plane, self._decision
        monitor, logbook = plane.monitor, plane.logbook
        if (
            monitor.watchers[decision.target.cell] is None
            and (decision.fallback is None or monitor.watchers[decision.fallback.cell] is None)
            and (logbook is None or not logbook.keeps_bodies(decision.target.cell))
        ):
            return
        self._capture = capture = monitor.capture()
        request = capture.begin_request(head)
        for piece in ChunkedDecoder().feed(body)[0] if self._head.chunked else (body,):
            request.add(piece)

    def body(self, pieces: list[bytes], *, complete: bool, trailers: list[bytes]) -> None:
        """More of the client's body, decoded."""
        if self._head.chunked:
            data = encode_chunks(pieces)
            if complete:
                data += encode_end(trailers)
        else:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.complete = complete
        self._request_bytes += len(data)
        if self._capture is not None and self._capture.request is not None:
            for piece in pieces:
                self._capture.request.add(piece)
        connection = self._connection
        if self._wire is not None:
            self._wire.append(data)
            self._wire_bytes += len(data)
            if connection is None:
                if self._wire_bytes > self._client.buffer_bytes:
                    self._client.hold(True)
            elif self._wire_bytes > self._keep_bytes:
                self._wire = None
        if connection is not None:
            connection.write(data, complete=complete)
        if complete and self._decision.shadows:
            self._mirror()

    def _mirror(self) -> None:
        """Give each sampled shadow its copy of the complete request."""
        head = self._head
        if head.upgrade is not None or head.method == b"CONNECT":
            return
        mirrors = self._installed.mirrors[self._decision.route.name]
        wire = self._wire
        data = None if wire is None else wire[0] if len(wire) == 1 else b"".join(wire)
        request = ticket = None
        plane = self._client.plane
        for shadow in self._decision.shadows:
            mirror = mirrors[shadow.index]
            if data is not None:
                watched = mirror.watched
                if request is None and (watched or plane.logbook is not None):
                    request = self._request = self._sent(data)
                if ticket is None and watched and request is not None and request.has_body:
                    watcher = plane.monitor.watchers[self._target.cell]
                    ticket = self._ticket = Ticket(
                        request, None if watcher is None else watcher.bodies
                    )
            mirror.offer(data, self._head_bytes, head, request, ticket, self._target.model)

    def skip_mirrors(self) -> None:
        """It is over and its request never was complete: the shadows get nothing."""
        mirrors = self._installed.mirrors[self._decision.route.name]
        for shadow in self._decision.shadows:
            mirrors[shadow.index].skip_incomplete()

    # -- the upstream connection speaks (see `upstream.Call`) ------------------------------------

    def connected(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        wire = self._wire
        # It is dropped only once it was sent, and then no other connection is asked for.
        assert wire is not None  # noqa: S101  # for the type checker
        if len(wire) > 1:
            wire = self._wire = [b"".join(wire)]
            self._client.hold(False)
        if not self.complete and self._wire_bytes > self._keep_bytes:
            self._wire = None
        self._sent_ns = perf_counter_ns()
        connection.open(self, wire[0], method=self._head.method, complete=self.complete)

    def answered(self, head: ResponseHead, body: bytes) -> None:
        first = perf_counter_ns()
        self._connection = None
        client = self._client
        data = client_head(
            head,
            self._pool.model_line,
            self.request_id,
            chunked=False,
            connection=self._connection_field(),
        )
        client.write(data + body if body else data)
        now = perf_counter_ns()
        total = now - self._started_ns
        upstream = first - self._sent_ns
        first_ns = first - self._started_ns
        counter = head.status // 100 - 1
        self._answer_bytes = len(body)
        if self._target is self._decision.target:
            client.plane.recorder.record(
                self._target.cell, counter, total, upstream, first_ns, total - upstream
            )
        else:
            counter, total, upstream, first_ns = self._record(CellCounter.FALLBACK)
        self._hand_over(counter, head.status, head.kept, body, total, upstream, first_ns)
        client.done(self)

    def _connection_field(self) -> bytes:
        """The answer's Connection field; decides whether the client's connection ends with it."""
        client = self._client
        if self.close or client.plane.draining or not self.complete:
            self.close = True
            return _CLOSE
        return b"" if self._head.minor else _KEEP_ALIVE

    def interim(self, head: ResponseHead) -> None:
        if self._head.minor:  # RFC 9110 15.2: HTTP/1.0 knows no interim answers
            self._client.write(interim_head(head))

    def begin(self, head: ResponseHead) -> None:
        self._first_ns = self._upstream_ns = perf_counter_ns()
        self._begun = True
        self._status = head.status
        if head.content_length < 0 and not head.bodiless:
            if self._head.minor:
                self._chunked_answer = True
            else:
                self.close = True  # RFC 9112 6.3: only its end can delimit it for HTTP/1.0
        self._client.write(
            client_head(
                head,
                self._pool.model_line,
                self.request_id,
                chunked=self._chunked_answer,
                connection=self._connection_field(),
            )
        )

        plane = self._client.plane
        monitor, logbook = plane.monitor, plane.logbook
        watcher = monitor.watchers[self._target.cell]
        self._answer_head = head.kept
        wanted = logbook is not None and logbook.keeps_bodies(self._decision.target.cell)
        if self._capture is None and (watcher is not None or wanted):
            self._capture = monitor.capture()
        if watcher is not None and self._capture is not None:
            monitor.begin_answer(self._capture, watcher, head.kept, self._started_ns)

    def piece(self, data: bytes) -> None:
        self._answer_bytes += len(data)
        if self._capture is not None:
            self._capture.take_answer(data)
        if self._chunked_answer:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._client.write(data)

    def end(self, trailers: list[bytes]) -> None:
        self._upstream_ns = perf_counter_ns()
        self._connection = None
        if self._chunked_answer:
            self._client.write(encode_end(trailers))
        self._count(CellCounter(self._status // 100 - 1))
        self._client.done(self)

    def switched(self, head: ResponseHead, connection: UpstreamConnection, excess: bytes) -> None:
        self._connection = None
        if not self._asked_for(head):
            connection.abort()
            self.failed(UpstreamError("the model opened a tunnel unasked", code="upstream_broken"))
            return
        self._first_ns = self._upstream_ns = perf_counter_ns()
        self._client.write(switching_head(head, self._pool.model_line, self.request_id) + excess)
        self._status = head.status
        counter, total_ns, upstream_ns, first_ns = self._record(CellCounter(head.status // 100 - 1))
        self._hand_over(counter, head.status, head.kept, b"", total_ns, upstream_ns, first_ns)
        join(
            self._client,
            connection,
            idle_s=self._pool.settings.timeouts.idle,
            early=self._client.leave(),
        )

    def _asked_for(self, head: ResponseHead) -> bool:
        """Whether the protocol changed to is one the client asked for (RFC 9110 7.8).

        A model that agrees to CONNECT would leave the client a raw connection past routes, limits
        and counting, and many a catch-all application agrees to anything: no tunnel is opened.
        """
        if head.status != 101:
            return False
        given = tokens(head.upgrade or b"")
        return bool(given) and set(given) <= set(tokens(self._head.upgrade or b""))

    def upstream_full(self, full: bool) -> None:
        self._client.hold(full)

    # -- failures --------------------------------------------------------------------------------

    def failed(self, error: UpstreamError) -> None:
        self._connection = None
        if self._begun:
            self._count(CellCounter.ERROR, error.code)
            self._client.break_off(self)
        elif self._may_retry(error):
            self._attempts_left -= 1
            client = self._client
            client.plane.recorder.count(self._decision.target.cell, CellCounter.RETRIES)
            client.hold(False)  # the connection that was full is gone
            self._pool.acquire(self, fresh=True)
        elif error.unsent and self._decision.fallback is not None and self._wire is not None:
            if self._target is self._decision.target:
                self._target = self._decision.fallback
                self._pool = self._installed.pools[self._target.model]
                self._attempts_left = self._pool.settings.retry.attempts
                self._pool.acquire(self)
            else:
                self._give_up(error)
        else:
            self._give_up(error)

    def _may_retry(self, error: UpstreamError) -> bool:
        if self._attempts_left <= 0 or self._wire is None or error.status != 502:
            return False
        return error.unsent or (error.unanswered and self._head.idempotent)

    def _give_up(self, error: SidecarError) -> None:
        self._count(CellCounter.ERROR, error.code)
        self._client.refuse(error, self)

    def client_gone(self) -> None:
        """Nobody waits any more: the model's connection is closed at once."""
        if self._connection is not None:
            self._connection.abort()
        else:
            self._pool.withdraw(self)
        self._count(CellCounter.ABORTED)
        if not self.complete:
            self.skip_mirrors()

    def stalled(self, error: SidecarError) -> None:
        """The client's body stopped (408) or is malformed (400): the model never gets its end."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        else:
            self._pool.withdraw(self)
        self._count(CellCounter.ABORTED, error.code)
        if self._begun:
            self._client.break_off(self)
        else:
            self._client.refuse(error, self)

    def pause_answer(self, paused: bool) -> None:
        """The client does not keep up with the answer, or does again."""
        if self._connection is not None:
            if paused:
                self._connection.pause()
            else:
                self._connection.resume()

    # -- counting --------------------------------------------------------------------------------

    def _count(self, counter: CellCounter, failure: str | None = None) -> None:
        """Count how it ended, and hand over what passed."""
        counted, total_ns, upstream_ns, first_ns = self._record(counter)
        answered = counter not in (CellCounter.ERROR, CellCounter.ABORTED)
        self._hand_over(
            counted,
            self._status if answered else 0,
            self._answer_head,
            b"",
            total_ns,
            upstream_ns,
            first_ns,
            failure,
        )

    def _record(self, counter: CellCounter) -> tuple[int, int, int, int]:
        """Count how it ended, with what was measured by then.

        Returns what it was counted as, the whole duration, the model's, and that to its first byte;
        -1: not measured.
        """
        now = perf_counter_ns()
        total = now - self._started_ns
        fell_back = self._target is not self._decision.target
        upstream = self._upstream_ns - self._sent_ns if self._upstream_ns else -1
        answered = upstream >= 0 and counter not in (CellCounter.ERROR, CellCounter.ABORTED)
        counted = int(CellCounter.FALLBACK if fell_back and answered else counter)
        upstream_ns = upstream if answered and not fell_back else -1
        first_ns = self._first_ns - self._started_ns if self._first_ns and not fell_back else -1
        self._client.plane.recorder.record(
            self._decision.target.cell,
            counted,
            total,
            upstream_ns,
            first_ns,
            total - upstream if answered and not fell_back else -1,
        )
        return counted, total, upstream_ns, first_ns

    def _hand_over(
        self,
        counter: int,
        status: int,
        answer_head: bytes,
        answer: bytes,
        total_ns: int,
        upstream_ns: int,
        first_ns: int,
        failure: str | None = None,
    ) -> None:
        """Give what passed to monitor and logbook; `status` 0: no whole answer."""
        plane, ticket, capture = self._client.plane, self._ticket, self._capture
        monitor, logbook = plane.monitor, plane.logbook
        watcher = monitor.watchers[self._target.cell]
        if watcher is None and logbook is None and ticket is None and capture is None:
            return
        request = self._request
        if request is None or (capture is not None and ticket is None):
            request = self._seen()
        ended = Ended(
            request,
            watcher,
            self._decision.target.cell,
            counter,
            status,
            answer_head,
            answer,
            self._started_ns,
            total_ns,
            upstream_ns,
            first_ns,
            self._answer_bytes,
            ticket,
            capture,
            None,
            failure,
        )
        if capture is not None:
            ended.answer_pieces = capture.answer.parts
            if capture.request is not None:
                ended.pieces = capture.request.parts
        if watcher is not None and request.has_body and status != 101:
            ended.awaited = monitor.offer(ended)
        else:
            if ticket is not None:
                ticket.settle(None)
            if capture is not None:
                capture.release()
        if logbook is not None:
            logbook.enter(ended)

    def _seen(self) -> Request:
        """The request, as far as it was kept; its body may still be coming."""
        capture, wire = self._capture, self._wire
        if capture is not None and capture.request is not None:
            request = self._sent(capture.request_head)
            request.pieces = capture.request
            return request
        return self._sent(b"" if wire is None else wire[0] if len(wire) == 1 else b"".join(wire))

    def _sent(self, wire: bytes) -> Request:
        """The request as it went to the model; `wire` is empty when it was too large to keep."""
        head, body_at = self._head, self._head_bytes
        if not wire:
            body_at = 0
        return Request(
            wire,
            body_at,
            head.path,
            head.chunked,
            self.complete,
            None,
            head.method,
            head.kept,
            self.request_id,
            self._installed.update.version,
            self._request_bytes,
            trace_at(head, body_at) if wire else -1,
        )
