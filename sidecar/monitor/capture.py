"""Bodies that come in pieces, kept by reference while they pass, within one bound for a worker.

A body that is larger than `monitor.max_body` is not kept, nor is one for which there is no room; it
passes all the same. A stream of events is not kept at all: a reader takes each piece as it comes.

Must not know: HTTP, where pieces go when they are complete.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from sidecar.payload import Reason, StreamReader


class Loss(Enum):
    """Why a body is not there to be read, though nothing about itself is to blame."""

    NO_ROOM = "monitor.pending_bytes were taken"
    SHED = "monitor.max_cpu_share was used up"
    BROKEN = "its reader failed"


class Room:
    """The bytes of bodies that a worker may hold for its monitor, of all exchanges together."""

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = size


class Pieces:
    """One body, as far as it has come; or why it is not kept."""

    __slots__ = ("_most", "_room", "loss", "parts", "size")

    def __init__(self, room: Room, most: int) -> None:
        self._room = room
        self._most = most
        self.parts: list[bytes] = []
        self.size = 0
        self.loss: Loss | Reason | None = None

    def add(self, part: bytes) -> None:
        """Keep some more of it, or give up."""
        if self.loss is not None:
            return
        size = len(part)
        if self.size + size > self._most:
            self.lose(Reason.TOO_LARGE)
        elif size > self._room.left:
            self.lose(Loss.NO_ROOM)
        else:
            self._room.left -= size
            self.size += size
            self.parts.append(part)

    def lose(self, loss: Loss | Reason | None) -> None:
        """Forget it; what it took is free again."""
        self.loss = loss
        self._room.left += self.size
        self.size = 0
        self.parts = []

    @property
    def data(self) -> bytes:
        """The body as far as it was kept."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


class Capture:
    """What is kept of an exchange whose bodies do not come whole: see `Pieces`.

    `request` is None where the request came whole, else `request_head` is its head; `reader` takes
    a stream of events instead of `answer`. `clock_ns` tells when a piece came, `spend` gets the
    time its reading took.
    """

    __slots__ = (
        "_clock_ns",
        "_most",
        "_room",
        "_spend",
        "answer",
        "reader",
        "request",
        "request_head",
    )

    def __init__(
        self,
        room: Room,
        most: int,
        *,
        clock_ns: Callable[[], int],
        spend: Callable[[int], None],
    ) -> None:
        self._clock_ns = clock_ns
        self._spend = spend
        self._room = room
        self._most = most
        self.request: Pieces | None = None
        self.request_head = b""
        self.answer = Pieces(room, most)
        self.reader: StreamReader | None = None

    def begin_request(self, head: bytes) -> Pieces:
        """The request comes in pieces; `head` is what the model got before its body."""
        self.request_head = head
        self.request = Pieces(self._room, self._most)
        return self.request

    def take_answer(self, part: bytes) -> None:
        """Some more of the answer has passed."""
        reader = self.reader
        if reader is None:
            self.answer.add(part)
            return
        began = self._clock_ns()
        try:
            reader.feed(part, began)
        except Exception:  # noqa: BLE001 -- whatever it is, the answer goes on
            self.reader = None
            self.answer.lose(Loss.BROKEN)
        self._spend(self._clock_ns() - began)

    @property
    def loss(self) -> Loss | None:
        """Why one of the bodies is not there, if that is nothing about the body itself."""
        for pieces in (self.request, self.answer):
            if pieces is not None and isinstance(pieces.loss, Loss):
                return pieces.loss
        return None

    def release(self) -> None:
        """Nobody will read what was kept."""
        if self.request is not None:
            self.request.lose(None)
        self.answer.lose(None)
        self.reader = None
