"""Answers that are cut off, malformed or too long: never complete at the client, never reused.

A case of ours for each way an answer can break; public suites add to them in
`test_corpus_responses`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from harness.messages import get, ok, ok_chunked
from harness.stream import End, StreamEnded
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

from sidecar.board import CellCounter
from sidecar.config.settings import Breaker, ModelSettings, Retry
from sidecar.config.units import Size

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
A_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Broken:
    """An answer whose head is good, and what breaks behind it."""

    name: str
    head: bytes
    rest: bytes

    def __str__(self) -> str:
        return self.name


BROKEN_INSIDE = [
    Broken("shorter than announced", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"short"),
    Broken("no chunk", CHUNKED, b""),
    Broken("cut off inside a size", CHUNKED, b"5\r\nhello\r\n1"),
    Broken("cut off inside a chunk", CHUNKED, b"5\r\nhel"),
    Broken("cut off behind a chunk", CHUNKED, b"5\r\nhello\r\n"),
    Broken("cut off before the empty line", CHUNKED, b"5\r\nhello\r\n0\r\n"),
    Broken("cut off inside the trailers", CHUNKED, b"5\r\nhello\r\n0\r\nX-A: 1\r\n"),
    Broken("a malformed size", CHUNKED, b"5\r\nhello\r\n-1\r\n\r\n0\r\n\r\n"),
    Broken("a chunk longer than its size", CHUNKED, b"5\r\nhello!\r\n0\r\n\r\n"),
    Broken("a malformed trailer", CHUNKED, b"5\r\nhello\r\n0\r\nX A\r\n\r\n"),
]
BROKEN_HEADS = [
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000,
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20 + ok(),
]
EXCESSIVE = [
    ok(b"ok") + b"x",
    ok(b"ok") + ok(b"poisoned"),
    ok_chunked(b"ok") + ok(b"poisoned"),
    b"HTTP/1.1 204 No Content\r\n\r\n" + ok(b"poisoned"),
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\npoisoned",
]


def one_try(model: Upstream, **settings: object) -> dict[str, ModelSettings]:
    return {
        "stable": ModelSettings(
            url=model.url,
            retry=Retry(attempts=0, body_bytes=Size(0)),
            breaker=Breaker(failures=0),
            **settings,  # type: ignore[arg-type]
        )
    }


@pytest.mark.parametrize("ended", [True, False], ids=["FIN", "silence"])
@pytest.mark.parametrize("broken", BROKEN_INSIDE, ids=str)
def test_an_answer_that_breaks_inside_is_broken_off_at_the_client(
    broken: Broken, ended: bool
) -> None:
    def break_down(model: Connection) -> None:
        model.read_request()
        model.send(broken.head + broken.rest)
        if not ended:
            model.read_to_end()

    with Upstream(break_down) as model, RunningWorker(models=one_try(model)) as worker:
        client = worker.connect()
        # Not before the answer has begun: it would be given up for a 504.
        client.on_silence(lambda: client.received and worker.pass_time(A_DAY_S))
        client.send(get())
        with pytest.raises(StreamEnded) as seen:
            client.read_response()
        assert seen.value.end is End.RESET  # a FIN could pass for an end
        model.wait_for(lambda one: one.open == 0)
        assert worker.open_connections("stable") == 0
        assert worker.counted("stable", CellCounter.ERROR) == 1
        assert worker.counted("stable", CellCounter.STATUS_2XX) == 0


@pytest.mark.parametrize("head", BROKEN_HEADS, ids=lambda head: repr(head[:40]))
def test_an_answer_without_a_good_head_is_the_sidecars_to_give(head: bytes) -> None:
    def break_down(model: Connection) -> None:
        model.read_request()
        model.send(head)

    with Upstream(break_down) as model, RunningWorker(models=one_try(model)) as worker:
        client = worker.connect()
        client.send(get())
        while (answer := client.read_response()).status < 200:
            pass
        assert answer.status == 502
        assert answer.field("x-sidecar-error") in (b"upstream_broken", b"upstream_closed")
        client.send(get())  # the client's side is whole
        assert client.read_head().status in (103, 502)
        model.wait_for(lambda one: one.open == 0)
        assert worker.open_connections("stable") == 0


@pytest.mark.parametrize("answer", EXCESSIVE, ids=lambda answer: repr(answer[:30]))
def test_what_stands_behind_an_answer_reaches_nobody(answer: bytes) -> None:
    def talk_too_much(model: Connection) -> None:
        model.read_request()
        model.send(answer)
        model.read_to_end()

    def behave(model: Connection) -> None:
        model.read_request()
        model.send(ok(b"clean"))
        model.read_to_end()

    with (
        Upstream(talk_too_much, behave) as model,
        RunningWorker(models=one_try(model)) as worker,
    ):
        first, second = worker.connect(), worker.connect()
        first.send(get())
        assert b"poisoned" not in first.read_response().raw
        second.send(get())
        assert second.read_response().body == b"clean"
        assert len(model.connections) == 2


def test_what_a_model_says_unasked_closes_its_connection() -> None:
    def speak_up(model: Connection) -> None:
        model.read_request()
        model.send(ok(b"first"))
        model.send(ok(b"poisoned"))
        model.read_to_end()

    with Upstream(speak_up) as model, RunningWorker(models=one_try(model)) as worker:
        client = worker.connect()
        client.send(get())
        assert client.read_response().body == b"first"
        model.wait_for(lambda one: one.connections[0].over)
        client.send(get())
        assert client.read_response().body == b"first"
        assert len(model.connections) == 2


def test_the_end_completes_only_an_answer_that_it_delimits() -> None:
    def until_the_end(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    def reset(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\r\n\r\nall of it?")
        release.wait(10)
        model.reset()

    release = threading.Event()
    with (
        Upstream(until_the_end, reset) as model,
        RunningWorker(models=one_try(model)) as worker,
    ):
        client = worker.connect()
        client.send(get())
        assert client.read_response().body == b"all of it"
        client.send(get())
        assert client.read_head().status == 200
        client.read_until(b"all of it?\r\n")
        release.set()
        assert client.read_to_end() == (b"", End.RESET)
