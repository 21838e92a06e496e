"""The controller's end of the control socket: who is connected, and who routes by what.

Every worker that says Hello gets the newest update at once, so a worker that was away when routing
changed cannot stay behind. `install` sends an update to all that are connected and waits until each
has acknowledged it, or the deadline passes; a worker that loses its connection while it is waited
for stays awaited (it may still be serving) until it is back and has acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final, cast

from msgspec import Struct

from sidecar.config.update import RoutingUpdate
from sidecar.control.messages import Ack, FrameError, Frames, FromWorker, Hello, Install, frame

log: Final = logging.getLogger("sidecar.control")


class InstallReport(Struct, frozen=True, kw_only=True):
    """What became of one update.

    `acknowledged` route by it; `missing` were connected and have not answered in time; `absent`
    were not connected (starting, or dead) and get it when they connect; `refused` say why.
    """

    version: int
    duration_s: float
    acknowledged: tuple[int, ...]
    missing: tuple[int, ...]
    absent: tuple[int, ...]
    refused: dict[int, str]

    @property
    def complete(self) -> bool:
        """True when nobody who was connected routes by anything else."""
        return not self.missing and not self.refused


class WorkerStatus(Struct, frozen=True, kw_only=True):
    """One expected worker as the controller knows it; `version` is what it acknowledged last."""

    worker: int
    connected: bool
    pid: int | None
    version: int | None
    error: str | None


class WorkerControl:
    """Serves the control socket to `expected` workers. `clock` gives monotonic seconds."""

    def __init__(self, update: RoutingUpdate, *, expected: int, clock: Callable[[], float]) -> None:
        self.expected = expected
        self._clock = clock
        self._update = update
        self._links: dict[int, _Link] = {}
        self._waiting: set[_Waiting] = set()
        self._server: asyncio.AbstractServer | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to serve on a listening Unix socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Link(self), sock=listener)

    def close(self) -> None:
        """End all connections; workers go on with what they have."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links.values()):
            link.close()

    async def install(self, update: RoutingUpdate, *, timeout_s: float) -> InstallReport:
        """Have every worker route by `update`; late joiners get it too, from this moment on."""
        started_s = self._clock()
        self._update = update
        message = frame(Install(update=update))
        waiting = _Waiting(update.version, set(self._links))
        absent = tuple(sorted(set(range(self.expected)) - waiting.pending))
        asked = set(waiting.pending)
        self._waiting.add(waiting)
        try:
            for link in self._links.values():
                link.send(message)
            async with asyncio.timeout(timeout_s):
                if waiting.pending:
                    await waiting.done.wait()
        except TimeoutError:
            log.error(  # noqa: TRY400 - foreseen; the reason says it all
                "not every worker has taken over the routing in time",
                extra={"version": update.version, "missing": sorted(waiting.pending)},
            )
        finally:
            self._waiting.discard(waiting)
        return InstallReport(
            version=update.version,
            duration_s=self._clock() - started_s,
            acknowledged=tuple(sorted(asked - waiting.pending - set(waiting.refused))),
            missing=tuple(sorted(waiting.pending)),
            absent=absent,
            refused=waiting.refused,
        )

    def status(self) -> list[WorkerStatus]:
        """All expected workers, by index."""
        found = []
        for index in range(self.expected):
            link = self._links.get(index)
            found.append(
                WorkerStatus(
                    worker=index,
                    connected=link is not None,
                    pid=link.pid if link else None,
                    version=link.version if link else None,
                    error=link.error if link else None,
                )
            )
        return found

    def joined(self, link: _Link, hello: Hello) -> None:
        """A worker is there; it replaces a predecessor of the same index."""
        if not 0 <= hello.worker < self.expected:
            raise FrameError(f"a worker calls itself {hello.worker}, there are {self.expected}")
        before = self._links.get(hello.worker)
        self._links[hello.worker] = link
        if before is not None:
            before.close()
        link.send(frame(Install(update=self._update)))

    def left(self, link: _Link) -> None:
        """A connection is gone."""
        if self._links.get(link.worker) is link:
            del self._links[link.worker]

    def acknowledged(self, worker: int, ack: Ack) -> None:
        """A worker has taken over an update, or refused it."""
        for waiting in self._waiting:
            waiting.acknowledged(worker, ack)


class _Waiting:
    """One `install` in progress: who has not answered yet, who refused."""

    def __init__(self, version: int, pending: set[int]) -> None:
        self.version = version
        self.pending = pending
        self.refused: dict[int, str] = {}
        self.done = asyncio.Event()

    def acknowledged(self, worker: int, ack: Ack) -> None:
        if worker not in self.pending or ack.version < self.version:
            return
        self.pending.discard(worker)
        if ack.error is not None and ack.version == self.version:
            self.refused[worker] = ack.error
        if not self.pending:
            self.done.set()


class _Link(asyncio.Protocol):
    """One worker's connection."""

    def __init__(self, control: WorkerControl) -> None:
        self._control = control
        self._frames = Frames[FromWorker](FromWorker)  # type: ignore[arg-type]  # a union is no `type`
        self._transport: asyncio.Transport | None = None
        self.worker = -1
        self.pid: int | None = None
        self.version: int | None = None
        self.error: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's only behave like one

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._take(message)
        except FrameError as error:
            log.error("closed a control connection", extra={"reason": str(error)})  # noqa: TRY400 - foreseen; the reason says it all
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._control.left(self)

    def send(self, message: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _take(self, message: FromWorker) -> None:
        if isinstance(message, Hello):
            self.worker, self.pid = message.worker, message.pid
            self._control.joined(self, message)
        elif self.worker < 0:
            raise FrameError("an acknowledgement came before the introduction")
        else:
            if message.error is None:
                self.version = message.version
            self.error = message.error
            self._control.acknowledged(self.worker, message)
