"""Lines on the standard output: whole ones, also for a reader that is slow or leaves."""

import asyncio
import fcntl
import os

import pytest
from harness.delivering import START_NS, item

from sidecar.config.sinks import StdoutSink as StdoutSettings
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks import Surroundings
from sidecar.delivery.sinks.stdout import StdoutSink
from sidecar.records import from_json

SURROUNDINGS = Surroundings(environ={}, wall_ns=lambda: START_NS, chance=lambda: 0.5)


@pytest.fixture
def pipe():
    reads, writes = os.pipe()
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 4096)
    ends = {"reads": reads, "writes": writes}
    yield ends
    for descriptor in ends.values():
        os.close(descriptor)


@pytest.fixture
async def sink(pipe):
    made = StdoutSink(StdoutSettings(name="out"), SURROUNDINGS, descriptor=pipe["writes"])
    await made.open()
    yield made
    await made.close()


async def test_a_line_is_a_record(sink, pipe):
    await sink.deliver([item(1), item(2)])
    lines = os.read(pipe["reads"], 65536).splitlines()
    assert [from_json(line).id for line in lines] == [item(1).id, item(2).id]


async def test_without_another_it_is_the_standard_output(capfd):
    sink = StdoutSink(StdoutSettings(name="out"), SURROUNDINGS)
    await sink.deliver([item(1)])
    await sink.close()
    assert from_json(capfd.readouterr().out).id == item(1).id


async def test_a_reader_that_is_slow_gets_whole_lines_though_some_come_twice(sink, pipe):
    batch = [item(number) for number in range(20)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await sink.deliver(batch)  # the pipe takes a third of it
    received = bytearray()

    def drain():
        while data := os.read(pipe["reads"], 1024):
            received.extend(data)
            if received.count(item(19).id.encode()):
                return

    reading = asyncio.get_running_loop().run_in_executor(None, drain)
    await sink.deliver(batch)
    await asyncio.wait_for(reading, 5)
    ids = [from_json(line).id for line in bytes(received).splitlines()]
    begun = len(ids) - 20
    assert begun > 0
    assert ids == [one.id for one in batch[:begun]] + [one.id for one in batch]


async def test_a_reader_that_leaves_makes_it_unavailable(sink, pipe):
    os.close(pipe.pop("reads"))
    with pytest.raises(Unavailable, match="Broken pipe"):
        await sink.deliver([item(1)])
