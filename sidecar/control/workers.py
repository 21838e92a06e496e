"""The controller's end of the control socket: who is connected, and who routes by what.

Every worker that says Hello gets the newest update at once, so a worker that was away when routing
changed cannot stay behind. `announce` sends an update to all that are connected; whoever wants to
know waits for `confirmed`. A worker that loses its connection while it is waited for stays awaited
(it may still be serving) until it is back and has acknowledged. Updates may overlap: they are sent
and answered in the order of their versions.

What shall be observed is told the same way, but nobody waits for it (`observe`): a worker that does
not read gets the newest plan when it does, and the ones in between never.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection
from typing import Final, cast

from msgspec import Struct

from sidecar.config.observation import ObservationPlan
from sidecar.config.update import RoutingUpdate
from sidecar.control.messages import (
    Ack,
    FrameError,
    Frames,
    FromWorker,
    Hello,
    Install,
    Learned,
    Observe,
    Observing,
    frame,
)

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
    """One expected worker as the controller knows it; `version` is what it acknowledged last.

    `observing` is the version of the plan that it observes by, `observing_error` why it refused the
    newest.
    """

    worker: int
    connected: bool
    pid: int | None
    version: int | None
    error: str | None
    observing: int | None = None
    observing_error: str | None = None


class WorkerControl:
    """Serves the control socket to `expected` workers. `clock` gives monotonic seconds.

    `learned` is called with what a worker has learned; whoever owns the plan sets it.
    """

    def __init__(self, update: RoutingUpdate, *, expected: int, clock: Callable[[], float]) -> None:
        self.expected = expected
        self._clock = clock
        self.learned: Callable[[int, Learned], None] = _ignore
        self._update = update
        self._plan: bytes | None = None
        self._links: dict[int, _Link] = {}
        self._installations: set[Installation] = set()
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

    def announce(self, update: RoutingUpdate) -> Installation:
        """Tell every worker, now, to route by `update`; late joiners are told when they join."""
        self._update = update
        installation = Installation(
            update.version, connected=self._links, expected=self.expected, clock=self._clock
        )
        self._installations.add(installation)
        message = frame(Install(update=update))
        for link in self._links.values():
            link.send(message)
        return installation

    def observe(self, plan: ObservationPlan) -> None:
        """Tell every worker to observe by `plan`; late joiners are told when they join."""
        self._plan = frame(Observe(plan=plan))
        for link in self._links.values():
            link.send_plan(self._plan)

    async def install(self, update: RoutingUpdate, *, timeout_s: float) -> InstallReport:
        """Announce an update and wait until it is confirmed, at most this long."""
        return await self.confirmed(self.announce(update), timeout_s=timeout_s)

    async def confirmed(self, installation: Installation, *, timeout_s: float) -> InstallReport:
        """Wait until every worker that was connected has answered, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await installation.settled.wait()
        except TimeoutError:
            log.error(  # noqa: TRY400 - foreseen; the keys say it all
                "not every worker has taken over the routing in time",
                extra={"version": installation.version, "missing": sorted(installation.pending)},
            )
        finally:
            self._installations.discard(installation)
        return installation.report()

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
                    observing=link.observing if link else None,
                    observing_error=link.observing_error if link else None,
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
        if self._plan is not None:
            link.send_plan(self._plan)

    def left(self, link: _Link) -> None:
        """A connection is gone."""
        if self._links.get(link.worker) is link:
            del self._links[link.worker]

    def acknowledged(self, worker: int, ack: Ack) -> None:
        """A worker has taken over an update, or refused it."""
        for installation in self._installations:
            installation.answered(worker, ack)


class Installation:
    """One update on its way: who has not answered yet (`pending`), and who refused."""

    def __init__(
        self,
        version: int,
        *,
        connected: Collection[int],
        expected: int,
        clock: Callable[[], float],
    ) -> None:
        self.version = version
        self.pending = set(connected)
        self.settled = asyncio.Event()
        self._asked = frozenset(connected)
        self._absent = tuple(sorted(set(range(expected)) - self._asked))
        self._refused: dict[int, str] = {}
        self._clock = clock
        self._started_s = clock()
        self._ended_s = self._started_s
        self._settle()

    def answered(self, worker: int, ack: Ack) -> None:
        """A worker has answered; a newer version than this one includes it."""
        if worker in self.pending and ack.version >= self.version:
            self.pending.discard(worker)
            if ack.error is not None and ack.version == self.version:
                self._refused[worker] = ack.error
            self._settle()

    def report(self) -> InstallReport:
        """How it stands."""
        return InstallReport(
            version=self.version,
            duration_s=(self._clock() if self.pending else self._ended_s) - self._started_s,
            acknowledged=tuple(sorted(self._asked - self.pending - set(self._refused))),
            missing=tuple(sorted(self.pending)),
            absent=self._absent,
            refused=self._refused,
        )

    def _settle(self) -> None:
        if not self.pending:
            self._ended_s = self._clock()
            self.settled.set()


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
        self.observing: int | None = None
        self.observing_error: str | None = None
        self._paused = False
        self._waiting_plan: bytes | None = None

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

    def send_plan(self, message: bytes) -> None:
        """Send a plan, or when the worker does not read, the newest one as soon as it does."""
        if self._paused:
            self._waiting_plan = message
        else:
            self.send(message)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._waiting_plan is not None:
            message, self._waiting_plan = self._waiting_plan, None
            self.send(message)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _take(self, message: FromWorker) -> None:
        if isinstance(message, Hello):
            self.worker, self.pid = message.worker, message.pid
            self._control.joined(self, message)
        elif self.worker < 0:
            raise FrameError("an acknowledgement came before the introduction")
        elif isinstance(message, Learned):
            self._control.learned(self.worker, message)
        elif isinstance(message, Observing):
            if message.error is None:
                self.observing = message.version
            self.observing_error = message.error
        else:
            if message.error is None:
                self.version = message.version
            self.error = message.error
            self._control.acknowledged(self.worker, message)


def _ignore(_worker: int, _learned: Learned) -> None:
    """Nobody asks for what is learned."""
