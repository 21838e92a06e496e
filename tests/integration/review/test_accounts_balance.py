"""Whatever happens to them, requests are counted once, and nothing of them is left behind.

Clients and models misbehave by chance while updates are installed; each seed is a case of its own.
"""

from __future__ import annotations

import contextlib
import random
import threading
from time import sleep

import pytest
from harness.messages import get, ok, ok_chunked, post
from harness.stream import Stream, StreamEnded
from harness.upstream import Connection, Upstream
from harness.waiting import wait_until
from harness.worker import RunningWorker

from sidecar.board import CellCounter
from sidecar.config.settings import (
    Breaker,
    Canary,
    Limits,
    ModelSettings,
    Pool,
    RouteSettings,
    Shadow,
    Timeouts,
)
from sidecar.config.units import Duration, Size
from sidecar.model import Role, ShadowOutcome

CLIENTS = 8
ROUNDS = 25
ENDS = (
    CellCounter.STATUS_1XX,
    CellCounter.STATUS_2XX,
    CellCounter.STATUS_3XX,
    CellCounter.STATUS_4XX,
    CellCounter.STATUS_5XX,
    CellCounter.ERROR,
    CellCounter.FALLBACK,
    CellCounter.ABORTED,
)
UPGRADE = "Connection: Upgrade\r\nUpgrade: x\r\n"
ANSWERS = (
    ok(),
    ok(),
    ok(fields="Connection: close\r\n"),
    ok(b"more than announced", announced=4),
    ok(b"less", announced=9),
    ok(bytes(400_000)),
    ok_chunked(b"a", b"bc"),
    ok_chunked(b"a", last=False),
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(),
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 999 What\r\n\r\n",
    b"rubbish\r\n\r\n",
    b"",
)
REQUESTS = (
    get(),
    get(),
    get() * 3,
    get(version="1.0"),
    get(fields=UPGRADE),
    get(fields="Connection: close\r\n"),
    get("/", fields="X: " + "y" * 3000 + "\r\n"),
    post(),
    post() + get(),
    post(bytes(300_000)),
    post(b"part", announced=9),
    post(b"part", announced=9, fields="Expect: 100-continue\r\n"),
    post(b"", announced=10**9),
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HT",
)


def moody(chance: random.Random):
    """A model that answers, hangs, resets or leaves, early or late."""

    def script(model: Connection) -> None:
        while True:
            mood = chance.random()
            if mood < 0.1:
                model.reset()
                return
            (model.read_head if mood < 0.3 else model.read_request)()
            if mood > 0.95:
                model.read_to_end()
            elif mood > 0.9:
                model.reset()
                return
            elif mood > 0.85:
                return
            answer = chance.choice(ANSWERS)
            cut = chance.randrange(len(answer) + 1) if chance.random() < 0.3 else 0
            model.send(answer[:cut])
            sleep(chance.choice((0, 0, 0.01)))
            model.send(answer[cut:])
            if answer.startswith(b"HTTP/1.1 101"):
                model.read_to_end()  # whatever comes is no longer HTTP
            if mood < 0.3:
                return  # with a body unread, perhaps

    return script


def visit(worker: RunningWorker, chance: random.Random) -> None:
    """A client's life on one connection."""
    client: Stream = worker.connect(deadline_s=0.3)
    with contextlib.suppress(OSError, StreamEnded, ValueError, IndexError, AssertionError):
        for _ in range(chance.randrange(1, 4)):
            request = chance.choice(REQUESTS)
            cut = chance.randrange(len(request)) if chance.random() < 0.3 else len(request)
            client.send(request[:cut])
            sleep(chance.choice((0, 0, 0.01)))
            client.send(request[cut:])
            if chance.random() < 0.7:
                client.read_response()
    end = chance.choice((Stream.close, Stream.reset))
    with contextlib.suppress(OSError):
        end(client)


def routes(shadow_deadline_s: float) -> tuple[RouteSettings, ...]:
    return (
        RouteSettings(
            name="all",
            primary="stable",
            canaries=(Canary(model="next", percent=50),),
            shadows=(Shadow(model="copy", deadline=Duration(shadow_deadline_s)),),
        ),
    )


def settings(url: str, first_byte_s: float) -> ModelSettings:
    return ModelSettings(
        url=url,
        timeouts=Timeouts(
            connect=Duration(0.5),
            first_byte=Duration(first_byte_s),
            idle=Duration(0.5),
            total=Duration(2),
        ),
        pool=Pool(connections=3, waiters=2, wait_timeout=Duration(0.3)),
        breaker=Breaker(failures=6, open_for=Duration(0.05)),
    )


@pytest.mark.timeout(90)
@pytest.mark.parametrize("seed", range(4))
def test_every_request_is_counted_once_and_leaves_nothing_behind(seed: int):
    chance = random.Random(seed)

    def some() -> random.Random:
        return random.Random(chance.random())

    limits = Limits(
        header_bytes=Size(2048),
        header_timeout=Duration(0.5),
        body_timeout=Duration(0.5),
        idle_timeout=Duration(0.5),
        write_timeout=Duration(0.5),
        linger=Duration(0.2),
        in_flight=6,
        buffer=Size(64 * 1024),
    )
    with (
        Upstream(moody(some())) as stable,
        Upstream(moody(some())) as canary,
        Upstream(moody(some())) as shadow,
    ):
        models = {
            "stable": settings(stable.url, 0.3),
            "next": settings(canary.url, 0.3),
            "copy": settings(shadow.url, 0.3),
        }
        with RunningWorker(models=models, routes=routes(0.5), limits=limits) as worker:
            assert worker.worker is not None
            plane = worker.worker._plane
            before = [plane.current]
            drawn, decided = plane.random, 0

            def decides() -> float:
                nonlocal decided
                decided += 1
                return drawn()

            plane.random = decides

            def come_and_go(own: random.Random) -> None:
                for _ in range(ROUNDS):
                    visit(worker, own)

            visitors = [
                threading.Thread(target=come_and_go, args=(some(),)) for _ in range(CLIENTS)
            ]
            for visitor in visitors:
                visitor.start()
            number = 0
            while any(visitor.is_alive() for visitor in visitors):
                number += 1
                changed = {
                    name: settings(one.url, 0.3 + number / 1000) for name, one in models.items()
                }
                worker.install(models=changed, routes=routes(0.5 + number / 1000))
                before.append(plane.current)
                if number == 3 + seed % 2:
                    canary.stop_listening()
                sleep(0.3)

            def left() -> list[object]:
                pools = {pool for one in before for pool in one.all_pools()}
                return [
                    *plane.clients,
                    *plane.tunnels,
                    *plane.retired,
                    *(["in flight"] * plane.in_flight),
                    *(pool for pool in pools if pool.in_use),
                    *(one for one in before if one.copies_in_flight),
                ]

            wait_until(lambda: not worker.call(left), "nothing is left", timeout_s=20)
            snapshot = worker.snapshot()
            ends = {
                (model, one): snapshot.counter(worker.cell(model, role), one)
                for model, role in (("stable", Role.PRIMARY), ("next", Role.CANARY))
                for one in ENDS
            }
            assert sum(ends.values()) == decided, ends
            assert decided > CLIENTS * ROUNDS / 2
            copies = {
                one: snapshot.counter(worker.cell("copy", Role.SHADOW), CellCounter.of_shadow(one))
                for one in ShadowOutcome
            }
            assert sum(copies.values()) <= decided, copies
            assert copies[ShadowOutcome.ANSWERED] > 0
