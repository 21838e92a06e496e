"""What all connections of a worker share: the installed routing, the clock, the counts.

`current` is replaced whole when a routing update is installed; an exchange keeps the one it began
with. Single-threaded: everything here belongs to the worker's event loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from sidecar.board import Recorder, WorkerGauge
from sidecar.config.settings import Limits
from sidecar.config.update import RoutingUpdate
from sidecar.logbook import Logbook
from sidecar.monitor import Monitor
from sidecar.proxy.client import ClientConnection
from sidecar.proxy.forwarding import Hop, Ids
from sidecar.proxy.head import RequestParser
from sidecar.proxy.mirror import Mirror
from sidecar.proxy.pool import Pool
from sidecar.proxy.tasks import Tasks
from sidecar.proxy.tunnel import Tunnel
from sidecar.routing import Router


class Installed:
    """One routing update, ready for use. `mirrors[route][i]` serves the route's shadow `i`."""

    __slots__ = ("limits", "mirrors", "pools", "requests", "router", "update")

    def __init__(
        self,
        update: RoutingUpdate,
        *,
        router: Router,
        pools: dict[str, Pool],
        mirrors: dict[str, tuple[Mirror, ...]],
    ) -> None:
        self.update = update
        self.router = router
        self.pools = pools
        self.mirrors = mirrors
        self.limits: Limits = update.limits
        self.requests = RequestParser(router.watched, limits=update.limits)

    @property
    def copies_in_flight(self) -> int:
        """Copies that shadows have not answered yet."""
        return sum(mirror.in_flight for mirrors in self.mirrors.values() for mirror in mirrors)

    def all_pools(self) -> tuple[Pool, ...]:
        """The pools of models and those of shadows."""
        shadows = (mirror.pool for mirrors in self.mirrors.values() for mirror in mirrors)
        return (*self.pools.values(), *shadows)


class Plane:
    """See the module's text. `current` and `monitor` are set before there is a connection.

    `logbook` is None when nothing is recorded.
    """

    current: Installed
    monitor: Monitor

    def __init__(
        self,
        recorder: Recorder,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        logbook: Logbook | None = None,
    ) -> None:
        self.recorder = recorder
        self.logbook = logbook
        self.tasks = tasks
        self.now: Callable[[], float] = loop.time
        self.soon: Callable[..., object] = loop.call_soon
        generator = random.Random()  # noqa: S311  # splits traffic and names requests; guards nothing
        self.random: Callable[[], float] = generator.random
        self.ids = Ids(generator.getrandbits)
        self.clients: set[ClientConnection] = set()
        self.tunnels: set[Tunnel] = set()
        self.in_flight = 0
        self.draining = False
        self.on_room: Callable[[], None] | None = None  # a client left: the acceptor may go on
        self.retired: set[Pool] = set()  # pools of replaced updates that still serve calls
        self._hops = {tls: Hop(peer="unknown", tls=tls) for tls in (False, True)}

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run background work of the data plane."""
        return self.tasks.spawn(work, name)

    def unknown_hop(self, *, tls: bool) -> Hop:
        """The hop of a client without an address, as on a Unix socket."""
        return self._hops[tls]

    def left(self, client: ClientConnection) -> None:
        """A client connection is gone."""
        self.clients.discard(client)
        if self.on_room is not None:
            self.on_room()

    def retire(self, pool: Pool) -> None:
        """A pool is no longer part of `current`: look after it while it serves calls."""
        self.retired.add(pool)
        pool.retire(self.retired.add)

    def originated(self, status: int) -> None:
        """Count an answer of the sidecar's own."""
        self.recorder.add_worker(WorkerGauge.rejected(status))

    def tick(self, now: float) -> None:
        """Let deadlines pass, and show what is going on."""
        for client in [one for one in self.clients if one.deadline <= now]:
            client.expire()
        for tunnel in [one for one in self.tunnels if one.deadline <= now]:
            tunnel.expire()
        show = self.recorder.set_worker
        show(WorkerGauge.IN_FLIGHT, self.in_flight)
        show(WorkerGauge.CONNECTIONS, len(self.clients) + len(self.tunnels))
        show(WorkerGauge.SHADOWS_IN_FLIGHT, self.current.copies_in_flight)
        for pool in (*self.current.all_pools(), *self.retired):
            pool.tick(now)
        self.retired -= {pool for pool in self.retired if not pool.in_use}
