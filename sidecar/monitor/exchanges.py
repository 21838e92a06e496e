"""What the data plane hands over when an exchange is over, by reference: nothing is read or copied.

One value for all who look at it afterwards: the monitor, which reads it, and the logbook, which
writes it down. None of them can be part of a cycle, so the garbage collector is spared them.

Must not know: connections, columns, records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from sidecar.board import CellCounter
from sidecar.monitor.capture import Capture, Pieces
from sidecar.payload import Inputs, Outputs, Reason, Value
from sidecar.payload.row_answers import RowAnswers

if TYPE_CHECKING:
    from sidecar.monitor.pairs import Ticket
    from sidecar.monitor.watcher import Watcher

FAILED_FROM: Final = 400  # the status

SHORT_BYTES: Final = 16 * 1024  # what is kept of a request for a shadow that answers later

_ABORTED: Final = int(CellCounter.ABORTED)


class Request(Struct, gc=False):
    """A request as it went to the model; `body_at` is where its head ends in `wire`.

    `path` is its target, with the query; `chunked` says that the body in `wire` is in the chunked
    coding, `complete` that it arrived whole. A body that came in pieces is in `pieces`, and not in
    `wire`; one that was not kept is in neither, but counted in `size`. `head` is the client's start
    line with the fields that travel on; `trace_at` is where the id of the trace is in `wire`, -1
    when `wire` does not have it. `version` is that of the routing.

    What a codec made of it is kept here, or why it could not: the primary's watch and those of its
    shadows read a request once, whoever comes first.
    """

    wire: bytes
    body_at: int
    path: bytes
    chunked: bool = False
    complete: bool = True
    pieces: Pieces | None = None
    method: bytes = b""
    head: bytes = b""
    id: bytes = b""
    version: int = 0
    size: int = 0
    trace_at: int = -1
    inputs: Inputs | None = None
    unread: Reason | None = None

    @property
    def has_body(self) -> bool:
        """Whether there is a body to be read."""
        return len(self.wire) > self.body_at or self.pieces is not None

    def shorten(self) -> None:
        """Forget a large body that nobody needs any more; its head may still be asked for."""
        if self.pieces is not None or len(self.wire) > SHORT_BYTES:
            self.wire = self.wire[: self.body_at]
            self.pieces = None
            if self.inputs is not None:
                self.inputs = Inputs((), [()] * len(self.inputs.rows), self.inputs.sourced)


Found = tuple[
    int, Sequence[Value], bool, Sequence[float | None], dict[str, str | None], float | None
]
"""What was found in an exchange, as it is noted: rows, predictions, whether there are more of them,
scores, segments, how unusual it is."""


class Ended(Struct, gc=False):
    """An exchange that is over. `watcher` shall read it, if there is one.

    `cell` is where the board counted it, `counter` how (a `CellCounter` of how exchanges end);
    `status` is 0 without a whole answer. `answer_head` is the answer's start line and fields;
    `answer` is its body, unless it came in pieces and is in `capture`. Durations are nanoseconds,
    -1: not known; `started_ns` is of the clock that only rises. `ticket` is shared by all that are
    compared; `shadow_of` is, of a copy, the model that the client was answered by.

    `pieces` and `answer_pieces` are what came in pieces, for the logbook, which is later than the
    monitor. `awaited`: the monitor has taken it, and will say what it found, or that it left it
    (`Sink`); `unread` says why. `held_bytes` is the monitor's.
    """

    request: Request
    watcher: Watcher | None
    cell: int
    counter: int
    status: int
    answer_head: bytes
    answer: bytes
    started_ns: int
    total_ns: int
    upstream_ns: int = -1
    first_byte_ns: int = -1
    answer_bytes: int = 0
    ticket: Ticket | None = None
    capture: Capture | None = None
    shadow_of: str | None = None
    failure: str | None = None
    pieces: Sequence[bytes] | None = None
    answer_pieces: Sequence[bytes] | None = None
    held_bytes: int = 0
    awaited: bool = False
    unread: str | None = None

    @property
    def latency_ns(self) -> int:
        """How long the client waited, -1 when that says nothing of the model."""
        return -1 if self.counter == _ABORTED else self.total_ns


Texts = Sequence[Sequence[str | None]]
"""The segment values of exchanges; empty when there are no keys."""

Group = tuple[list[Ended], RowAnswers | Outputs | None, Texts]
"""Requests that were read together, what their answers say, their segments."""


class Findings(Struct, frozen=True):
    """What was found in exchanges of one watch, for those who write it down; entry by entry.

    `said` is what their answers say, or the only answer, None when nobody could read it.
    `segments` are the values of the route's keys, which are called `names`, None where there is
    none; empty when it has no keys. `unusual` are scores.
    """

    exchanges: Sequence[Ended]
    said: RowAnswers | Outputs | None
    names: Sequence[str]
    segments: Texts
    unusual: Sequence[float]


class Sink(Protocol):
    """Who wants to know what became of each exchange that was offered, and taken."""

    def found(self, findings: Findings) -> None:
        """These were read."""
        ...

    def left(self, ended: Ended) -> None:
        """This was not. May also be said of one that was not taken."""
        ...
