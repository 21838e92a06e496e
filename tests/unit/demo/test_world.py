"""The demo's processes: started, watched, and gone when the demo ends. They are real ones."""

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

from sidecar.demo import world as worlds
from sidecar.demo.training import train
from sidecar.demo.world import a_world
from sidecar.errors import LocalError


@pytest.fixture
def model(loans, tmp_path):
    train("trial", loans).model.save(tmp_path / "trial.model")
    return tmp_path / "trial.model"


@pytest.fixture
def mark(monkeypatch, tmp_path):
    """An environment variable that tells the processes of this test from all others."""
    monkeypatch.setenv("SIDECAR_TEST_MARK", str(tmp_path))
    return f"SIDECAR_TEST_MARK={tmp_path}".encode()


def marked(mark):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(process.name) != os.getpid() and mark in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


async def test_leaving_a_world_ends_every_process(model, mark, tmp_path):
    async with a_world(tmp_path) as world:
        first, second = await asyncio.gather(
            world.start_model("stable", "1", model), world.start_model("next", "2", model)
        )
        assert first != second
        assert len(marked(mark)) == 2
    assert marked(mark) == []


async def test_leaving_a_world_by_an_error_ends_every_process_too(model, mark, tmp_path):
    async def use_it_and_fail():
        async with a_world(tmp_path) as world:
            await world.start_model("stable", "1", model)
            assert len(marked(mark)) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use_it_and_fail()
    assert marked(mark) == []


async def test_a_child_that_cannot_start_is_reported_with_its_last_words(mark, tmp_path):
    async with a_world(tmp_path) as world:
        with pytest.raises(LocalError, match=r"(?s)stable ended with status 1.*FileNotFoundError"):
            await world.start_model("stable", "1", tmp_path / "nowhere")


async def test_a_child_that_dies_later_is_noticed(model, mark, tmp_path):
    async with a_world(tmp_path) as world:
        await world.start_model("stable", "1", model)
        (pid,) = marked(mark)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ExceptionGroup) as deaths:
            await asyncio.wait_for(world.watch(), 10)
    assert deaths.group_contains(LocalError, match="stable ended with status -9")


async def test_a_child_that_ignores_sigterm_is_killed(monkeypatch, mark, tmp_path):
    monkeypatch.setattr(worlds, "_STOP_S", 0.3)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    async with a_world(tmp_path) as world:
        await world._start("deaf", "-c", deaf)
        await asyncio.sleep(0.2)
    assert marked(mark) == []


def test_a_port_that_is_taken_is_not_insisted_on():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        assert worlds._free_address(port) != f"127.0.0.1:{port}"
    assert worlds._free_address(port) == f"127.0.0.1:{port}"
