"""How a worker starts: with the first routing it gets, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.app.worker import Starter
from sidecar.config.settings import Limits
from sidecar.config.update import RoutingUpdate
from sidecar.errors import ConfigError


def update(version: int) -> RoutingUpdate:
    return RoutingUpdate(
        version=version,
        routes=(),
        models={},
        splits={},
        limits=Limits(),
        cells=(),
        model_rows=(),
    )


class RecordingPlane:
    """A data plane that writes down what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refuses = False

    def install(self, update: RoutingUpdate) -> None:
        if self.refuses:
            raise ConfigError("cannot")
        self.calls.append(f"install {update.version}")

    async def start(self) -> None:
        await asyncio.sleep(0)
        self.calls.append("start")


async def test_it_accepts_connections_with_the_first_routing_and_only_once():
    plane = RecordingPlane()
    starter = Starter(plane)
    assert not starter.settled.is_set()
    await asyncio.gather(starter.install(update(1)), starter.install(update(2)))
    assert plane.calls == ["install 1", "start", "install 2"]
    assert starter.started
    assert starter.version == 2


async def test_a_first_routing_that_cannot_be_taken_settles_the_start_without_starting():
    plane = RecordingPlane()
    plane.refuses = True
    starter = Starter(plane)
    with pytest.raises(ConfigError):
        await starter.install(update(1))
    assert starter.settled.is_set()
    assert not starter.started


async def test_a_later_refusal_leaves_it_serving():
    plane = RecordingPlane()
    starter = Starter(plane)
    await starter.install(update(1))
    plane.refuses = True
    with pytest.raises(ConfigError):
        await starter.install(update(2))
    assert starter.started
    assert starter.version == 1
