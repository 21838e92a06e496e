"""Both ends of the control socket together, on a real Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.config.observation import ObservationPlan
from sidecar.config.update import RoutingUpdate
from sidecar.control.client import ControlClient
from sidecar.control.messages import Ack, Hello, frame
from sidecar.control.workers import WorkerControl
from sidecar.errors import ConfigError


class FakeWorker:
    """A worker without a data plane: keeps what it was told, refuses or stalls on demand."""

    def __init__(self, index: int, path: Path) -> None:
        self.installed: list[int] = []
        self.observed: list[ObservationPlan] = []
        self.refuses: str | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.client = ControlClient(
            path,
            Hello(worker=index, pid=1000 + index),
            install=self.install,
            observe=self.observe,
            rng=random.random,
        )

    async def install(self, update: RoutingUpdate) -> None:
        await self.may_answer.wait()
        if self.refuses is not None:
            raise ConfigError(self.refuses)
        self.installed.append(update.version)

    def observe(self, plan: ObservationPlan) -> None:
        if self.refuses is not None:
            raise ConfigError(self.refuses)
        self.observed.append(plan)


class World:
    """A control socket and the workers that connect to it."""

    def __init__(self, path: Path, tasks: asyncio.TaskGroup) -> None:
        self.path = path
        self._tasks = tasks
        self.running: dict[int, asyncio.Task[None]] = {}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.setblocking(False)

    def worker(self, index: int) -> FakeWorker:
        worker = FakeWorker(index, self.path)
        self.running[index] = self._tasks.create_task(worker.client.run())
        return worker

    async def kill(self, index: int) -> None:
        task = self.running.pop(index)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with asyncio.TaskGroup() as tasks:
        made = World(tmp_path / "control.sock", tasks)
        yield made
        for index in list(made.running):
            await made.kill(index)
    made.listener.close()


async def until(fact, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not fact():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.005)


@pytest.fixture
async def control(world, start) -> AsyncIterator[WorkerControl]:
    made = WorkerControl(start(a=10).update(), expected=2, clock=time.monotonic)
    await made.start(world.listener.dup())
    yield made
    made.close()


def acknowledged(control: WorkerControl) -> list[int | None]:
    return [worker.version for worker in control.status()]


async def test_a_worker_that_connects_gets_the_newest_update_at_once(world, control):
    worker = world.worker(0)
    await until(lambda: acknowledged(control) == [1, None])
    assert worker.installed == [1]
    assert control.status()[0].pid == 1000


async def test_an_install_is_complete_when_every_connected_worker_has_acknowledged(
    world, control, start, salts
):
    workers = [world.worker(0), world.worker(1)]
    await until(lambda: acknowledged(control) == [1, 1])
    report = await control.install(start(a=10).rolled_back(None, salts).update(), timeout_s=5)
    assert report.complete
    assert report.acknowledged == (0, 1)
    assert report.absent == ()
    assert 0 < report.duration_s < 5
    assert [worker.installed for worker in workers] == [[1, 2], [1, 2]]


async def test_a_worker_that_is_not_there_is_absent_and_gets_it_when_it_comes(
    world, control, start, salts
):
    world.worker(0)
    await until(lambda: acknowledged(control) == [1, None])
    report = await control.install(start(a=10).rolled_back(None, salts).update(), timeout_s=5)
    assert report.complete
    assert (report.acknowledged, report.absent) == ((0,), (1,))
    late = world.worker(1)
    await until(lambda: acknowledged(control) == [2, 2])
    assert late.installed == [2]


async def test_a_worker_that_does_not_answer_in_time_is_missing_and_catches_up(
    world, control, start, salts
):
    world.worker(0)
    slow = world.worker(1)
    await until(lambda: acknowledged(control) == [1, 1])
    slow.may_answer.clear()
    report = await control.install(start(a=10).rolled_back(None, salts).update(), timeout_s=0.05)
    assert not report.complete
    assert (report.acknowledged, report.missing) == ((0,), (1,))
    slow.may_answer.set()
    await until(lambda: acknowledged(control) == [2, 2])


async def test_a_worker_that_refuses_is_named_with_its_reason_and_keeps_its_version(
    world, control, start, salts
):
    world.worker(0)
    stubborn = world.worker(1)
    await until(lambda: acknowledged(control) == [1, 1])
    stubborn.refuses = "no such file"
    report = await control.install(start(a=10).rolled_back(None, salts).update(), timeout_s=5)
    assert not report.complete
    assert report.acknowledged == (0,)
    assert "no such file" in report.refused[1]
    assert acknowledged(control) == [2, 1]
    assert "no such file" in (control.status()[1].error or "")


async def test_a_worker_that_reconnects_while_it_is_waited_for_counts_when_it_acknowledges(
    world, control, start, salts
):
    slow = world.worker(0)
    await until(lambda: acknowledged(control)[0] == 1)
    slow.may_answer.clear()
    update = start(a=10).rolled_back(None, salts).update()
    async with asyncio.TaskGroup() as tasks:
        installing = tasks.create_task(control.install(update, timeout_s=5))
        await asyncio.sleep(0.02)
        await world.kill(0)
        assert not installing.done()
        world.worker(0)
    assert installing.result().acknowledged == (0,)


async def test_workers_connect_again_when_the_controller_is_replaced(world, start, salts):
    state = start(a=10)
    first = WorkerControl(state.update(), expected=1, clock=time.monotonic)
    await first.start(world.listener.dup())
    worker = world.worker(0)
    await until(lambda: acknowledged(first) == [1])
    first.close()
    second = WorkerControl(
        state.rolled_back(None, salts).update(), expected=1, clock=time.monotonic
    )
    await second.start(world.listener.dup())
    await until(lambda: acknowledged(second) == [2])
    assert worker.installed == [1, 2]
    second.close()


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frame(Ack(version=1)),  # before Hello
        frame(Hello(worker=2, pid=1)),  # there are two
        frame(Hello(worker=-1, pid=1)),
    ],
)
async def test_who_is_no_worker_of_ours_is_disconnected(world, control, rubbish):
    reader, writer = await asyncio.open_unix_connection(world.path)
    writer.write(rubbish)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    assert [worker.connected for worker in control.status()] == [False, False]


async def test_a_bug_in_a_worker_is_a_refusal_and_not_the_end_of_it(world, control, start, salts):
    worker = world.worker(0)
    await until(lambda: acknowledged(control)[0] == 1)

    async def buggy(_update: RoutingUpdate) -> None:
        raise KeyError("bug")

    worker.client._install = buggy
    report = await control.install(start(a=10).rolled_back(None, salts).update(), timeout_s=5)
    assert "internal error" in report.refused[0]
    assert not world.running[0].done()


async def test_updates_may_overlap_and_each_is_confirmed_on_its_own(world, control, start, salts):
    slow = world.worker(0)
    await until(lambda: acknowledged(control)[0] == 1)
    second = start(a=10).with_weights("iris", {"a": 20}, salts)
    slow.may_answer.clear()
    first_installation = control.announce(second.update())
    second_installation = control.announce(second.rolled_back(None, salts).update())
    slow.may_answer.set()
    reports = [
        await control.confirmed(installation, timeout_s=5)
        for installation in (first_installation, second_installation)
    ]
    assert [report.version for report in reports] == [2, 3]
    assert all(report.acknowledged == (0,) for report in reports)
    assert slow.installed == [1, 2, 3]
