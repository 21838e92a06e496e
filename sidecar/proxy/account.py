"""The account of one exchange: what passed and how long it took, counted once and then handed over.

What passes in an exchange of a watched model is given to the monitor when it is over, by reference,
as said by the model that answered. Every exchange that was counted is entered into the logbook,
which gets the same value.

Must not know: how bytes are carried, retried or mirrored (`sidecar.proxy.exchange` does that, and
says when it is over).
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from sidecar.board import CellCounter
from sidecar.monitor import Capture, Ended, Request, Ticket
from sidecar.proxy.chunked import ChunkedDecoder
from sidecar.proxy.forwarding import trace_at
from sidecar.proxy.head import RequestHead
from sidecar.routing import Decision, Target

if TYPE_CHECKING:
    from sidecar.proxy.client import ClientConnection
    from sidecar.proxy.plane import Installed


class Account:
    """What an exchange knows of itself. `target` is the model that answers, or is being asked."""

    __slots__ = (
        "_answer_bytes",
        "_answer_head",
        "_capture",
        "_client",
        "_decision",
        "_first_ns",
        "_head",
        "_head_bytes",
        "_installed",
        "_request",
        "_request_bytes",
        "_sent_ns",
        "_started_ns",
        "_status",
        "_target",
        "_ticket",
        "_upstream_ns",
        "_wire",
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
        self._status = 0
        self._started_ns = started_ns
        self._sent_ns = 0
        self._first_ns = 0
        self._upstream_ns = 0
        self._head_bytes = 0
        # What was or will be sent, while it may be needed again.
        self._wire: list[bytes] | None = None
        self._request_bytes = 0
        self._answer_bytes = 0
        self._answer_head = b""
        self._request: Request | None = None  # for monitor and logbook, once it is complete
        self._capture: Capture | None = None  # of bodies that come in pieces, when wanted
        self._ticket: Ticket | None = None  # what its copies are compared by
        self.complete = False  # the client's request has arrived whole
        self.request_id = request_id

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
