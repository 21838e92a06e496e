"""Dead letters that a pump brings to its sink again, beside what the journal holds."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest
from harness.delivering import (
    Journal,
    ScriptedSink,
    eventually,
    item,
    pump_of,
    running,
    settled,
)

from sidecar.config.sinks import JsonlSink as JsonlSettings
from sidecar.delivery import ALL_DELIVERED, CircuitState, Delivered, Refused, Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for

LETTERS = [item(900), item(901)]


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal") as journal:
        yield journal


async def test_dead_letters_and_new_records_share_a_sink_and_not_the_books(journal, tmp_path):
    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(tmp_path / "cursor"))
    journal.add(50)
    async with running(pump):
        assert await pump.redeliver(LETTERS) == ALL_DELIVERED
        journal.add(50)
        await eventually(lambda: pump.figures.delivered == 100, "the journal is delivered")
        await eventually(lambda: settled(pump) == journal.logged, "the books are saved")

    assert sorted(sink.got) == sorted([*journal.ids, *(one.id for one in LETTERS)])
    assert sink.opened == 1


@pytest.mark.parametrize(
    "outcome",
    [Delivered(refused=((1, "too large"),)), Refused("no such topic"), Unavailable("gone")],
)
async def test_what_the_sink_says_of_dead_letters_comes_back_as_it_is(journal, tmp_path, outcome):
    def ending(_batch):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    pump = pump_of(ScriptedSink(ending), journal.source(tmp_path / "cursor"))
    async with running(pump):
        assert await pump.redeliver(LETTERS) == outcome

    assert (pump.figures.attempts, pump.figures.dead_lettered) == (0, 0)


async def test_a_sink_that_is_down_is_left_alone(journal, tmp_path):
    def gone(_batch):
        raise Unavailable("gone")

    async def pause(_seconds: float) -> None:
        await asyncio.sleep(30 if pump.figures.state is CircuitState.OPEN else 0)

    sink = ScriptedSink(gone)
    pump = pump_of(sink, journal.source(tmp_path / "cursor"), pause=pause)
    journal.add(1)
    async with running(pump):
        await eventually(lambda: pump.figures.state is CircuitState.OPEN, "the circuit is open")
        asked = len(sink.batches)
        outcome = await pump.redeliver(LETTERS)

    assert (outcome.reason, len(sink.batches)) == ("it is down", asked)


async def test_a_pump_that_has_ended_takes_nothing(journal, tmp_path):
    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(tmp_path / "cursor"))
    async with running(pump):
        await pump.redeliver(LETTERS)

    assert isinstance(await pump.redeliver(LETTERS), Unavailable)
    assert len(sink.batches) == 1


async def test_a_flush_that_fails_takes_nothing_for_granted(journal, tmp_path):
    """What was not flushed may be lost, records of the journal too: those come again."""

    class Forgetful(ScriptedSink):
        fails = False

        async def flush(self) -> None:
            if self.fails:
                self.fails = False
                raise Unavailable("the disk broke")

    sink = Forgetful()
    pump = pump_of(sink, journal.source(tmp_path / "cursor"))
    journal.add(10)
    async with running(pump):
        await eventually(lambda: len(sink.got) == 10, "the journal is delivered")
        sink.fails = True
        assert isinstance(await pump.redeliver(LETTERS), Unavailable)
        await eventually(lambda: settled(pump) == journal.logged, "the books are saved")

    assert set(sink.got) == {*journal.ids, *(one.id for one in LETTERS)}


async def test_files_that_are_locked_by_their_pump_take_dead_letters_too(journal, tmp_path):
    settings = JsonlSettings(name="files", path=str(tmp_path / "files"))
    surroundings = Surroundings(environ=os.environ, wall_ns=time.time_ns, chance=lambda: 0.5)
    pump = pump_of(sink_for(settings, surroundings), journal.source(tmp_path / "cursor"))
    journal.add(5)
    async with running(pump):
        await eventually(lambda: pump.figures.delivered == 5, "the journal is delivered")
        assert await pump.redeliver(LETTERS) == ALL_DELIVERED

    (file,) = (tmp_path / "files").glob("*.jsonl")
    ids = [json.loads(line)["id"] for line in file.read_text().splitlines()]
    assert sorted(ids) == sorted([*journal.ids, *(one.id for one in LETTERS)])
