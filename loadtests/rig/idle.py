"""A process that opens connections, has one request answered on each, and then says nothing more.

    python -m loadtests.rig.idle HOST PORT COUNT

It prints "open: N" once N connections stand (fewer than asked for when the system allows no more
descriptors) and holds them until it is ended.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys
from typing import Final

READY: Final = "open: "
SPARE: Final = 64  # descriptors for everything that is not a connection
ANSWER_BYTES: Final = 65536


def allowed(wanted: int) -> int:
    """Raise the limit of descriptors as far as it may go; returns how many connections fit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard - SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + SPARE, hard))
    return wanted


def open_one(host: str, port: int) -> socket.socket:
    """A kept-alive connection that has been used once."""
    sock = socket.create_connection((host, port), timeout=30)
    sock.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    if not sock.recv(ANSWER_BYTES).startswith(b"HTTP/1.1 200"):
        raise ConnectionError("the request was not answered with 200")
    return sock


def main() -> int:
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    held = [open_one(host, port) for _ in range(allowed(count))]
    print(f"{READY}{len(held)}", flush=True)
    signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
