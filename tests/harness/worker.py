"""A real `sidecar.proxy.Worker` on a uvloop of its own thread, with a board that counts.

    with Upstream() as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()

Without `routes` there is one, `all`, whose primary is the first model. Percentages come from the
routes' canaries. Everything a test wants from inside the loop goes through `call`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self, TypeVar

import uvloop

from harness.stream import DEADLINE_S, Stream
from sidecar.board import Board, BoardLayout, CellCounter, ModelGauge, WorkerGauge
from sidecar.board.jit import Kernels, warm
from sidecar.board.reading import Snapshot
from sidecar.config.observation import ObservationPlan, Watch
from sidecar.config.settings import Limits, ModelSettings, RouteSettings, Settings
from sidecar.config.update import RoutingUpdate
from sidecar.model import CellKey, Role
from sidecar.proxy import Listener, Worker
from sidecar.routing import Split
from sidecar.sketch import Area, AreaLayout

T = TypeVar("T")
CELLS = 32
MODEL_ROWS = 16
ARENA_WORDS = 1 << 18


@cache
def _kernels() -> Kernels:
    return warm(os.environ)


class RunningWorker:
    """See the module's text. `models` maps names to URLs or settings."""

    def __init__(
        self,
        *,
        models: Mapping[str, str | ModelSettings],
        routes: tuple[RouteSettings, ...] = (),
        limits: Limits | None = None,
        path: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._models = {
            name: ModelSettings(url=model) if isinstance(model, str) else model
            for name, model in models.items()
        }
        self._routes = routes or (RouteSettings(name="all", primary=next(iter(models))),)
        self._limits = limits or Limits()
        self._version = 0
        self._cells: list[CellKey] = []
        self._tls = tls
        self._path = path
        if path is not None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(path))
        else:
            self._socket = socket.socket()
            self._socket.bind(("127.0.0.1", 0))
            self.port: int = self._socket.getsockname()[1]
        self._socket.listen(512)
        self._socket.setblocking(False)
        self._board = Board.allocate(
            BoardLayout(workers=1, cells=CELLS, model_rows=MODEL_ROWS, arena_words=ARENA_WORDS),
            _kernels(),
        )
        self._recorder = self._board.recorder(0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="worker")
        self._clients: list[Stream] = []
        self.worker: Worker | None = None
        self.complaints: list[dict[str, Any]] = []  # what reached the loop's exception handler

    # -- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(DEADLINE_S)
        if self._failure is not None:
            self._socket.close()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the worker did not stop"
        if self._failure is not None:
            raise self._failure
        assert not self.complaints, self.complaints

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as failure:  # noqa: BLE001  # handed to the test's own thread
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self._end = asyncio.Event()
        worker = self.worker = Worker(
            index=0,
            settings=Settings(models=self._models, routes=self._routes, limits=self._limits),
            sockets=[Listener(self._socket, self._tls)],
            recorder=self._recorder,
        )
        worker.install(self._update())
        await worker.start()
        self._ready.set()
        await self._end.wait()
        await worker.drain(0)

    def _update(self) -> RoutingUpdate:
        self._version += 1
        for key in _cell_keys(self._routes):
            if key not in self._cells:
                self._cells.append(key)
        return RoutingUpdate(
            version=self._version,
            routes=self._routes,
            models=self._models,
            splits={
                route.name: Split.fresh(
                    route.primary, {one.model: one.percent for one in route.canaries}, "salt"
                )
                for route in self._routes
            },
            limits=self._limits,
            cells=tuple(self._cells),
            model_rows=tuple(self._models),
        )

    # -- what tests do ---------------------------------------------------------------------------

    def connect(
        self, *, deadline_s: float = DEADLINE_S, tls: ssl.SSLContext | None = None
    ) -> Stream:
        """A new client connection; closed with the worker at the latest."""
        if self._path is not None:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(self._path))
        else:
            sock = socket.create_connection(("127.0.0.1", self.port), timeout=deadline_s)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname="localhost")
        client = Stream(sock, deadline_s=deadline_s)
        self._clients.append(client)
        return client

    def call(self, work: Callable[[], T]) -> T:
        """Run `work` between two events of the worker's loop."""

        async def inside() -> T:
            return work()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(DEADLINE_S)

    def call_soon(self, work: Callable[[], object]) -> None:
        """Have `work` run between two events of the worker's loop, and go on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(work)

    def install(
        self,
        *,
        models: Mapping[str, ModelSettings] | None = None,
        routes: tuple[RouteSettings, ...] = (),
        limits: Limits | None = None,
    ) -> None:
        """Install other models, routes or limits. Raises ConfigError."""
        self._models = dict(models or self._models)
        self._routes = routes or self._routes
        self._limits = limits or self._limits
        update = self._update()
        assert self.worker is not None
        worker = self.worker
        self.call(lambda: worker.install(update))

    def drain(self, timeout_s: float) -> int:
        """Drain the worker; how many clients had to be cut off."""
        return self.begin_drain(timeout_s).result(timeout_s + DEADLINE_S)

    def begin_drain(self, timeout_s: float) -> Future[int]:
        """Begin to drain the worker, and go on."""
        assert self.worker is not None
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.worker.drain(timeout_s), self._loop)

    def observe(self, plan: ObservationPlan) -> None:
        """Have bodies looked into. Raises ConfigError."""
        assert self.worker is not None
        worker = self.worker
        self.call(lambda: worker.observe(plan))

    # -- what the board says ---------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything counted so far."""
        self.call(self._recorder.flush)
        return self._board.snapshot()

    def cell(self, model: str, role: Role = Role.PRIMARY, route: str | None = None) -> int:
        """The board's cell of a model in a role; of the first such route when none is named."""
        return next(
            at
            for at, key in enumerate(self._cells)
            if (key.model, key.role) == (model, role) and route in {None, key.route}
        )

    def area(self, watch: Watch) -> Area:
        """What was counted of a watch so far, everything that waits included."""
        assert self.worker is not None
        self.call(self.worker._plane.monitor.drain)
        layout = AreaLayout(watch.columns, watch.measures, watch.block_count)
        return self._board.read_area(layout, slot=watch.slot, at=watch.at, owner=watch.owner)

    def counted(self, model: str, counter: CellCounter, role: Role = Role.PRIMARY) -> int:
        """One counter of a model."""
        return self.snapshot().counter(self.cell(model, role), counter)

    def gauge(self, gauge: WorkerGauge) -> int:
        """One number of the worker."""
        return self.snapshot().worker_sum(gauge)

    def model_gauge(self, model: str, gauge: ModelGauge) -> int:
        """One number of a model's pool."""
        return self.snapshot().model_sum(list(self._models).index(model), gauge)

    def open_connections(self, model: str) -> int:
        """Connections to a model at this moment; those that are being made count too."""

        def count() -> int:
            assert self.worker is not None
            endpoints = self.worker._plane.current.pools[model].endpoints
            return sum(len(one.open) + one.connecting for one in endpoints)

        return self.call(count)

    @property
    def in_flight(self) -> int:
        """Requests being served at this moment."""

        def count() -> int:
            assert self.worker is not None
            return self.worker._plane.in_flight

        return self.call(count)

    def pass_time(self, seconds: float) -> None:
        """Let deadlines towards clients and models be met as if so much time had passed."""
        assert self.worker is not None
        plane = self.worker._plane
        self.call(lambda: plane.tick(plane.now() + seconds))

    def pass_client_time(self, seconds: float) -> None:
        """The same for clients alone: models lose nothing by it."""

        def expire() -> None:
            assert self.worker is not None
            plane = self.worker._plane
            for client in [one for one in plane.clients if one.deadline <= plane.now() + seconds]:
                client.expire()

        self.call(expire)

    def age_names(self, model: str, seconds: float) -> None:
        """Let what is known of the names of a model's endpoints be older by so much."""

        def age() -> None:
            assert self.worker is not None
            for endpoint in self.worker._plane.current.pools[model].endpoints:
                assert endpoint._resolver is not None
                endpoint._resolver._asked_at -= seconds

        self.call(age)

    def drop_idle(self, model: str) -> None:
        """Close a model's idle connections, so that the next request needs a new one."""

        def drop() -> None:
            assert self.worker is not None
            for endpoint in self.worker._plane.current.pools[model].endpoints:
                endpoint.close()

        self.call(drop)

    def wait_for(
        self, condition: Callable[[Self], bool], *, deadline_s: float = DEADLINE_S
    ) -> None:
        """Wait until the condition holds of this worker. Raises TimeoutError."""
        deadline = monotonic() + deadline_s
        while not condition(self):
            if monotonic() > deadline:
                raise TimeoutError("it never came true")
            sleep(0.005)


def _cell_keys(routes: tuple[RouteSettings, ...]) -> list[CellKey]:
    keys = []
    for route in routes:
        keys.append(CellKey(route=route.name, model=route.primary, role=Role.PRIMARY))
        for canary in route.canaries:
            keys.append(CellKey(route=route.name, model=canary.model, role=Role.CANARY))
        for shadow in route.shadows:
            keys.append(CellKey(route=route.name, model=shadow.model, role=Role.SHADOW))
    return keys
