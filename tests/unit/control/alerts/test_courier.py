"""Delivery: again and again, in order, as patient as the receiver wants, and not for ever."""

import asyncio
import contextlib

import msgspec
import pytest

from sidecar.control.alerts.courier import Backoff, Courier, Outcome
from sidecar.control.alerts.senders import NotDelivered
from sidecar.control.alerts.trial import trial_message

S = 1_000_000_000


class Script:
    """A sender whose attempts end as listed; afterwards all succeed."""

    def __init__(self, *endings):
        self.endings = list(endings)
        self.attempts = []

    async def send(self, message):
        self.attempts.append(message.id)
        if self.endings:
            ending = self.endings.pop(0)
            if ending is not None:
                raise ending


class Clock:
    """Time passes only by waiting."""

    def __init__(self):
        self.now_ns = 1000 * S
        self.waits_s = []

    async def pause(self, seconds):
        self.waits_s.append(seconds)
        self.now_ns += round(seconds * S)
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def courier(policy, clock):
    """Run a courier over a script; returns it and what was confirmed."""
    async with contextlib.AsyncExitStack() as stack:

        def start(script):
            confirmed = []

            async def confirm(message):
                confirmed.append(message.id)

            made = Courier(
                policy().receivers["ops"],
                script,
                confirm=confirm,
                now_ns=lambda: clock.now_ns,
                chance=lambda: 1.0,
                backoff=Backoff(),
                pause=clock.pause,
            )
            task = asyncio.ensure_future(made.run())

            async def end():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

            stack.push_async_callback(end)
            return made, confirmed

        yield start


def message(name: str, clock, group: str = ""):
    made = trial_message("ops", name, clock.now_ns)
    return msgspec.structs.replace(made, group=(("g", group or name),))


async def idle(courier):
    """Let it work until nothing waits; bounded, as everything takes a few turns of the loop."""
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not courier.waiting


async def test_a_message_that_arrives_is_confirmed(courier, clock):
    made, confirmed = courier(Script())
    made.take(message("a", clock))
    await idle(made)

    assert confirmed == ["a"]
    assert made.outcomes == {Outcome.DELIVERED: 1}
    assert made.last_delivered_ns == clock.now_ns


async def test_a_failure_is_tried_again_at_growing_distances(courier, clock):
    script = Script(*[NotDelivered("down")] * 8)
    made, confirmed = courier(script)
    made.take(message("a", clock))
    await idle(made)

    assert clock.waits_s[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert script.attempts == ["a"] * 9
    assert confirmed == ["a"]
    assert (made.failures, made.outcomes[Outcome.FAILED]) == (0, 8)


async def test_other_messages_wait_while_a_receiver_is_left_alone(courier, clock):
    script = Script(NotDelivered("down"), NotDelivered("down"))
    made, confirmed = courier(script)
    made.take(message("a", clock))
    made.take(message("b", clock))
    await idle(made)

    assert script.attempts == ["a", "a", "a", "b"]
    assert confirmed == ["a", "b"]


async def test_a_receiver_that_asks_for_patience_gets_it(courier, clock):
    made, _ = courier(Script(NotDelivered("busy", retry_after_s=45)))
    made.take(message("a", clock))
    await idle(made)

    assert clock.waits_s[0] == 45


async def test_what_was_tried_for_too_long_is_given_up(courier, clock):
    script = Script(*[NotDelivered("down")] * 100)
    made, confirmed = courier(script)
    made.take(message("a", clock))
    await idle(made)

    assert confirmed == []
    assert made.outcomes[Outcome.GIVEN_UP] == 1
    assert sum(clock.waits_s) == pytest.approx(made.receiver.give_up_ns / S)
    assert made.last_error == "down"


async def test_a_newer_message_of_a_group_takes_the_place_of_the_older(courier, clock):
    made, confirmed = courier(Script())
    made.take(message("old", clock, group="g"))
    made.take(message("new", clock, group="g"))
    await idle(made)

    assert confirmed == ["new"]


async def test_a_sender_that_is_broken_is_a_receiver_that_is_down(courier, clock):
    made, confirmed = courier(Script(KeyError("bug")))
    made.take(message("a", clock))
    await idle(made)

    assert confirmed == ["a"]
    assert made.outcomes[Outcome.FAILED] == 1


@pytest.mark.parametrize(("chance", "wait_s"), [(0.0, 30), (0.5, 45)])
def test_waits_are_spread_by_chance(chance, wait_s):
    assert Backoff().wait_s(50, chance) == wait_s
