"""Answers that the sidecar itself gives: their bytes, and what becomes of the connection."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from harness.stream import End
from harness.transcript import Names, http
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

from sidecar.board import CellCounter, WorkerGauge
from sidecar.config.settings import Limits, Match, RouteSettings
from sidecar.config.units import Duration, Size
from sidecar.proxy.client import ClientConnection

LIMITS = Limits(
    request_line=Size(100),
    header_bytes=Size(1000),
    header_count=10,
    body_bytes=Size(1000),
    linger=Duration(0.2),
)
A_DAY_S = 86_400.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Refused:
    """What a client sends, and the status and code of what it gets."""

    name: str
    sent: bytes
    status: int
    code: str

    def __str__(self) -> str:
        return self.name


def request(*lines: str, body: str = "") -> bytes:
    return "\r\n".join((*lines, "", body)).encode("latin-1")


POST = ("POST / HTTP/1.1", "Host: a")
CHUNKED = (*POST, "Transfer-Encoding: chunked")

REFUSED = [
    Refused("a protocol that is not HTTP", b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "bad_request"),
    Refused("an unknown version", request("GET / HTTP/1.2", "Host: a"), 400, "bad_request"),
    Refused("a later version", request("GET / HTTP/2.0", "Host: a"), 400, "bad_request"),
    Refused("an unknown method", request("BREW / HTTP/1.1", "Host: a"), 400, "bad_request"),
    Refused("two spaces", request("GET  / HTTP/1.1", "Host: a"), 400, "bad_request"),
    Refused("a fragment", request("GET /#x HTTP/1.1", "Host: a"), 400, "bad_request"),
    Refused("a bare target", request("GET x HTTP/1.1", "Host: a"), 400, "bad_request"),
    Refused("another scheme", request("GET ftp://a/ HTTP/1.1", "Host: a"), 400, "bad_request"),
    Refused("no Host", request("GET / HTTP/1.1"), 400, "bad_request"),
    Refused("two Hosts", request("GET / HTTP/1.1", "Host: a", "Host: a"), 400, "bad_request"),
    Refused("two spellings of Host", request(*POST, "HOST: b"), 400, "bad_request"),
    Refused("a Host with a path", request("GET / HTTP/1.1", "Host: a/b"), 400, "bad_request"),
    Refused("a folded line", request(*POST, "X-A: 1", " 2"), 400, "bad_request"),
    Refused("a space before the colon", request(*POST, "X-A : 1"), 400, "bad_request"),
    Refused("a control in a field", request(*POST, "X-A: \x01"), 400, "bad_request"),
    Refused("a bare LF", b"GET / HTTP/1.1\nHost: a\n\n", 400, "bad_request"),
    Refused("two lengths", request(*POST, "Content-Length: 1, 1", body="x"), 400, "bad_request"),
    Refused("a signed length", request(*POST, "Content-Length: +1", body="x"), 400, "bad_request"),
    Refused(
        "a length beside chunks",
        request(*CHUNKED, "Content-Length: 5", body="0\r\n\r\n"),
        400,
        "bad_request",
    ),
    Refused("chunks in HTTP/1.0", request("POST / HTTP/1.0", CHUNKED[2]), 400, "bad_request"),
    # RFC 9112 6.3: where chunked is not the last coding, the length is unknown.
    Refused("another coding", request(*POST, "Transfer-Encoding: gzip"), 400, "bad_request"),
    Refused(
        "another coding around chunks",
        request(*POST, "Transfer-Encoding: gzip, chunked"),
        501,
        "unknown_coding",
    ),
    Refused("a bad chunk size", request(*CHUNKED, body="0x5\r\nhello\r\n"), 400, "bad_request"),
    Refused("a chunk that overflows", request(*CHUNKED, body="1\r\nab\r\n"), 400, "bad_request"),
    Refused("a long line", request("GET /" + "a" * 100 + " HTTP/1.1"), 414, "target_too_long"),
    Refused("a long line without end", b"GET /" + b"a" * 200, 414, "target_too_long"),
    Refused("a large head", request(*POST, "X-A: " + "a" * 1000), 431, "head_too_large"),
    Refused(
        "a large head without end", b"GET / HTTP/1.1\r\nX: " + b"a" * 1100, 431, "head_too_large"
    ),
    Refused("many fields", request(*POST, *["X-A: 1"] * 10), 431, "too_many_fields"),
    Refused("a large body", request(*POST, "Content-Length: 1001"), 413, "body_too_large"),
    Refused("a large chunk", request(*CHUNKED, body="3e9\r\n"), 413, "body_too_large"),
    Refused("no route", request("GET /elsewhere HTTP/1.1", "Host: a"), 404, "no_route"),
    Refused(
        "a model that the route has not",
        request("GET /model HTTP/1.1", "Host: a", "X-Sidecar-Model: other"),
        400,
        "unknown_model",
    ),
]


@pytest.fixture(scope="module")
def model() -> Iterator[Upstream]:
    def answer(model: Connection) -> None:
        while True:
            model.read_request()
            model.send(OK)

    with Upstream(answer) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def worker(model: Upstream) -> Iterator[RunningWorker]:
    routes = (RouteSettings(name="all", primary="stable", match=Match(path_prefix="/model")),)
    with RunningWorker(models={"stable": model.url}, routes=routes, limits=LIMITS) as running:
        yield running


@pytest.mark.parametrize("refused", REFUSED, ids=str)
def test_what_breaks_http_or_a_limit_is_refused_by_name(
    worker: RunningWorker, refused: Refused
) -> None:
    gauge = WorkerGauge.rejected(refused.status)
    before = worker.gauge(gauge)
    client = worker.connect()
    client.send(refused.sent)
    answer = client.read_response()
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"]) == (refused.status, refused.code)
    assert set(error) == {"code", "message", "request_id"}
    assert answer.field("x-sidecar-error") == refused.code.encode()
    assert answer.field("x-request-id") == error["request_id"].encode()
    assert answer.field("content-type") == b"application/json"
    assert answer.field("x-sidecar-model") is None
    assert worker.gauge(gauge) == before + 1
    if refused.code in ("no_route", "unknown_model"):
        client.send(b"GET /model HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_response().body == b"ok"  # it was a request, and it was answered
    else:
        assert answer.field("connection") == b"close"
        assert client.read_to_end() == (b"", End.CLEAN)


def test_every_byte_of_a_refusal(worker: RunningWorker) -> None:
    client = worker.connect()
    client.send(http("""
        GET /elsewhere HTTP/1.1
        Host: a
        X-Request-Id: mine-1

    """))  # fmt: skip
    body = (
        b'{"error":{"code":"no_route","message":"no route takes this request",'
        b'"request_id":"mine-1"}}'
    )
    Names().assert_match(
        http(f"""
            HTTP/1.1 404 Not Found
            Content-Type: application/json
            Content-Length: {len(body)}
            X-Sidecar-Error: no_route
            X-Request-Id: mine-1

        """) + body,
        client.read_response().raw,
    )  # fmt: skip


def test_a_refusal_of_head_has_no_body(worker: RunningWorker) -> None:
    client = worker.connect()
    client.send(b"HEAD /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = client.read_response(to_head=True)
    assert answer.status == 404
    assert int(answer.field("content-length") or 0) > 0
    client.send(b"GET /model HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_response().body == b"ok"


def test_a_refusal_quotes_nothing_of_the_request(worker: RunningWorker) -> None:
    client = worker.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: sesame\x01\r\n\r\n")
    assert b"sesame" not in client.read_response().raw


def test_an_early_refusal_can_be_read_by_a_client_that_is_still_sending(
    worker: RunningWorker,
) -> None:
    client = worker.connect()
    client.send(b"POST /model HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
    for _ in range(40):  # closing at once would reset the connection under the answer
        client.send(b"x" * 100_000)
    assert client.read_response().status == 413
    assert client.read_to_end()[0] == b""


def test_a_client_that_never_stops_sending_is_cut_off_after_the_linger(
    worker: RunningWorker,
) -> None:
    client = worker.connect()
    client.send(b"POST /model HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
    assert client.read_response().status == 413
    worker.pass_client_time(A_DAY_S)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.send(b"x" * 100_000_000)


def test_a_head_that_does_not_come_in_time_is_answered_408(worker: RunningWorker) -> None:
    client = worker.connect()
    client.send(b"GET /model HTTP/1.1\r\nHost: a\r\n")
    worker.wait_for(lambda one: one.call(lambda: any(c._buffer for c in _clients(one))))
    worker.pass_client_time(LIMITS.header_timeout)
    answer = client.read_response()
    assert (answer.status, answer.field("x-sidecar-error")) == (408, b"request_timeout")
    assert client.read_to_end() == (b"", End.CLEAN)


def test_trickling_a_head_wins_no_time(worker: RunningWorker) -> None:
    client = worker.connect()
    client.send(b"G")
    worker.wait_for(lambda one: one.call(lambda: any(c._buffer for c in _clients(one))))
    deadline = worker.call(lambda: next(c.deadline for c in _clients(worker) if c._buffer))
    client.send(b"ET /model HTTP/1.1\r\n")
    worker.wait_for(lambda one: one.call(lambda: any(len(c._buffer) > 1 for c in _clients(one))))
    assert worker.call(lambda: [c.deadline for c in _clients(worker) if c._buffer]) == [deadline]
    client.close()


def test_a_body_that_stops_is_answered_408_and_never_completed(
    worker: RunningWorker, model: Upstream
) -> None:
    worker.drop_idle("stable")
    used = len(model.connections)
    client = worker.connect()
    client.send(b"POST /model HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    model.wait_for(lambda one: one.received[used:] and one.received[-1].endswith(b"hello"))
    worker.pass_client_time(LIMITS.body_timeout)
    assert client.read_response().status == 408
    assert client.read_to_end()[0] == b""
    model.wait_for(lambda one: one.connections[-1].over)
    assert model.connections[-1].requests == []


def test_a_silent_client_is_closed_without_a_word(worker: RunningWorker) -> None:
    client = worker.connect()
    worker.wait_for(lambda one: one.call(lambda: len(_clients(one)) > 0))
    worker.pass_client_time(LIMITS.idle_timeout)
    assert client.read_to_end() == (b"", End.CLEAN)


def test_a_full_worker_says_so_at_once_and_recovers() -> None:
    release = threading.Semaphore(0)

    def hold(model: Connection) -> None:
        while True:
            model.read_request()
            release.acquire()
            model.send(OK)

    limits = Limits(in_flight=2)
    with Upstream(hold) as slow, RunningWorker(models={"a": slow.url}, limits=limits) as worker:
        first, second, third = (worker.connect() for _ in range(3))
        for number, client in enumerate((first, second), start=1):
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            slow.wait_for(lambda one, count=number: len(one.requests) == count)
        third.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        refusal = third.read_response()
        assert (refusal.status, refusal.field("retry-after")) == (503, b"1")
        assert refusal.field("x-sidecar-error") == b"overloaded"
        release.release(3)
        assert {client.read_response().status for client in (first, second)} == {200}
        third.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert third.read_response().status == 200
        assert worker.counted("a", CellCounter.STATUS_2XX) == 3


def test_messages_are_sentences_without_addresses(worker: RunningWorker) -> None:
    for refused in REFUSED:
        client = worker.connect()
        client.send(refused.sent)
        message = json.loads(client.read_response().body)["error"]["message"]
        assert not re.search(r"\d+\.\d+\.\d+\.\d+", message), message
        assert message[0].isalpha()
        client.close()


def _clients(worker: RunningWorker) -> list[ClientConnection]:
    assert worker.worker is not None
    return list(worker.worker._plane.clients)
