"""Models that break off or break HTTP: never a clean ending, never a repeated POST, no reuse."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from harness.messages import get, ok, ok_chunked, post
from harness.stream import End, Message
from harness.upstream import OK, Connection, Upstream, answering
from harness.worker import RunningWorker

from sidecar.board import CellCounter
from sidecar.config.settings import ModelSettings, Retry
from sidecar.config.units import Size

Ending = Callable[[Connection], None]
by_fin: Ending = Connection.close
by_rst: Ending = Connection.reset

BEGUN = {
    "a short Content-Length": ok(b"0123456789", announced=11),
    "chunks without the last one": ok_chunked(b"0123456789", last=False),
    "half a chunk": ok_chunked(last=False) + b"14\r\n0123456789",
    "half a trailer section": ok_chunked(b"0123456789", last=False) + b"0\r\nX-Sum: 1\r\n",
}


def code(answer: Message) -> str:
    return json.loads(answer.body)["error"]["code"]


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("end", [by_fin, by_rst], ids=["FIN", "RST"])
@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
def test_an_answer_that_breaks_off_never_ends_cleanly(begun, end, version):
    # RFC 9112 8: to an HTTP/1.0 client only the reset tells; a FIN would complete the answer.
    def script(model: Connection) -> None:
        model.read_head()
        model.send(begun)
        model.read_exactly(1)  # the client has seen the beginning
        end(model)

    with Upstream(script, answering(OK)) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        version_line = f"HTTP/{version}".encode()
        client.send(post(b"", announced=1).replace(b"HTTP/1.1", version_line))
        client.read_until(b"0123456789")
        client.send(b"x")
        _, how = client.read_to_end()
        assert how is End.RESET
        assert worker.counted("m", CellCounter.ERROR) == 1
        # Nothing of the broken connection is used again, and the next client sees none of it.
        other = worker.connect()
        other.send(get())
        assert other.read_response().body == b"ok"
        assert len(model.connections) == 2


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_an_answer_delimited_by_its_end_is_not_completed_by_a_reset(version):
    endless = b"HTTP/1.1 200 OK\r\n\r\n0123456789"

    def script(model: Connection) -> None:
        model.read_head()
        model.send(endless)
        model.read_exactly(1)
        model.reset()

    with Upstream(script) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        version_line = f"HTTP/{version}".encode()
        client.send(post(b"", announced=1).replace(b"HTTP/1.1", version_line))
        client.read_until(b"0123456789")
        client.send(b"x")
        assert client.read_to_end()[1] is End.RESET
        assert worker.counted("m", CellCounter.ERROR) == 1


@pytest.mark.parametrize("end", [by_fin, by_rst], ids=["FIN", "RST"])
@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"], ids=["nothing", "half"])
def test_a_post_whose_connection_ends_before_an_answer_gets_502_and_is_not_repeated(half, end):
    def ends(model: Connection) -> None:
        model.read_request()
        if half:
            model.send(half)
        end(model)

    with Upstream(ends) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(post())
        answer = client.read_response()
        assert (answer.status, code(answer)) == (502, "upstream_closed")
        assert len(model.requests) == 1
        assert worker.counted("m", CellCounter.RETRIES) == 0
        client.send(get("/still-here"))
        assert client.read_response().status == 502


def test_a_get_whose_connection_ends_before_an_answer_is_sent_once_more_on_a_fresh_one():
    def ends(model: Connection) -> None:
        model.read_request()
        model.reset()

    with Upstream(ends, answering(OK)) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(get("/once-more", fields="X-Request-Id: same\r\n"))
        assert client.read_response().status == 200
        first, second = model.requests
        assert first.raw == second.raw
        assert len(model.connections) == 2
        assert worker.counted("m", CellCounter.RETRIES) == 1
        assert worker.counted("m", CellCounter.STATUS_2XX) == 1


def test_a_get_is_not_repeated_for_ever_nor_once_its_answer_has_begun():
    def ends(model: Connection) -> None:
        model.read_request()
        model.reset()

    def begins(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 2")
        model.close()

    with Upstream(ends, ends, begins) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(get())
        assert client.read_response().status == 502
        assert len(model.requests) == 2
        client.send(get())
        assert client.read_response().status == 502
        assert len(model.requests) == 3


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_idempotent_request_with_a_body_is_repeated_whole(method):
    def ends(model: Connection) -> None:
        model.read_request()
        model.reset()

    with Upstream(ends, answering(OK)) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(post(b"whole body").replace(b"POST", method.encode()))
        assert client.read_response().status == 200
        assert [one.body for one in model.requests] == [b"whole body", b"whole body"]


def test_a_body_too_large_to_be_kept_is_not_repeated():
    def ends(model: Connection) -> None:
        model.read_request()
        model.reset()

    with Upstream(ends, answering(OK)) as model:
        kept = ModelSettings(url=model.url, retry=Retry(attempts=1, body_bytes=Size(1000)))
        with RunningWorker(models={"m": kept}) as worker:
            client = worker.connect()
            client.send(post(b"x" * 900, announced=5000).replace(b"POST", b"PUT"))
            model.wait_for(lambda one: bool(one.received) and one.received[0].endswith(b"x" * 900))
            client.send(b"x" * 4100)
            assert client.read_response().status == 502
            assert len(model.requests) == 1


def test_retries_can_be_switched_off():
    def ends(model: Connection) -> None:
        model.read_request()
        model.reset()

    with Upstream(ends) as model:
        models = {"m": ModelSettings(url=model.url, retry=Retry(attempts=0))}
        with RunningWorker(models=models) as worker:
            client = worker.connect()
            client.send(get())
            assert client.read_response().status == 502
            assert len(model.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [ok(b"0123456789extra", announced=10), ok_chunked(b"0123456789") + b"extra"],
    ids=["Content-Length", "chunked"],
)
def test_what_follows_an_answer_reaches_nobody_and_ends_the_connection(answer):
    def too_much(model: Connection) -> None:
        model.read_request()
        model.send(answer)
        model.read_to_end()

    with (
        Upstream(too_much, answering(OK)) as model,
        RunningWorker(models={"m": model.url}) as worker,
    ):
        client = worker.connect()
        client.send(get())
        assert client.read_response().body == b"0123456789"
        model.wait_for(lambda one: one.connections[0].ended is not None)
        client.send(get())
        assert client.read_response().body == b"ok"
        assert b"extra" not in client.received


def test_bytes_that_come_after_an_answer_do_not_answer_the_next_request():
    def speaks_unasked(model: Connection) -> None:
        model.read_request()
        model.send(OK)
        model.send(ok(b"poison"))
        model.read_to_end()

    with (
        Upstream(speaks_unasked, answering(OK)) as model,
        RunningWorker(models={"m": model.url}) as worker,
    ):
        client = worker.connect()
        client.send(get())
        assert client.read_response().body == b"ok"
        model.wait_for(lambda one: one.connections[0].ended is not None)
        client.send(get())
        assert client.read_response().body == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
    ],
)
def test_an_answer_that_is_not_http_gives_502(answer):
    def script(model: Connection) -> None:
        model.read_request()
        model.send(answer)
        if answer:
            model.read_to_end()

    with Upstream(script) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(post())
        reply = client.read_response()
        assert reply.status == 502
        assert code(reply) == ("upstream_broken" if answer else "upstream_closed")
        assert len(model.requests) == 1


def test_a_malformed_chunk_breaks_the_answer_off():
    def script(model: Connection) -> None:
        model.read_head()
        model.send(ok_chunked(b"fine", last=False))
        model.read_exactly(1)
        model.send(b"0x5\r\nworse\r\n0\r\n\r\n")
        model.read_to_end()

    with Upstream(script, answering(OK)) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(post(b"", announced=1))
        client.read_until(b"fine")
        client.send(b"x")
        rest, end = client.read_to_end()
        assert end is End.RESET
        assert b"worse" not in rest
