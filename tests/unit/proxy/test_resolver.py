"""Name resolution: what is asked, when, and what stands while the answer is late or missing."""

import asyncio
import socket

import pytest

from sidecar.proxy.resolver import FRESH_S, Resolver


class Zone:
    """What the system's resolver would say, put in its place on the running loop."""

    def __init__(self):
        self.answers = []  # addresses; an exception to raise; an event to wait for
        self.asked = 0

    async def getaddrinfo(self, host, port, *, type):  # noqa: A002  # the loop's word for it
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = ["192.0.2.99"]
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in answer]


@pytest.fixture
async def zone(monkeypatch):
    zone = Zone()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", zone.getaddrinfo)
    return zone


@pytest.fixture
async def spawn():
    tasks = set()

    def start(work, name):
        task = asyncio.get_running_loop().create_task(work, name=name)
        tasks.add(task)
        return task

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
async def test_an_address_is_never_asked_for(zone, spawn, address):
    resolver = Resolver(address, 80, spawn=spawn)
    assert await resolver.addresses(0.0) == ((address, 80),)
    assert not resolver.stale(1e9)
    assert zone.asked == 0


async def test_all_addresses_take_turns_at_being_first(zone, spawn):
    zone.answers = [["192.0.2.1", "192.0.2.2", "192.0.2.1"]]
    resolver = Resolver("model", 80, spawn=spawn)
    first = [(await resolver.addresses(0.0))[0][0] for _ in range(4)]
    assert sorted(first) == ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"]
    assert first[0] != first[1]


async def test_an_answer_is_used_until_it_is_stale_and_then_replaced(zone, spawn):
    zone.answers = [["192.0.2.1"], ["192.0.2.2"]]
    resolver = Resolver("model", 80, spawn=spawn)
    assert await resolver.addresses(0.0) == (("192.0.2.1", 80),)
    assert await resolver.addresses(FRESH_S) == (("192.0.2.1", 80),)
    assert zone.asked == 1
    assert await resolver.addresses(FRESH_S + 0.1) == (("192.0.2.2", 80),)


async def test_the_last_good_answer_stands_while_the_resolver_fails(zone, spawn):
    zone.answers = [["192.0.2.1"], socket.gaierror("no answer"), []]
    resolver = Resolver("model", 80, spawn=spawn)
    for now in (0.0, 10.0, 20.0):
        assert await resolver.addresses(now) == (("192.0.2.1", 80),)
    assert zone.asked == 3


async def test_the_last_good_answer_stands_while_the_resolver_is_silent(zone, spawn):
    silence = asyncio.Event()
    zone.answers = [["192.0.2.1"], silence]
    resolver = Resolver("model", 80, spawn=spawn)
    await resolver.addresses(0.0)
    for now in (10.0, 20.0, 30.0):
        assert await resolver.addresses(now) == (("192.0.2.1", 80),)
    assert zone.asked == 2  # one question is open: no other is asked
    silence.set()
    await resolver.refresh(30.0)
    assert resolver.known == (("192.0.2.99", 80),)


@pytest.mark.parametrize("nothing", [socket.gaierror("unknown"), UnicodeError("too long"), []])
async def test_a_name_without_any_address_is_an_error_of_the_system(zone, spawn, nothing):
    zone.answers = [nothing]
    with pytest.raises(OSError, match=r"."):
        await Resolver("nowhere", 80, spawn=spawn).addresses(0.0)


async def test_a_name_that_comes_into_being_is_found(zone, spawn):
    zone.answers = [socket.gaierror("not yet"), ["192.0.2.1"]]
    resolver = Resolver("model", 80, spawn=spawn)
    with pytest.raises(OSError, match="not yet"):
        await resolver.addresses(0.0)
    assert await resolver.addresses(0.1) == (("192.0.2.1", 80),)
