"""One worker of the data plane: listens, installs routing, keeps time, drains.

Life: constructed with listening sockets that others keep open too; `install` (again whenever routing
changes); `start`; `drain`. Its loop waits for the network only: never for disk, the controller or
another worker.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from math import inf
from typing import Final

from sidecar.board import Recorder, WorkerGauge
from sidecar.config.settings import ModelSettings, Settings, Shadow
from sidecar.config.tables import build_table
from sidecar.config.update import RoutingUpdate
from sidecar.errors import ConfigError
from sidecar.model import Role
from sidecar.proxy.acceptor import Acceptor, Listener
from sidecar.proxy.endpoint import tls_context
from sidecar.proxy.mirror import Mirror, shadow_settings
from sidecar.proxy.plane import Installed, Plane
from sidecar.proxy.pool import Pool
from sidecar.proxy.tasks import Tasks
from sidecar.routing import Router

log = logging.getLogger(__name__)

TICK_S: Final = (
    0.05  # how late a deadline may be noticed; a tick over 10,000 idle clients costs 0.3 ms
)
# A process that was stopped (a frozen container, a suspended machine) wakes up with every deadline
# passed and the answers still unread: it reads before it judges.
LATE_S: Final = 0.5
DRAIN_IDLE_S: Final = (
    1.0  # an idle client may still send one request, answered with `Connection: close`
)
DEFAULT_CONNECTIONS: Final = 16_384


class Worker:
    """See the module's text."""

    def __init__(
        self, *, index: int, settings: Settings, sockets: list[Listener], recorder: Recorder
    ) -> None:
        loop = asyncio.get_running_loop()
        self.index = index
        self._loop = loop
        self._recorder = recorder
        self._tasks = Tasks(loop)
        self._plane = Plane(recorder, loop, self._tasks)
        self._installed: Installed | None = None
        self._tick_handle: asyncio.TimerHandle | None = None
        self._ticked_at = loop.time()
        self._acceptors = [
            Acceptor(one, self._plane, limit=settings.limits.connections or DEFAULT_CONNECTIONS)
            for one in sockets
        ]
        self._plane.on_room = self._room

    # -- routing ---------------------------------------------------------------------------------

    def install(self, update: RoutingUpdate) -> None:
        """Route by `update` from the next request on. Raises ConfigError and changes nothing."""
        before = self._installed
        contexts = {name: _context(name, model) for name, model in update.models.items()}
        router = Router(build_table(update))
        if before is not None:
            for cell, key in enumerate(before.update.cells):
                new = update.cells[cell] if cell < len(update.cells) else None
                if key is not None and new is not None and new != key:
                    self._recorder.reset_cell(cell)
        pools = {
            name: self._pool(name, model, contexts[name], update, before)
            for name, model in update.models.items()
        }
        mirrors = {
            route.name: tuple(
                self._mirror(route.name, place, shadow, contexts[shadow.model], update, before)
                for place, shadow in enumerate(route.shadows)
            )
            for route in update.routes
        }
        installed = Installed(update, router=router, pools=pools, mirrors=mirrors)
        self._plane.current = self._installed = installed
        if before is not None:
            kept = set(installed.all_pools())
            for pool in before.all_pools():
                if pool not in kept:
                    pool.close()
                    self._plane.retired.append(pool)
        self._recorder.set_worker(WorkerGauge.ROUTING_VERSION, update.version)

    def _pool(
        self,
        name: str,
        model: ModelSettings,
        tls: ssl.SSLContext | None,
        update: RoutingUpdate,
        before: Installed | None,
    ) -> Pool:
        row = update.model_rows.index(name) if name in update.model_rows else -1
        if before is not None and before.update.models.get(name) == model:
            pool = before.pools[name]
            if pool.row == row:
                return pool  # its connections stay warm
        return self._new_pool(name, model, tls, row)

    def _new_pool(
        self, name: str, model: ModelSettings, tls: ssl.SSLContext | None, row: int
    ) -> Pool:
        return Pool(
            name,
            model,
            recorder=self._recorder,
            row=row,
            spawn=self._plane.spawn,
            now=self._plane.now,
            tls=tls,
        )

    def _mirror(
        self,
        route: str,
        place: int,
        shadow: Shadow,
        tls: ssl.SSLContext | None,
        update: RoutingUpdate,
        before: Installed | None,
    ) -> Mirror:
        model = update.models[shadow.model]
        cell = next(
            (
                at
                for at, key in enumerate(update.cells)
                if key is not None
                and (key.route, key.model, key.role) == (route, shadow.model, Role.SHADOW)
            ),
            -1,
        )
        if before is not None:
            for old, mirror in zip(
                _shadows(before.update, route), before.mirrors.get(route, ()), strict=True
            ):
                if (
                    old == shadow
                    and mirror.cell == cell
                    and before.update.models[shadow.model] == model
                ):
                    return mirror
        pool = self._new_pool(shadow.model, shadow_settings(model, shadow), tls, -1)
        return Mirror(shadow, cell=cell, pool=pool, recorder=self._recorder)

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

    def _room(self) -> None:
        for acceptor in self._acceptors:
            acceptor.room()

    async def drain(self, timeout_s: float) -> int:
        """Stop: accept what is queued, finish what runs, close what is idle.

        Answers carry `Connection: close` from now on; copies to shadows get a moment. Returns how many clients had to be cut off at
        the deadline.
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
        self._recorder.flush()
        return len(cut_off)


def _shadows(update: RoutingUpdate, route: str) -> tuple[Shadow, ...]:
    return next((one.shadows for one in update.routes if one.name == route), ())


def _context(name: str, model: ModelSettings) -> ssl.SSLContext | None:
    """The TLS context towards a model, None for plain HTTP. Raises ConfigError."""
    if not any(url.startswith("https:") for url in model.endpoints):
        return None
    try:
        return tls_context(model.tls)
    except OSError as error:
        raise ConfigError(str(error), path=f"$.models.{name}.tls") from error
