"""What the launcher made before forking and every child finds in its memory."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.app.listeners import turn_newcomers_away
from sidecar.app.state_dir import StateDir
from sidecar.board import Board
from sidecar.config.addresses import UNIX
from sidecar.config.settings import Settings
from sidecar.control.state import RoutingState
from sidecar.proxy import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """Settings as they were at start; sockets and memory that outlive any child.

    `load` reads the configuration file again; `initial` is the routing state of this start, for a
    child that finds nothing newer on the disk; `board_id` tells this board from every other one,
    so that its counts are not taken for those of another (16 hexadecimal digits); `started_s` is
    monotonic. `redaction_key` is what hashes of `redact` are made with.
    """

    settings: Settings
    load: Callable[[], Settings]
    state_dir: StateDir
    initial: RoutingState
    board: Board
    board_id: str
    listeners: list[Listener]
    admin_listeners: list[socket.socket]
    control_listener: socket.socket
    started_s: float
    redaction_key: bytes | None = field(default=None, repr=False)

    def turn_newcomers_away(self) -> None:
        """Let no new client begin to connect, in any process."""
        for listener in self.listeners:
            turn_newcomers_away(listener.socket)

    def close_data_listeners(self) -> None:
        """Close this process's copies; the sockets end when the last process has done so."""
        for listener in self.listeners:
            listener.socket.close()

    def close_control_listeners(self) -> None:
        """Close this process's copies of the sockets that are the controller's."""
        self.control_listener.close()
        for listener in self.admin_listeners:
            listener.close()

    def remove_unix_paths(self) -> None:
        """At the very end: nobody answers there any more, and closing a socket leaves its path."""
        paths = [
            address.removeprefix(UNIX)
            for address in self.settings.listeners
            if address.startswith(UNIX)
        ]
        for path in [*map(Path, paths), self.state_dir.control_socket]:
            with contextlib.suppress(OSError):
                path.unlink()
