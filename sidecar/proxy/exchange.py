"""One request and its answer: reach a model, carry bytes both ways, survive what can be, count it.

The rules that must never break:
- A request goes out again only when no byte of it reached a model, or when it is idempotent and its
  connection ended before any byte of an answer (RFC 9110 9.2.2); never after an answer has begun.
- A canary that cannot be reached is answered for by the primary, and counted as the canary's
  `fallback`.
- An answer that breaks off is broken off towards the client too: it never ends cleanly.
- Every exchange is counted exactly once, in the cell of the model it was assigned to.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from sidecar.board import CellCounter
from sidecar.errors import SidecarError, UpstreamError
from sidecar.monitor import Ticket
from sidecar.proxy.account import Account
from sidecar.proxy.chunked import encode_chunks, encode_end
from sidecar.proxy.fields import tokens
from sidecar.proxy.forwarding import (
    client_head,
    interim_head,
    switching_head,
    upstream_head,
)
from sidecar.proxy.head import RequestHead, ResponseHead
from sidecar.proxy.pool import Pool
from sidecar.proxy.tunnel import join
from sidecar.proxy.upstream import UpstreamConnection
from sidecar.routing import Decision

if TYPE_CHECKING:
    from sidecar.proxy.client import ClientConnection
    from sidecar.proxy.plane import Installed

_KEEP_ALIVE = b"Connection: keep-alive\r\n"
_CLOSE = b"Connection: close\r\n"


class Exchange(Account):
    """Between one client connection and whichever upstream connection serves it now."""

    __slots__ = (
        "_attempts_left",
        "_begun",
        "_chunked_answer",
        "_connection",
        "_keep_bytes",
        "_pool",
        "_wire_bytes",
        "close",
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
        super().__init__(
            client, head, decision, installed, request_id=request_id, started_ns=started_ns
        )
        self._pool: Pool = installed.pools[decision.target.model]
        self._connection: UpstreamConnection | None = None
        self._attempts_left = self._pool.settings.retry.attempts
        self._begun = False
        self._chunked_answer = False
        self._keep_bytes = 0
        self._wire_bytes = 0
        self.close = head.close  # the client's connection ends with this answer

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
