"""Models that misbehave, one per port, in one process; receivers of events do in the same ways.

    python -m loadtests.rig.bad_models HOST hang=PORT reset=PORT ...

It prints "ready" once all of them listen. What each does with a request:

    good    answers a small prediction
    hang    reads it and says nothing
    reset   reads it and resets the connection
    slow    answers one byte a second
    flood   answers without end, as fast as it is read
    refuse  answers 503
    late    answers as `good` does, half a second later
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Final

import uvloop

from loadtests.rig.addresses import HOST, free_ports
from loadtests.rig.processes import Fleet, await_line
from loadtests.rig.traffic import PREDICTION

READY: Final = "ready"
ABSENT: Final = "absent"
ANSWER: Final = (
    f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(PREDICTION)}"
    f"\r\n\r\n{PREDICTION}"
).encode()
REFUSAL: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
LATE_S: Final = 0.5
BLOCK: Final = bytes(64 * 1024)
_RESET_ON_CLOSE: Final = b"\1\0\0\0\0\0\0\0"


class _Model(asyncio.Protocol):
    """Knows where a request ends by its Content-Length: the sidecar always sends one here."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head = self._unread[:end].lower()
            length = head.partition(b"content-length:")[2].split(b"\r", 1)[0]
            whole = end + 4 + int(length or 0)
            if len(self._unread) < whole:
                return
            self._unread = self._unread[whole:]
            self.requested()

    def requested(self) -> None:
        self.transport.write(ANSWER)


class _Hang(_Model):
    def requested(self) -> None:
        pass


class _Reset(_Model):
    def requested(self) -> None:
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class _Slow(_Model):
    def requested(self) -> None:
        self._drip(0)

    def _drip(self, at: int) -> None:
        if at < len(ANSWER) and not self.transport.is_closing():
            self.transport.write(ANSWER[at : at + 1])
            asyncio.get_running_loop().call_later(1.0, self._drip, at + 1)


class _Flood(_Model):
    def requested(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.resume_writing()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            # Over the high-water mark: called again when it is gone.
            self.transport.write(BLOCK * 4)


class _Refuse(_Model):
    def requested(self) -> None:
        self.transport.write(REFUSAL)


class _Late(_Model):
    def requested(self) -> None:
        asyncio.get_running_loop().call_later(LATE_S, super().requested)


KINDS: Final[dict[str, Callable[[], _Model]]] = {
    "good": _Model,
    "hang": _Hang,
    "reset": _Reset,
    "slow": _Slow,
    "flood": _Flood,
    "refuse": _Refuse,
    "late": _Late,
}


def start(fleet: Fleet, *kinds: str) -> dict[str, int]:
    """Start a model of each kind; returns their ports. Nobody listens on that of ABSENT."""
    ports = dict(zip((*kinds, ABSENT), free_ports(len(kinds) + 1), strict=True))
    places = [f"{kind}={ports[kind]}" for kind in kinds]
    command = [sys.executable, "-m", "loadtests.rig.bad_models", HOST, *places]
    await_line(fleet.start("models", command), READY, timeout_s=20)
    return ports


async def _serve(host: str, ports: dict[str, int]) -> None:
    loop = asyncio.get_running_loop()
    for kind, port in ports.items():
        await loop.create_server(KINDS[kind], host, port, backlog=4096)
    print(READY, flush=True)
    await asyncio.Event().wait()


def main() -> int:
    host, *places = sys.argv[1:]
    ports = {kind: int(port) for kind, _, port in (place.partition("=") for place in places)}
    uvloop.run(_serve(host, ports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
