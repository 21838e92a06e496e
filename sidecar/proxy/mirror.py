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
from sidecar.logbook import Ended, Logbook
from sidecar.model import ShadowOutcome
from sidecar.monitor import Capture, Finished, Monitor, Ticket
from sidecar.monitor.exchanges import SHORT_BYTES
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
        ticket: Ticket | None,
        *,
        request_id: bytes,
        version: int,
        model: str,
    ) -> None:
        """Copy a complete request; `wire` is what the primary gets, None when too large to keep.

        `ticket` is how the monitor will know what the answer is to be compared with; `model`
        answers the client.
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
            entry = None
            if self.logbook is not None:
                entry = self._entry(wire, head_bytes, head, request_id, version, model)
            self.pool.acquire(_Copy(self, copy, head.method, ticket, entry))

    def _entry(
        self,
        wire: bytes,
        head_bytes: int,
        head: RequestHead,
        request_id: bytes,
        version: int,
        model: str,
    ) -> Ended:
        """What the logbook has to know of a copy, so far; a large body is not held for it."""
        return Ended(
            self.cell,
            _ERROR,
            0,
            head,
            request_id,
            version,
            0,
            -1,
            -1,
            -1,
            len(wire) - head_bytes,
            0,
            wire if len(wire) <= SHORT_BYTES else wire[:head_bytes],
            head_bytes,
            shadow_of=model,
        )

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
        "_answer_head",
        "_capture",
        "_connection",
        "_data",
        "_entry",
        "_first_ns",
        "_method",
        "_mirror",
        "_sent_ns",
        "_status",
        "_ticket",
    )

    def __init__(
        self,
        mirror: Mirror,
        data: bytes,
        method: bytes,
        ticket: Ticket | None,
        entry: Ended | None,
    ) -> None:
        self._entry = entry
        self._mirror = mirror
        self._data = data
        self._method = method
        self._ticket = ticket
        self._sent_ns = perf_counter_ns()
        self._first_ns = 0
        self._status = 0
        self._answer_head = b""
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
        if self._entry is not None:
            self._entry.answer_bytes += len(data)
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
        answered = outcome is ShadowOutcome.ANSWERED
        entry = self._entry
        if entry is not None:
            entry.started_ns, entry.total_ns = self._sent_ns, total_ns
            entry.answer_head, entry.answer = self._answer_head, answer
            entry.answer_bytes += len(answer)
            if self._capture is not None:
                entry.answer_pieces = self._capture.answer.parts
            if answered:
                entry.counter, entry.status = self._status // 100 - 1, self._status
                entry.upstream_ns, entry.first_byte_ns = total_ns, first_ns
            else:
                entry.failure = outcome.value
        self._show(outcome, self._status if answered else 0, answer, total_ns)
        logbook = self._mirror.logbook
        if entry is not None and logbook is not None:
            logbook.enter(entry)

    def _show(self, outcome: ShadowOutcome, status: int, answer: bytes, total_ns: int) -> None:
        """Show the monitor what the shadow said, if it watches."""
        ticket, capture = self._ticket, self._capture
        monitor = self._mirror.monitor
        watcher = monitor.watchers[self._mirror.cell]
        if ticket is None or watcher is None or outcome in _NEVER_SENT:
            if capture is not None:
                capture.release()
            return
        entry = self._entry
        finished = Finished(
            watcher, ticket.request, status, self._answer_head, answer, total_ns, ticket, capture
        )
        finished.entry = entry
        taken = monitor.offer(finished)
        if entry is not None:
            entry.awaited = taken


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
