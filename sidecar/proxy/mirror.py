"""Copies of requests to a shadow model, which answers nobody.

A copy is made once the client's request is complete. It has its own pool, deadline, concurrency cap
and breaker, so that whatever the shadow does, a client can neither wait for it nor fail by it.
Every copy that is skipped or fails is counted by reason. The answer is read (so that the connection
can be reused), timed, shown to the monitor and dropped; not faster than `READ_BYTES_PER_TICK`,
since reading a flood would take the time of clients.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Final

import msgspec

from sidecar.board import CellCounter, Recorder
from sidecar.config.settings import ModelSettings, Shadow, Timeouts
from sidecar.errors import UpstreamError
from sidecar.logbook import Logbook
from sidecar.model import ShadowOutcome
from sidecar.monitor import Capture, Ended, Monitor, Request, Ticket
from sidecar.proxy.forwarding import HeaderRewrite
from sidecar.proxy.head import RequestHead, ResponseHead
from sidecar.proxy.pool import Pool
from sidecar.proxy.upstream import UpstreamConnection

READ_BYTES_PER_TICK: Final = 2 * 1024 * 1024  # 40 MB/s; a copy that needs more waits, or times out

_EXPECT: Final = b"\r\nExpect: 100-continue\r\n"
_MARKED_END: Final = b"X-Sidecar-Shadow: 1\r\n\r\n"
_NEVER_SENT: Final = (ShadowOutcome.SKIPPED_DRAINING, ShadowOutcome.SKIPPED_BREAKER)
_ERROR: Final = int(CellCounter.ERROR)
_COUNTERS: Final = {outcome: int(CellCounter.of_shadow(outcome)) for outcome in ShadowOutcome}


def shadow_settings(model: ModelSettings, shadow: Shadow) -> ModelSettings:
    """A model's settings as its shadow pool sees them: the deadline bounds every wait."""
    deadline = shadow.deadline
    return msgspec.structs.replace(
        model,
        timeouts=Timeouts(
            connect=min(model.timeouts.connect, deadline),
            first_byte=deadline,
            idle=deadline,
            total=deadline,
        ),
        pool=msgspec.structs.replace(
            model.pool,
            connections=shadow.concurrency,
            waiters=shadow.concurrency,
            wait_timeout=deadline,
        ),
    )


class Mirror:
    """One shadow of one route."""

    def __init__(
        self,
        shadow: Shadow,
        *,
        cell: int,
        pool: Pool,
        recorder: Recorder,
        monitor: Monitor,
        logbook: Logbook | None = None,
    ) -> None:
        self.max_body = int(shadow.max_body)
        self.pool = pool
        pool.on_tick = self.tick
        self.in_flight = 0
        self.draining = False
        self._recorder = recorder
        self.monitor = monitor
        self.logbook = logbook
        self.cell = cell
        self._concurrency = shadow.concurrency
        self._may_read = READ_BYTES_PER_TICK  # until the next tick
        self._held: list[UpstreamConnection] = []
        edits = shadow.headers
        self._rewrite = (
            HeaderRewrite(set_fields=edits.set, remove=edits.remove)
            if edits.set or edits.remove
            else None
        )

    @property
    def watched(self) -> bool:
        """Whether the monitor wants to see the answers."""
        return self.monitor.watchers[self.cell] is not None

    def offer(
        self,
        wire: bytes | None,
        head_bytes: int,
        head: RequestHead,
        request: Request | None,
        ticket: Ticket | None,
        model: str,
    ) -> None:
        """Copy a complete request; `wire` is what the primary gets, None when too large to keep.

        `request` is the same for monitor and logbook, if one of them will want to know; `ticket`
        is how the monitor will know what the answer is to be compared with; `model` answers the
        client.
        """
        if self.draining:
            self._skip(ShadowOutcome.SKIPPED_DRAINING)
        elif wire is None or len(wire) - head_bytes > self.max_body:
            self._skip(ShadowOutcome.SKIPPED_TOO_LARGE)
        elif self.in_flight >= self._concurrency:
            self._skip(ShadowOutcome.SKIPPED_BUSY)
        else:
            self.in_flight += 1
            if self._rewrite is None and not head.expect_continue:
                copy = b"".join((wire[: head_bytes - 2], _MARKED_END, wire[head_bytes:]))
            else:
                copy = self._edited(wire[:head_bytes]) + wire[head_bytes:]
            self.pool.acquire(_Copy(self, copy, head.method, request, ticket, model))

    def _edited(self, head: bytes) -> bytes:
        head = head.replace(_EXPECT, b"\r\n", 1)  # the body is here already
        if self._rewrite is not None:
            head = self._rewrite.apply(head)
        return head[:-2] + _MARKED_END

    def read(self, size: int, connection: UpstreamConnection) -> None:
        """A copy's answer took so many bytes to read; past the budget it pauses."""
        self._may_read -= size
        if self._may_read < 0:
            connection.pause()
            self._held.append(connection)

    def tick(self) -> None:
        """Let answers go on that were held."""
        self._may_read = READ_BYTES_PER_TICK
        held, self._held = self._held, []
        for connection in held:
            connection.resume()

    def skip_incomplete(self) -> None:
        """The client left or broke off inside its request."""
        self._skip(ShadowOutcome.SKIPPED_INCOMPLETE)

    def _skip(self, outcome: ShadowOutcome) -> None:
        self._recorder.count(self.cell, _COUNTERS[outcome])

    def ended(
        self, outcome: ShadowOutcome, *, status: int, total_ns: int, first_byte_ns: int
    ) -> None:
        """Count one copy that was sent, or could not be."""
        self.in_flight -= 1
        self._skip(outcome)
        answered = outcome is ShadowOutcome.ANSWERED
        self._recorder.record(
            self.cell,
            status // 100 - 1 if answered else CellCounter.ERROR,
            total_ns,
            total_ns if answered else -1,
            first_byte_ns if answered else -1,
            -1,
        )


class _Copy:
    """One copy under way; an `upstream.Call`."""

    __slots__ = (
        "_answer_bytes",
        "_answer_head",
        "_capture",
        "_connection",
        "_data",
        "_first_ns",
        "_method",
        "_mirror",
        "_model",
        "_request",
        "_sent_ns",
        "_status",
        "_ticket",
    )

    def __init__(
        self,
        mirror: Mirror,
        data: bytes,
        method: bytes,
        request: Request | None,
        ticket: Ticket | None,
        model: str,
    ) -> None:
        self._mirror = mirror
        self._data = data
        self._method = method
        self._request = request
        self._ticket = ticket
        self._model = model
        self._sent_ns = perf_counter_ns()
        self._first_ns = 0
        self._status = 0
        self._answer_head = b""
        self._answer_bytes = 0
        self._capture: Capture | None = None

    def connected(self, connection: UpstreamConnection) -> None:
        data, self._data = self._data, b""
        self._connection = connection
        connection.open(self, data, method=self._method, complete=True)

    def answered(self, head: ResponseHead, body: bytes) -> None:
        self._status = head.status
        self._first_ns = perf_counter_ns()
        self._answer_head = head.kept
        self._end(ShadowOutcome.ANSWERED, body)

    def interim(self, head: ResponseHead) -> None:
        pass

    def begin(self, head: ResponseHead) -> None:
        self._status = head.status
        self._first_ns = perf_counter_ns()
        mirror = self._mirror
        monitor, logbook = mirror.monitor, mirror.logbook
        watcher = monitor.watchers[mirror.cell]
        self._answer_head = head.kept
        watched = watcher is not None and self._ticket is not None
        if watched or (logbook is not None and logbook.keeps_bodies(mirror.cell)):
            self._capture = monitor.capture()
        if watcher is not None and watched and self._capture is not None:
            monitor.begin_answer(self._capture, watcher, head.kept, self._sent_ns)

    def piece(self, data: bytes) -> None:
        self._answer_bytes += len(data)
        if self._capture is not None:
            self._capture.take_answer(data)
        self._mirror.read(len(data), self._connection)

    def end(self, trailers: list[bytes]) -> None:
        self._end(ShadowOutcome.ANSWERED, b"")

    def switched(self, head: ResponseHead, connection: UpstreamConnection, excess: bytes) -> None:
        connection.abort()
        self._end(ShadowOutcome.BROKEN, b"")

    def failed(self, error: UpstreamError) -> None:
        self._end(_outcome(error), b"")

    def upstream_full(self, full: bool) -> None:
        pass  # the copy is handed over whole; its size is capped

    def _end(self, outcome: ShadowOutcome, answer: bytes) -> None:
        total_ns = perf_counter_ns() - self._sent_ns
        first_ns = self._first_ns - self._sent_ns
        self._mirror.ended(outcome, status=self._status, total_ns=total_ns, first_byte_ns=first_ns)
        request, mirror = self._request, self._mirror
        if request is None:
            return
        monitor, logbook, ticket = mirror.monitor, mirror.logbook, self._ticket
        answered = outcome is ShadowOutcome.ANSWERED
        watcher = None
        if ticket is not None and outcome not in _NEVER_SENT:
            watcher = monitor.watchers[mirror.cell]
        ended = Ended(
            request,
            watcher,
            mirror.cell,
            self._status // 100 - 1 if answered else _ERROR,
            self._status if answered else 0,
            self._answer_head,
            answer,
            self._sent_ns,
            total_ns,
            total_ns if answered else -1,
            first_ns if answered else -1,
            self._answer_bytes + len(answer),
            ticket,
            self._capture,
            self._model,
            None if answered else outcome.value,
        )
        if self._capture is not None:
            ended.answer_pieces = self._capture.answer.parts
        if watcher is not None:
            ended.awaited = monitor.offer(ended)
        elif self._capture is not None:
            self._capture.release()
        if logbook is not None:
            logbook.enter(ended)


def _outcome(error: UpstreamError) -> ShadowOutcome:
    if error.code == "draining":
        return ShadowOutcome.SKIPPED_DRAINING
    if error.code == "breaker_open":
        return ShadowOutcome.SKIPPED_BREAKER
    if error.unsent:
        return ShadowOutcome.CONNECT_FAILED
    if error.status == 504:
        return ShadowOutcome.TIMEOUT
    if error.code == "upstream_broken":
        return ShadowOutcome.BROKEN
    return ShadowOutcome.RESET
