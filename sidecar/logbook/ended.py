"""What the data plane hands over when an exchange is over, by reference: nothing is read or copied.

Must not know: records, the journal, how an exchange came to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from sidecar.monitor import Observation


class RequestFacts(Protocol):
    """What is needed of a request's head. `kept` is its start line and the fields that travel on,
    `path` the target with its query."""

    method: bytes
    path: bytes
    kept: bytes
    chunked: bool


class Ended(Struct, gc=False):
    """An exchange that is over.

    `cell` is where the board counted it, `counter` how (a `CellCounter` of how exchanges end);
    `status` is 0 without a whole answer. `wire` is the request as it went to the model, `body_at`
    where its head ends in it; a body that came in pieces is in `pieces` instead. `answer_head` is
    the answer's start line and fields; `answer` is its body, unless it is in `answer_pieces`.
    Bodies that were not kept are neither here nor there, but counted in `request_bytes` and
    `answer_bytes`. Durations are nanoseconds, -1: not known; `started_ns` is of the clock that
    only rises. `shadow_of` is, of a copy, the model that the client was answered by.

    `awaited`: the monitor is still to read it. What it found is in `observed`, or in `unread` why
    it could not. It cannot be part of a cycle, so the garbage collector is spared it.
    """

    cell: int
    counter: int
    status: int
    request: RequestFacts
    request_id: bytes
    version: int
    started_ns: int
    total_ns: int
    upstream_ns: int
    first_byte_ns: int
    request_bytes: int
    answer_bytes: int
    wire: bytes
    body_at: int
    answer_head: bytes = b""
    answer: bytes = b""
    pieces: Sequence[bytes] | None = None
    answer_pieces: Sequence[bytes] | None = None
    failure: str | None = None
    shadow_of: str | None = None
    awaited: bool = False
    observed: Observation | None = None
    unread: str | None = None
