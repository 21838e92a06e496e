"""The main function of a worker process: the data plane on one event loop, with its link upwards.

A worker asks the controller what to route by, but does not depend on it: without an answer it
starts with the routing that was persisted last. SIGUSR2 drains it; its exit code is then 0.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable
from typing import Final, Protocol

import uvloop

from sidecar.app.inheritance import Inheritance
from sidecar.app.logbooks import OpenLogbook
from sidecar.app.process import END_SIGNAL, ExitCode, accept_signals
from sidecar.app.recovery import newest_state
from sidecar.config.update import RoutingUpdate
from sidecar.control.client import ControlClient
from sidecar.control.messages import Hello, Learned
from sidecar.errors import ConfigError
from sidecar.proxy import Worker

# Long enough for a controller that is just being restarted, short enough for a queue of clients.
FIRST_UPDATE_S: Final = 3.0
# What is measured shows on /metrics this late at most; a killed worker loses as much.
FLUSH_S: Final = 0.05

log: Final = logging.getLogger("sidecar.worker")


class DataPlane(Protocol):
    """What `Starter` needs of `sidecar.proxy.Worker`."""

    def install(self, update: RoutingUpdate) -> None:
        """Route by this from now on. Raises ConfigError and changes nothing."""

    async def start(self) -> None:
        """Begin to accept connections."""


class Starter:
    """Installs updates, and begins to accept connections with the first one.

    `settled` is set once it is known how the start ended: `started` or not.
    """

    def __init__(self, worker: DataPlane) -> None:
        self._worker = worker
        self._turn = asyncio.Lock()
        self.settled = asyncio.Event()
        self.started = False
        self.version = 0

    async def install(self, update: RoutingUpdate) -> None:
        """Route by `update`. Raises ConfigError and goes on as before when it cannot be."""
        async with self._turn:
            try:
                self._worker.install(update)
                if not self.started:
                    await self._worker.start()
                    self.started = True
                self.version = update.version
            finally:
                self.settled.set()


def run_worker(inherited: Inheritance, index: int) -> int:
    """Serve until told to drain; returns the process's exit code."""
    inherited.state_dir.close()
    inherited.close_control_listeners()
    return uvloop.run(_serve(inherited, index))


async def _serve(inherited: Inheritance, index: int) -> int:
    recorder = inherited.board.recorder(index)
    recorder.reset_gauges()
    recording = OpenLogbook.open(inherited, index, recorder)
    client: ControlClient  # which tells the worker, and is told by it
    worker = Worker(
        index=index,
        settings=inherited.settings,
        sockets=inherited.listeners,
        recorder=recorder,
        learned=lambda **rows: client.report(Learned(**rows)),
        logbook=None if recording is None else recording.logbook,
    )
    starter = Starter(worker)
    stop = _on_end_signal(starter.settled.set)
    client = ControlClient(
        inherited.state_dir.control_socket,
        Hello(worker=index, pid=os.getpid()),
        install=starter.install,
        observe=worker.observe,
        rng=random.random,
    )
    async with asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(_flush_often(recorder.flush), name="flush"),
            tasks.create_task(client.run(), name="control"),
        ]
        await _start(inherited, starter, index)
        if starter.started:
            log.info("serves", extra={"worker": index, "version": starter.version})
            await stop.wait()
            log.info("drains", extra={"worker": index})
            await worker.drain(inherited.settings.drain.timeout)
        for task in background:
            task.cancel()
    if recording is not None:
        await recording.close()
    recorder.flush()
    return ExitCode.DONE if stop.is_set() else ExitCode.USAGE


async def _start(inherited: Inheritance, starter: Starter, index: int) -> None:
    """Wait for the controller's routing; when it does not come, take the persisted one."""
    try:
        async with asyncio.timeout(FIRST_UPDATE_S):
            await starter.settled.wait()
    except TimeoutError:
        log.warning("no controller answers, takes the persisted routing", extra={"worker": index})
        try:
            await starter.install(newest_state(inherited).update())
        except ConfigError as error:
            log.error("cannot serve", extra={"worker": index, "reason": str(error)})  # noqa: TRY400 - no traceback


def _on_end_signal(wake: Callable[[], None]) -> asyncio.Event:
    """An event that the launcher's signal sets; `wake` ends a wait that would not notice it."""
    stop = asyncio.Event()

    def end() -> None:
        stop.set()
        wake()

    asyncio.get_running_loop().add_signal_handler(END_SIGNAL, end)
    accept_signals()
    return stop


async def _flush_often(flush: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        flush()
