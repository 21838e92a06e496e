"""Changes of routing through the control plane: one at a time, to workers and disk at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sidecar.config.settings import Settings
from sidecar.config.update import RoutingUpdate
from sidecar.control.client import ControlClient
from sidecar.control.messages import Hello
from sidecar.control.persistence import StateFile
from sidecar.control.plane import ControlPlane
from sidecar.control.state import RoutingState
from sidecar.control.workers import WorkerControl
from sidecar.errors import ClientError, ConfigError


class Disk:
    """A real state file that can be made to fail, or to take its time."""

    def __init__(self, path: Path) -> None:
        self.file = StateFile(path)
        self.full = False
        self.may_write = threading.Event()
        self.may_write.set()

    def write(self, state: RoutingState) -> None:
        self.may_write.wait(5)
        if self.full:
            raise OSError(28, "No space left on device")
        self.file.write(state)


class World:
    """A control plane with one worker on a real control socket."""

    def __init__(self, directory: Path, state: RoutingState, load: Callable[[], Settings]) -> None:
        self.disk = Disk(directory / "routing.msgpack")
        self.disk.write(state)
        self.path = directory / "control.sock"
        self.settings = load()
        self.loaded: Settings | Exception = self.settings
        self.workers = WorkerControl(state.update(), expected=1, clock=time.monotonic)
        self.installed: list[RoutingUpdate] = []
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.refuses: int | None = None  # a version that the worker cannot take over
        self.plane = ControlPlane(
            state,
            running=self.settings,
            store=self.disk,
            workers=self.workers,
            load=self._load,
            salts=lambda: "salt",
        )

    def _load(self) -> Settings:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded

    async def take(self, update: RoutingUpdate) -> None:
        await self.may_take.wait()
        if update.version == self.refuses:
            raise ConfigError("cannot be taken over", path="$.models.stable.tls")
        self.installed.append(update)


@pytest.fixture
async def world(tmp_path, start, make_settings) -> AsyncIterator[World]:
    made = World(tmp_path, start(a=10), lambda: make_settings(a=10))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(made.path))
    listener.listen()
    listener.setblocking(False)
    await made.workers.start(listener)
    client = ControlClient(
        made.path,
        Hello(worker=0, pid=1),
        install=made.take,
        observe=lambda _plan: None,
        rng=random.random,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(client.run())
        await until(lambda: made.workers.status()[0].version == 1)
        yield made
        running.cancel()
    made.workers.close()


async def until(fact, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not fact():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.005)


async def test_a_change_is_in_every_worker_and_on_disk_when_it_is_answered(world):
    report = await world.plane.set_weights("iris", {"a": 20})
    assert report.persisted
    assert report.install.acknowledged == (0,)
    assert world.installed[-1] == world.plane.routing
    assert world.disk.file.read() == world.plane.state


async def test_workers_do_not_wait_for_the_disk(world):
    world.disk.may_write.clear()
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(world.plane.rollback(None))
        await until(lambda: world.installed[-1].version == 2)
        assert not answer.done()
        world.disk.may_write.set()
    assert answer.result().persisted


async def test_a_full_disk_does_not_stop_a_rollback_and_is_reported(world):
    world.disk.full = True
    report = await world.plane.rollback("iris")
    assert report.install.complete
    assert not report.persisted
    assert not world.plane.persisted
    assert world.installed[-1].splits["iris"].percents()["a"] == 0


async def test_what_a_full_disk_refused_is_written_once_there_is_room(world, monkeypatch, caplog):
    monkeypatch.setattr("sidecar.control.plane.WRITE_AGAIN_S", 0.01)
    world.disk.full = True
    await world.plane.rollback("iris")
    writing = asyncio.ensure_future(world.plane.keep_writing())
    await asyncio.sleep(0.05)
    assert not world.plane.persisted
    assert caplog.text.count("cannot be written") == 1  # said once, not at every attempt
    world.disk.full = False
    await until(lambda: world.plane.persisted)
    assert world.disk.file.read() == world.plane.state
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing


async def test_changes_at_the_same_moment_happen_one_after_the_other(world):
    reports = await asyncio.gather(
        *(world.plane.set_weights("iris", {"a": percent}) for percent in range(1, 9))
    )
    assert sorted(report.install.version for report in reports) == list(range(2, 10))
    assert [update.version for update in world.installed] == list(range(1, 10))
    assert world.disk.file.read() == world.plane.state


async def test_a_rollback_does_not_wait_for_a_change_that_nobody_confirms(world):
    world.may_take.clear()  # the worker hangs in the change before
    async with asyncio.TaskGroup() as tasks:
        earlier = tasks.create_task(world.plane.set_weights("iris", {"a": 90}))
        await asyncio.sleep(0)
        rollback = tasks.create_task(world.plane.rollback(None))
        await until(lambda: world.plane.state.version == 3)
        world.may_take.set()
    assert earlier.result().install.version == 2
    assert rollback.result().install.version == 3
    assert world.installed[-1].splits["iris"].percents()["a"] == 0
    assert world.disk.file.read() == world.plane.state


async def test_a_rollback_during_a_reload_that_is_taken_back_stays(world, make_settings):
    world.loaded = make_settings(a=50)
    world.refuses = 2
    world.may_take.clear()
    async with asyncio.TaskGroup() as tasks:
        reload = tasks.create_task(_failed_reload(world.plane))
        await until(lambda: world.plane.state.version == 2)
        tasks.create_task(world.plane.rollback(None))
        await until(lambda: world.plane.state.version == 3)
        world.may_take.set()
    assert reload.result()
    assert world.plane.state.version == 4
    assert world.plane.state.overrides == {"iris": {"a": 0.0}}
    assert world.plane.state.routes[0].canaries[0].percent == 10
    assert world.installed[-1].splits["iris"].percents()["a"] == 0


async def _failed_reload(plane: ControlPlane) -> bool:
    with pytest.raises(ConfigError):
        await plane.reload()
    return True


async def test_a_refused_change_changes_nothing(world):
    before = world.plane.state
    with pytest.raises(ClientError):
        await world.plane.set_weights("iris", {"nope": 1})
    assert world.plane.state is before
    assert world.disk.file.read() == before


async def test_a_reload_that_fails_changes_nothing(world):
    before = world.plane.state
    world.loaded = ConfigError("wrong")
    with pytest.raises(ConfigError, match="wrong"):
        await world.plane.reload()
    assert world.plane.state is before
    assert len(world.installed) == 1


async def test_a_reload_that_a_worker_refuses_is_taken_back_under_a_newer_version(
    world, make_settings
):
    before = world.plane.state
    world.loaded = make_settings(a=50)
    world.refuses = 2
    with pytest.raises(ConfigError, match=r"worker 0: .*cannot be taken over"):
        await world.plane.reload()
    assert world.plane.state.version == 3
    assert world.plane.state.splits == before.splits
    assert world.installed[-1].version == 3
    assert world.disk.file.read() == world.plane.state


async def test_a_reload_reports_overrides_and_keys_that_need_a_restart(world, make_settings):
    await world.plane.set_weights("iris", {"a": 1})
    changed = make_settings(a=50)
    world.loaded = type(changed)(
        models=changed.models, routes=changed.routes, workers=3, listen="127.0.0.1:1"
    )
    report = await world.plane.reload()
    assert report.needs_restart == ["listen", "workers"]
    assert [(one.model, one.percent, one.file_percent) for one in report.overrides] == [
        ("a", 1, 50)
    ]
