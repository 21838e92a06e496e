"""Calls of a sink: each has an outcome and an end, whatever the sink does."""

import asyncio

import pytest
from harness.delivering import ScriptedSink, item

from sidecar.delivery import ALL_DELIVERED, Refused, Unavailable
from sidecar.delivery.caller import Caller

BATCH = [item(1), item(2)]


@pytest.fixture
def call():
    """Deliver a batch by a caller; its outcome."""

    async def deliver(caller):
        outcomes = []
        async with asyncio.TaskGroup() as tasks:
            await caller.deliver(BATCH, tasks, outcomes.append)
        (outcome,) = outcomes
        return outcome

    return deliver


def caller(sink, *, timeout_s=5.0, grace_s=1.0):
    return Caller("files", sink, timeout_s=timeout_s, grace_s=grace_s)


async def test_a_sink_is_opened_once_and_before_the_first_batch(call):
    sink = ScriptedSink()
    one = caller(sink)
    assert await call(one) == ALL_DELIVERED
    assert await call(one) == ALL_DELIVERED
    assert sink.opened == 1


async def test_a_sink_that_cannot_be_opened_is_opened_anew_each_time(call):
    class Locked(ScriptedSink):
        async def open(self):
            await super().open()
            if self.opened < 3:
                raise Unavailable("locked")

    sink = Locked()
    one = caller(sink)
    assert [getattr(await call(one), "reason", None) for _ in range(3)] == ["locked"] * 2 + [None]
    assert sink.opened == 3


@pytest.mark.parametrize("ending", [Refused("no"), Unavailable("later")])
async def test_what_a_sink_raises_is_the_outcome(call, ending):
    def raises(_):
        raise ending

    assert await call(caller(ScriptedSink(raises))) is ending


async def test_a_sink_that_ignores_being_cancelled_is_cancelled_until_it_ends(call):
    cancelled = 0

    async def stubborn(_):
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1

    outcome = await call(caller(ScriptedSink(stubborn), timeout_s=0.05))
    assert cancelled == 2
    assert outcome == ALL_DELIVERED  # it came to that in the end, and is believed


async def test_closing_has_an_end_too(caplog):
    class Sticky(ScriptedSink):
        async def close(self):
            await asyncio.Event().wait()

    await caller(Sticky(), grace_s=0.05).close()
    assert [one.message for one in caplog.records] == ["a sink did not close"]


async def test_a_sink_is_closed_also_when_it_was_never_open():
    sink = ScriptedSink()
    await caller(sink).close()
    assert (sink.opened, sink.closed) == (0, 1)


async def test_a_flush_that_takes_too_long_is_an_error(call):
    class Slow(ScriptedSink):
        async def flush(self):
            await asyncio.Event().wait()

    one = caller(Slow(), timeout_s=0.05)
    await call(one)
    with pytest.raises(OSError, match=r"it took more than 0\.05 s"):
        await one.flush()
