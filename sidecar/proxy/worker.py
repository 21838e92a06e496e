"""One worker of the data plane: listens, installs routing, observes, keeps time, drains.

Life: constructed with listening sockets that others keep open too; `install` (again whenever
routing changes); `start`; `drain`; `observe` at any time. Its loop waits for the network only:
never for disk, the controller or another worker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from math import inf
from typing import Final

from sidecar.board import Recorder, WorkerGauge
from sidecar.config.observation import ObservationPlan
from sidecar.config.settings import Settings
from sidecar.config.update import RoutingUpdate
from sidecar.errors import ConfigError
from sidecar.logbook import Logbook
from sidecar.monitor import Learned, Monitor
from sidecar.proxy.acceptor import Acceptor, Listener
from sidecar.proxy.chunked import payload_of
from sidecar.proxy.installation import build, take_over_board
from sidecar.proxy.plane import Installed, Plane
from sidecar.proxy.tasks import Tasks

log = logging.getLogger(__name__)

# How late a deadline may be noticed; a tick over 10,000 idle clients costs 0.3 ms.
TICK_S: Final = 0.05
# A process that was stopped (a frozen container, a suspended machine) wakes up with every deadline
# passed and the answers still unread: it reads before it judges.
LATE_S: Final = 0.5
# An idle client may still send one request, answered with `Connection: close`.
DRAIN_IDLE_S: Final = 1.0
ITERATIONS_TO_ACCEPT: Final = 3  # of the loop, until an accepted socket is a client to be cut off
DEFAULT_CONNECTIONS: Final = 16_384


class Worker:
    """See the module's text. `learned` takes the rows that a plan asks for, `logbook` every
    exchange that is over.
    """

    def __init__(
        self,
        *,
        index: int,
        settings: Settings,
        sockets: list[Listener],
        recorder: Recorder,
        learned: Learned | None = None,
        logbook: Logbook | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.index = index
        self._loop = loop
        self._recorder = recorder
        self._tasks = Tasks(loop)
        self._plane = plane = Plane(recorder, loop, self._tasks, logbook)
        self._monitor = plane.monitor = Monitor(
            recorder,
            dechunk=payload_of,
            clock_ns=time.perf_counter_ns,
            wall_ns=time.time_ns,
            random=plane.random,
            soon=loop.call_soon,
            later=loop.call_later,
            learned=learned,
            sink=logbook,
        )
        self._installed: Installed | None = None
        self._tick_handle: asyncio.TimerHandle | None = None
        self._ticked_at = loop.time()
        self._acceptors = [
            Acceptor(one, plane, limit=settings.limits.connections or DEFAULT_CONNECTIONS)
            for one in sockets
        ]
        plane.on_room = self._room

    # -- routing ---------------------------------------------------------------------------------

    def install(self, update: RoutingUpdate) -> None:
        """Route by `update` from the next request on. Raises ConfigError and changes nothing."""
        before = self._installed
        installed = build(update, self._plane, before)
        if self._plane.logbook is not None:
            self._plane.logbook.install(update)
        take_over_board(update, self._recorder)
        self._plane.current = self._installed = installed
        self._monitor.remap(update.cells)
        if before is not None:
            kept = set(installed.all_pools())
            for pool in before.all_pools():
                if pool not in kept:
                    self._plane.retire(pool)
        self._recorder.set_worker(WorkerGauge.ROUTING_VERSION, update.version)

    def observe(self, plan: ObservationPlan) -> None:
        """Look into bodies by `plan` from the next exchange on.

        Raises ConfigError and changes nothing.
        """
        self._monitor.install(plan, () if self._installed is None else self._installed.update.cells)

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to accept connections; an update must be installed."""
        if self._installed is None:
            raise ConfigError("a worker needs routing before it can accept connections")
        self._ticked_at = self._loop.time()
        self._tick()
        for acceptor in self._acceptors:
            acceptor.start()

    def _tick(self) -> None:
        now = self._loop.time()
        late = now - self._ticked_at > LATE_S
        # Never late twice in a row: under overload deadlines pass too.
        self._ticked_at = inf if late else now
        self._tick_handle = self._loop.call_later(TICK_S, self._tick)
        if not late:
            self._plane.tick(now)
        self._monitor.flush()
        if self._plane.logbook is not None:
            self._plane.logbook.tick()

    def _room(self) -> None:
        for acceptor in self._acceptors:
            acceptor.room()

    async def drain(self, timeout_s: float) -> int:
        """Stop: accept what is queued, finish what runs, close what is idle.

        Answers carry `Connection: close` from now on; copies to shadows get a moment. Returns how
        many clients had to be cut off at the deadline.
        """
        plane = self._plane
        plane.draining = True
        self._recorder.set_worker(WorkerGauge.DRAINING, 1)
        if self._installed is not None:
            for mirrors in self._installed.mirrors.values():
                for mirror in mirrors:
                    mirror.draining = True
        for acceptor in self._acceptors:
            acceptor.close()
        began = self._loop.time()
        idle_until = began + min(DRAIN_IDLE_S, timeout_s)
        deadline = began + timeout_s
        while self._busy(copies=self._loop.time() < idle_until) and self._loop.time() < deadline:
            if self._loop.time() >= idle_until:
                for client in [one for one in plane.clients if one.idle]:
                    client.expire()
            await asyncio.sleep(TICK_S)
        return await self._stop()

    @property
    def _accepting(self) -> bool:
        return any(acceptor.handshakes for acceptor in self._acceptors)

    def _busy(self, *, copies: bool) -> bool:
        """Whether clients, or copies to shadows when they count, keep the worker from ending."""
        plane = self._plane
        if plane.clients or self._accepting:
            return True
        return copies and self._installed is not None and self._installed.copies_in_flight > 0

    async def _stop(self) -> int:
        plane = self._plane
        for _ in range(ITERATIONS_TO_ACCEPT):
            await asyncio.sleep(0)
        cut_off = list(plane.clients)
        for client in cut_off:
            if client.transport is not None:
                client.transport.abort()
        for tunnel in list(plane.tunnels):
            tunnel.close()
        await asyncio.sleep(0)  # aborted transports tell their connections in the next iteration
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        if self._installed is not None:
            for pool in (*self._installed.all_pools(), *plane.retired):
                pool.cut_off()
        await self._tasks.close()
        self._monitor.drain()
        if plane.logbook is not None:
            plane.logbook.catch_up()
        self._recorder.flush()
        return len(cut_off)
