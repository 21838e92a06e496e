"""Takes connections from a listening socket that several processes share.

Our own accept loop instead of the event loop's server, for three reasons: one connection per
wake-up spreads clients over workers (the loop's server empties the queue into whichever worker woke
first); at the connection limit, or without descriptors, clients wait in the kernel's queue instead
of being reset; and draining takes what is queued before the socket goes.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from sidecar.board import WorkerGauge
from sidecar.proxy.client import ClientConnection
from sidecar.proxy.plane import Plane

log = logging.getLogger(__name__)

OUT_OF_RESOURCES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
RETRY_S: Final = 0.1  # how long to leave clients in the queue when descriptors ran out
HANDSHAKE_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, non-blocking, and the TLS context of its clients."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None


class Acceptor:
    """Accepts for one listener; `limit` bounds the worker's client connections."""

    def __init__(self, listener: Listener, plane: Plane, *, limit: int) -> None:
        self._socket = listener.socket
        self._tls = listener.tls
        self._plane = plane
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._listening = False
        self._closed = False
        self.handshakes = 0  # accepted, not yet a client connection

    def start(self) -> None:
        """Begin, or go on, accepting."""
        if not self._listening and not self._closed:
            self._listening = True
            self._loop.add_reader(self._socket, self._accept)

    def _pause(self) -> None:
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self._socket)

    def room(self) -> None:
        """A client has left."""
        if not self._listening and not self._full:
            self.start()

    @property
    def _full(self) -> bool:
        return len(self._plane.clients) + self.handshakes >= self._limit

    def _accept(self) -> bool:
        """Take one connection; False when there is none."""
        if self._full:
            self._plane.recorder.add_worker(WorkerGauge.ACCEPT_PAUSED)
            self._pause()
            return False
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in OUT_OF_RESOURCES:
                raise
            log.warning("no descriptor for a new connection; clients wait in the queue")
            self._pause()
            self._loop.call_later(RETRY_S, self.start)
            return False
        accepted.setblocking(False)
        self._plane.recorder.add_worker(WorkerGauge.ACCEPTED)
        self.handshakes += 1
        self._plane.spawn(self._serve(accepted), "accept")
        return True

    async def _serve(self, accepted: socket.socket) -> None:
        tls = self._tls
        try:
            await self._loop.connect_accepted_socket(
                lambda: ClientConnection(self._plane, tls=tls is not None),
                accepted,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if tls is not None else None,
            )
        except (OSError, ssl.SSLError):
            accepted.close()  # the client left, or does not speak TLS: nobody to tell
        finally:
            self.handshakes -= 1
            self.room()  # a handshake that came to nothing held a place too

    def close(self) -> None:
        """Take everything that is queued, then close the socket."""
        if self._closed:
            return
        while self._accept():
            pass
        self._pause()
        self._closed = True
        self._socket.close()
