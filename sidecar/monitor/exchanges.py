"""What the data plane hands over when an exchange is over, by reference: nothing is read or copied.

Neither can be part of a cycle, so the garbage collector is spared them.

Must not know: connections, columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from sidecar.monitor.capture import Capture, Pieces
from sidecar.payload import Inputs, Outputs, Reason
from sidecar.payload.row_answers import RowAnswers

if TYPE_CHECKING:
    from sidecar.monitor.pairs import Ticket
    from sidecar.monitor.watcher import Watcher

FAILED_FROM = 400  # the status

SHORT_BYTES = 16 * 1024  # what is kept of a request for a shadow that answers later


class Request(Struct, gc=False):
    """A request as it went to the model; `body_at` is where its head ends in `wire`.

    `path` is its target; `chunked` says that the body in `wire` is in the chunked coding,
    `complete` that it arrived whole. A body that came in pieces is in
    `pieces`, and not in `wire`. What a codec made of it is kept here, or why it could not: the
    primary's watch and those of its shadows read a request once, whoever comes first.
    """

    wire: bytes
    body_at: int
    path: bytes
    chunked: bool = False
    complete: bool = True
    pieces: Pieces | None = None
    inputs: Inputs | None = None
    unread: Reason | None = None

    def shorten(self) -> None:
        """Forget a large body that has been read; its head may still be asked for."""
        if self.pieces is not None or len(self.wire) > SHORT_BYTES:
            self.wire = self.wire[: self.body_at]
            self.pieces = None
            if self.inputs is not None:
                self.inputs = Inputs((), [()] * len(self.inputs.rows), self.inputs.sourced)


class Entry(Protocol):
    """What somebody else notes of an exchange, and waits with until the monitor has done with it.

    `unread` says why it was not read, or not all of it.
    """

    awaited: bool
    unread: str | None


class Finished(Struct, gc=False):
    """An exchange that is over: `watcher` shall read it.

    `status` is 0 when there was no whole answer; `head` are the answer's start line and fields,
    `answer` its body, unless it came in pieces and is in `capture`. `latency_ns` is how long the
    client waited, -1 when that says nothing of the model. `held_bytes` is the monitor's, `entry`
    somebody's who is told: what was read by the monitor's sink, what was not in the entry itself.
    """

    watcher: Watcher
    request: Request
    status: int
    head: bytes
    answer: bytes
    latency_ns: int
    ticket: Ticket | None = None
    capture: Capture | None = None
    held_bytes: int = 0
    entry: Entry | None = None


class Observation(Struct, frozen=True, gc=False):
    """What was found in an exchange, for those who decide whether it is worth keeping.

    `segments` are the values of the route's keys, in their order, None where there is none.
    """

    finished: Finished
    segments: Sequence[str | None]
    unusual: float
    said: Outputs | tuple[RowAnswers, int] | None

    @property
    def outputs(self) -> Outputs | None:
        """What the answer says; None when nobody could read it. Made when it is asked for."""
        if isinstance(self.said, tuple):
            answers, at = self.said
            return answers.outputs(at)
        return self.said
