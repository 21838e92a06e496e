"""A canary that cannot be reached: the primary answers, and the canary's record shows it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from harness.messages import get, ok, post
from harness.stream import Message
from harness.upstream import OK, Connection, Upstream, answering
from harness.worker import RunningWorker

from sidecar.board import CellCounter, ModelGauge
from sidecar.config.settings import (
    Breaker,
    Canary,
    ModelSettings,
    Pool,
    Retry,
    RouteSettings,
    Timeouts,
)
from sidecar.config.units import Duration
from sidecar.model import Role

FORCED = "X-Sidecar-Model: next\r\n"


def code(answer: Message) -> str:
    return json.loads(answer.body)["error"]["code"]


def split(primary: str, canary: str | ModelSettings, *, fallback: bool = True) -> dict[str, object]:
    """Arguments of a worker whose canary `next` gets every request."""
    return {
        "models": {"stable": primary, "next": canary},
        "routes": (
            RouteSettings(
                name="all",
                primary="stable",
                canaries=(Canary(model="next", percent=100),),
                fallback=fallback,
            ),
        ),
    }


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A URL whose port refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_the_primary_answers_and_it_counts_as_the_canarys_fallback(nowhere):
    with Upstream() as stable, RunningWorker(**split(stable.url, nowhere)) as worker:
        client = worker.connect()
        for _ in range(3):
            client.send(post(b"input"))
            answer = client.read_response()
            assert (answer.status, answer.field("x-sidecar-model")) == (200, b"stable")
        assert [one.body for one in stable.requests] == [b"input"] * 3
        assert worker.counted("next", CellCounter.FALLBACK, Role.CANARY) == 3
        assert worker.counted("next", CellCounter.STATUS_2XX, Role.CANARY) == 0
        assert worker.counted("next", CellCounter.RETRIES, Role.CANARY) == 3
        assert worker.snapshot().counters[worker.cell("stable")].sum() == 0


def test_a_fallback_streams_bodies_both_ways(nowhere):
    body = bytes(range(256)) * 4096
    with (
        Upstream(answering(ok(body))) as stable,
        RunningWorker(**split(stable.url, nowhere)) as worker,
    ):
        client = worker.connect()
        client.send(post(body))
        assert client.read_response().body == body
        assert stable.requests[0].body == body
        assert worker.counted("next", CellCounter.FALLBACK, Role.CANARY) == 1


def test_a_canary_that_was_reached_and_broke_off_is_not_fallen_back_from():
    def breaks_off(model: Connection) -> None:
        model.read_request()
        model.reset()

    with (
        Upstream() as stable,
        Upstream(breaks_off) as canary,
        RunningWorker(**split(stable.url, canary.url)) as worker,
    ):
        client = worker.connect()
        client.send(post())
        assert client.read_response().status == 502
        assert stable.requests == []
        assert worker.counted("next", CellCounter.ERROR, Role.CANARY) == 1


def test_an_error_that_the_canary_itself_answers_is_passed_on():
    refusal = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with (
        Upstream() as stable,
        Upstream(answering(refusal)) as canary,
        RunningWorker(**split(stable.url, canary.url)) as worker,
    ):
        client = worker.connect()
        client.send(get())
        answer = client.read_response()
        assert (answer.status, answer.field("x-sidecar-error")) == (503, None)
        assert worker.counted("next", CellCounter.STATUS_5XX, Role.CANARY) == 1


def test_a_client_that_forces_the_canary_gets_502_and_not_another_model(nowhere):
    with Upstream() as stable, RunningWorker(**split(stable.url, nowhere)) as worker:
        client = worker.connect()
        client.send(get(fields=FORCED))
        answer = client.read_response()
        assert (answer.status, code(answer)) == (502, "upstream_unreachable")
        assert stable.requests == []
        assert worker.counted("next", CellCounter.ERROR, Role.CANARY) == 1


def test_without_fallback_the_client_gets_502(nowhere):
    arguments = split("http://127.0.0.1:1", nowhere, fallback=False)
    with Upstream() as stable:
        arguments["models"]["stable"] = stable.url
        with RunningWorker(**arguments) as worker:
            client = worker.connect()
            client.send(get())
            assert client.read_response().status == 502
            assert stable.requests == []


def test_when_the_primary_cannot_be_reached_either_the_client_gets_502_once(nowhere):
    with RunningWorker(**split(nowhere, nowhere)) as worker:
        client = worker.connect()
        client.send(post())
        answer = client.read_response()
        assert (answer.status, code(answer)) == (502, "upstream_unreachable")
        assert worker.counted("next", CellCounter.ERROR, Role.CANARY) == 1
        assert worker.counted("next", CellCounter.FALLBACK, Role.CANARY) == 0


def test_a_canary_that_never_accepts_is_fallen_back_from_at_the_connect_timeout():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        canary = ModelSettings(
            url=f"http://127.0.0.1:{deaf.getsockname()[1]}",
            timeouts=Timeouts(connect=Duration(0.2)),
        )
        with Upstream() as stable, RunningWorker(**split(stable.url, canary)) as worker:
            client = worker.connect()
            client.send(get())
            assert client.read_response().status == 200
            assert worker.counted("next", CellCounter.FALLBACK, Role.CANARY) == 1
        for one in fillers:
            one.close()


def test_a_full_pool_of_the_canary_is_fallen_back_from():
    def hangs(model: Connection) -> None:
        model.read_request()
        model.read_to_end()

    with Upstream() as stable, Upstream(hangs) as slow:
        canary = ModelSettings(url=slow.url, pool=Pool(connections=1, waiters=0))
        with RunningWorker(**split(stable.url, canary)) as worker:
            first = worker.connect()
            first.send(get("/first"))
            slow.wait_for(lambda one: len(one.requests) == 1)
            client = worker.connect()
            client.send(get("/second"))
            answer = client.read_response()
            assert (answer.status, answer.field("x-sidecar-model")) == (200, b"stable")
            assert worker.counted("next", CellCounter.FALLBACK, Role.CANARY) == 1


def test_a_canary_that_fails_again_and_again_is_left_alone_and_then_tried_by_one_request(nowhere):
    canary = ModelSettings(
        url=nowhere, breaker=Breaker(failures=3, open_for=Duration(0.5)), retry=Retry(attempts=0)
    )

    def connects(worker: RunningWorker) -> int:
        return worker.model_gauge("next", ModelGauge.CONNECTS)

    with Upstream() as stable, RunningWorker(**split(stable.url, canary)) as worker:
        client = worker.connect()

        def ask() -> None:
            client.send(get())
            assert client.read_response().status == 200

        for _ in range(10):
            ask()
        assert connects(worker) == 3
        assert worker.model_gauge("next", ModelGauge.BREAKER_OPENED) == 1
        worker.wait_for(lambda one: one.model_gauge("next", ModelGauge.BREAKER) == 2)
        assert worker.counted("next", CellCounter.FALLBACK, Role.CANARY) == 10

        def tried_again(_: RunningWorker) -> bool:
            ask()
            return connects(worker) > 3

        worker.wait_for(tried_again)
        for _ in range(5):
            ask()
        assert connects(worker) == 4  # the probe failed: left alone again
        assert worker.model_gauge("next", ModelGauge.BREAKER_OPENED) == 2

        client.send(get(fields=FORCED))
        answer = client.read_response()
        assert (answer.status, code(answer)) == (503, "breaker_open")
        assert answer.field("retry-after") is not None


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        (OK, True),
        (ok(fields="Connection: close\r\n"), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nok", False),
    ],
    ids=["kept alive", "closed", "HTTP/1.0", "delimited by its end"],
)
def test_one_answer_closes_the_breaker_whatever_becomes_of_its_connection(answer, stays):
    healthy = False

    def recovers(model: Connection) -> None:
        model.read_request()
        while healthy:
            model.send(answer)
            if not stays:
                return
            model.read_request()

    with Upstream() as stable, Upstream(recovers) as flaky:
        canary = ModelSettings(url=flaky.url, breaker=Breaker(failures=2, open_for=Duration(0.2)))
        with RunningWorker(**split(stable.url, canary)) as worker:
            client = worker.connect()
            for _ in range(2):
                client.send(post())
                assert client.read_response().status == 502
            worker.wait_for(lambda one: one.model_gauge("next", ModelGauge.BREAKER) == 2)
            healthy = True

            def canary_answers(_: RunningWorker) -> bool:
                client.send(post())
                return client.read_response().field("x-sidecar-model") == b"next"

            worker.wait_for(canary_answers)
            worker.wait_for(lambda one: one.model_gauge("next", ModelGauge.BREAKER) == 0)
            assert canary_answers(worker)  # closed it is: the next request goes there at once


def test_failures_that_do_not_follow_each_other_never_open_the_breaker():
    turn = 0

    def every_other(model: Connection) -> None:
        nonlocal turn
        model.read_request()
        turn += 1
        if turn % 2:
            model.send(ok(fields="Connection: close\r\n"))

    with Upstream(every_other) as model:
        flaky = ModelSettings(url=model.url, breaker=Breaker(failures=2))
        with RunningWorker(models={"m": flaky}) as worker:
            client = worker.connect()
            statuses = []
            for _ in range(12):
                client.send(post())
                statuses.append(client.read_response().status)
            assert statuses == [200, 502] * 6
            assert worker.model_gauge("m", ModelGauge.BREAKER_OPENED) == 0
