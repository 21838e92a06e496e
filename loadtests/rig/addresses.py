"""Free ports on loopback, and waiting until somebody answers there."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import ExitStack
from typing import Final

from loadtests.rig.processes import ProcessFailedError, Started

HOST: Final = "127.0.0.1"
POLL_S: Final = 0.005


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            sock = held.enter_context(socket.socket())
            sock.bind((HOST, 0))
            ports.append(int(sock.getsockname()[1]))
        return ports


def await_listener(started: Started, port: int, *, timeout_s: float = 20.0) -> None:
    """Wait until a process accepts connections. Raises ProcessFailedError."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        started.check()
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(POLL_S)
    raise ProcessFailedError(f"{started.name} does not listen:\n{started.tail()}")


def await_ok(started: Started, port: int, path: str, *, timeout_s: float = 30.0) -> None:
    """Wait until a process answers a GET with 200. Raises ProcessFailedError."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        started.check()
        connection = http.client.HTTPConnection(HOST, port, timeout=2.0)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.client.OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(POLL_S)
    raise ProcessFailedError(f"{started.name} is not ready:\n{started.tail()}")
