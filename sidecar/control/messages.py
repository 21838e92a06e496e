"""What workers and controller say to each other, and how it is framed on the control socket.

A frame is a 4-byte big-endian length and that many bytes of MessagePack: one message, tagged by its
`type`. Both ends are of the same installation, so there is no version negotiation; a frame that
cannot be read ends the connection, and the worker connects again.

    worker ─► controller    Hello(worker, pid) once, first; then an Ack per Install
    controller ─► worker    Install(update): at once after Hello, and at every change
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from msgspec import Struct

from sidecar.config.update import RoutingUpdate
from sidecar.config.wire import decode, encode

LENGTH_BYTES: Final = 4
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


FromWorker = Hello | Ack
FromController = Install
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
