"""What workers and controller say to each other, and how it is framed on the control socket.

A frame is a 4-byte big-endian length and that many bytes of MessagePack: one message, tagged by its
`type`. Both ends are of the same installation, so there is no version negotiation; a frame that
cannot be read ends the connection, and the worker connects again.

    worker ─► controller    Hello(worker, pid) once, first; then an Ack per Install, an Observing
                            per Observe, and Learned as long as the plan asks for rows
    controller ─► worker    Install(update): at once after Hello, and at every change of routing;
                            Observe(plan) likewise, apart from it, so that a plan with the edges of
                            thousands of cells never holds up a rollback
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from msgspec import Struct

from sidecar.config.observation import ObservationPlan
from sidecar.config.update import RoutingUpdate
from sidecar.config.wire import decode, encode
from sidecar.model import CellKey
from sidecar.payload import Protocol, Value

LENGTH_BYTES: Final = 4
MOST_LEARNED_ROWS: Final = 256
"""Rows of one Learned: one batch of a worker's monitor."""
# An update with 4096 cells and 64 routes takes about 1 MiB; what claims more is not ours.
LONGEST_FRAME_BYTES: Final = 64 * 1024 * 1024


class Hello(Struct, frozen=True, kw_only=True, tag="hello"):
    """A worker introduces itself."""

    worker: int
    pid: int


class Ack(Struct, frozen=True, kw_only=True, tag="ack"):
    """A worker routes by `version` now; or it could not take it (`error`) and kept what it had."""

    version: int
    error: str | None = None


class Install(Struct, frozen=True, kw_only=True, tag="install"):
    """A worker shall route by this from now on."""

    update: RoutingUpdate


class Observe(Struct, frozen=True, kw_only=True, tag="observe"):
    """A worker shall observe this from now on."""

    plan: ObservationPlan


class Observing(Struct, frozen=True, kw_only=True, tag="observing"):
    """A worker observes by plan `version` now; or could not take it (`error`) and kept its own."""

    version: int
    error: str | None = None


class Learned(Struct, frozen=True, kw_only=True, tag="learned"):
    """Rows that a worker has read of a watch that asks for them (`Watch.learn`).

    At most MOST_LEARNED_ROWS `rows`, each with a value per name. `predictions`, `scores` and each
    list of `segments` have a value per row, or none at all where the answers have none.
    `protocol` is what the bodies were found to speak.
    """

    key: CellKey
    owner: str
    names: tuple[str, ...]
    rows: list[list[Value]]
    predictions: list[Value] = []
    scores: list[float | None] = []
    segments: dict[str, list[str | None]] = {}
    protocol: Protocol = Protocol.AUTO

    @property
    def consistent(self) -> bool:
        """Whether every list is as long as it should be."""
        count = len(self.rows)
        lengths = [len(self.predictions), len(self.scores), *map(len, self.segments.values())]
        return all(length in {0, count} for length in lengths) and all(
            len(row) == len(self.names) for row in self.rows
        )


FromWorker = Hello | Ack | Observing | Learned
FromController = Install | Observe
M = TypeVar("M")


class FrameError(ValueError):
    """Bytes that are no frame of ours; the connection cannot be used any more."""


def frame(message: FromWorker | FromController) -> bytes:
    """A message as bytes on the socket."""
    body = encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Frames(Generic[M]):
    """Cuts received bytes into messages of one type, however they were split on the way."""

    def __init__(self, expected: type[M]) -> None:
        self._expected = expected
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[M]:
        """The messages that are complete now. Raises FrameError."""
        self._pending += data
        while len(self._pending) >= LENGTH_BYTES:
            length = int.from_bytes(self._pending[:LENGTH_BYTES], "big")
            if length > LONGEST_FRAME_BYTES:
                raise FrameError(f"a frame claims {length} bytes")
            end = LENGTH_BYTES + length
            if len(self._pending) < end:
                return
            body = bytes(self._pending[LENGTH_BYTES:end])
            del self._pending[:end]
            try:
                message = decode(body, self._expected)
            except ValueError as error:
                raise FrameError(str(error)) from error
            yield message
