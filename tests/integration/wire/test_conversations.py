"""Exchanges that take more than one turn: expectations, early answers, changed protocols."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from harness.stream import End
from harness.transcript import Names, http
from harness.transport import Sink
from harness.upstream import OK, Connection, Script, Upstream, answering
from harness.worker import RunningWorker
from msgspec import structs

from sidecar.board import CellCounter, WorkerGauge
from sidecar.config.settings import Limits, ModelSettings, RouteSettings, Shadow, Timeouts
from sidecar.config.units import Duration, Size
from sidecar.proxy.client import ClientConnection

WEBSOCKET = """
    GET /chat HTTP/1.1
    Host: a
    Connection: keep-alive, Upgrade
    Upgrade: websocket
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

"""


def until_told(model: Connection) -> None:
    """Reads whatever comes until the sidecar ends the connection."""
    model.read_to_end()


# -- Expect ----------------------------------------------------------------------------------------


def test_an_expectation_is_met_by_the_model_and_by_nobody_else() -> None:
    def expecting(model: Connection) -> None:
        head = model.read_head()
        assert head.field("expect") == b"100-continue"
        go.wait(10)
        model.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert model.read_exactly(5) == b"hello"
        model.send(OK)
        model.read_to_end()

    go = threading.Event()
    with Upstream(expecting) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(http("""
            POST / HTTP/1.1
            Host: a
            Expect: 100-Continue
            Content-Length: 5

        """))  # fmt: skip
        names = Names()
        arrives = http("""
            POST / HTTP/1.1
            Host: a
            Content-Length: 5
            @first-hop a
            Expect: 100-continue
            @ids

        """)
        model.wait_for(lambda one: any(b"\r\n\r\n" in data for data in one.received))
        names.assert_match(arrives, model.received[0])
        client.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.read_some()  # nobody says 100 but the model
        client.sock.settimeout(10)
        go.set()
        assert client.read_response().raw == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.read_response().body == b"ok"
        names.assert_match(arrives + b"hello", model.received[0])


def test_a_model_may_refuse_what_is_expected_and_the_body_is_not_waited_for() -> None:
    def refusing(model: Connection) -> None:
        model.read_head()
        model.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
        model.read_to_end()

    with Upstream(refusing) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        answer = client.read_response()
        assert (answer.status, answer.body) == (417, b"no")
        # Whether the five bytes will still come cannot be known: the connection is of no use.
        assert answer.field("connection") == b"close"
        assert client.read_to_end() == (b"", End.CLEAN)
        model.wait_for(lambda one: one.connections[0].ended is not None)


# -- early answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["Content-Length: 3000000", "Transfer-Encoding: chunked"])
def test_an_early_answer_of_the_model_reaches_a_client_that_is_still_sending(framing: str) -> None:
    def early(model: Connection) -> None:
        model.read_head()
        model.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        model.read_to_end()

    with Upstream(early) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode())
        piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        if framing.startswith("Content"):
            piece = b"x" * 0x8000
        answer = client.read_response()
        assert (answer.status, answer.body) == (413, b"big")
        assert answer.field("connection") == b"close"
        # Nor is the connection to the model of use: what follows would be the body to it.
        assert worker.open_connections("stable") == 0
        model.wait_for(lambda one: one.connections[0].ended is not None)
        for _ in range(80):  # had the client's been closed, this would reset it
            client.send(piece)
        assert client.read_to_end()[0] == b""
        assert worker.counted("stable", CellCounter.STATUS_4XX) == 1


def test_a_body_that_turns_malformed_is_broken_off_at_the_model() -> None:
    with Upstream(until_told) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        )
        model.wait_for(lambda one: one.received and one.received[0].endswith(b"5\r\nhello\r\n"))
        client.send(b"0x5\r\nworld\r\n0\r\n\r\n")
        assert client.read_response().status == 400
        assert client.read_to_end()[0] == b""
        model.wait_for(lambda one: one.connections[0].over)
        assert model.received[0].endswith(b"5\r\nhello\r\n")  # no last chunk
        assert worker.gauge(WorkerGauge.REJECTED_400) == 1


def test_a_body_that_grows_too_large_is_broken_off_at_the_model() -> None:
    limits = Limits(body_bytes=Size(10))
    with (
        Upstream(until_told) as model,
        RunningWorker(models={"stable": model.url}, limits=limits) as worker,
    ):
        client = worker.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n")
        model.wait_for(lambda one: len(one.received) == 1)
        client.send(b"12345678\r\n8\r\n12345678\r\n0\r\n\r\n")
        assert client.read_response().status == 413
        model.wait_for(lambda one: one.connections[0].over)
        assert not model.received[0].endswith(b"0\r\n\r\n")


# -- the model's side of the bargain ---------------------------------------------------------------


def test_a_status_of_no_class_is_a_broken_answer() -> None:
    beyond = answering(b"HTTP/1.1 600 Beyond\r\nContent-Length: 0\r\n\r\n")
    with Upstream(beyond) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        answer = client.read_response()
        assert (answer.status, answer.field("x-sidecar-error")) == (502, b"upstream_broken")
        assert worker.counted("stable", CellCounter.ERROR) == 1


@pytest.mark.parametrize("announced", [2, 4])
def test_the_total_timeout_bounds_every_other(announced: int) -> None:
    patient = ModelSettings(
        url="", timeouts=Timeouts(total=Duration(1), first_byte=Duration(60), idle=Duration(60))
    )
    with Upstream(until_told) as model:
        settings = structs.replace(patient, url=model.url)
        with RunningWorker(models={"stable": settings}) as worker:
            client = worker.connect()
            head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\nhi"
            client.send(head % announced)
            model.wait_for(lambda one: one.received and one.received[0].endswith(b"hi"))
            worker.pass_time(1.1)
            assert client.read_response().status == 504


# -- streaming -------------------------------------------------------------------------------------

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.mark.parametrize(
    ("head", "event", "passed"),
    [
        (EVENTS + b"Transfer-Encoding: chunked\r\n\r\n", b"9\r\ndata: %d\n\n\r\n", None),
        (EVENTS + b"Content-Length: 900\r\n\r\n", b"data: %d\n\n", None),
        (EVENTS + b"\r\n", b"data: %d\n\n", b"9\r\ndata: %d\n\n\r\n"),
    ],
    ids=["chunks", "a length", "until the end"],
)
def test_each_event_passes_before_the_next_is_made(
    head: bytes, event: bytes, passed: bytes | None
) -> None:
    def tell(model: Connection) -> None:
        model.read_request()
        model.send(head)
        for number in range(5):
            assert seen.acquire(timeout=10)  # the client has everything until here
            model.send(event % number)
        model.read_to_end()

    seen = threading.Semaphore(0)
    with Upstream(tell) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_head().field("content-type") == b"text/event-stream"
        for number in range(5):
            seen.release()
            expected = (passed or event) % number
            assert client.read_exactly(len(expected)) == expected


@pytest.mark.parametrize("chunked", [False, True], ids=["a length", "chunks"])
def test_an_upload_passes_piece_by_piece(chunked: bool) -> None:
    def take(model: Connection) -> None:
        model.read_head()
        for number in range(5):
            piece = b"3\r\n#%d \r\n" if chunked else b"#%d "
            assert model.read_exactly(len(piece % number)) == piece % number
            taken.release()
        if chunked:
            assert model.read_exactly(5) == b"0\r\n\r\n"
        model.send(OK)
        model.read_to_end()

    taken = threading.Semaphore(0)
    with Upstream(take) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 15"
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
        for number in range(5):
            client.send((b"3\r\n#%d \r\n" if chunked else b"#%d ") % number)
            assert taken.acquire(timeout=10)
        if chunked:
            client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"ok"


# -- pipelining ------------------------------------------------------------------------------------


def test_reading_ahead_is_bounded_and_no_request_is_lost() -> None:
    def wait_first(model: Connection) -> None:
        model.read_request()
        go.wait(10)
        model.send(OK)
        answering(OK)(model)

    go = threading.Event()
    limits = Limits(pipelined_requests=2)
    with (
        Upstream(wait_first) as model,
        RunningWorker(models={"stable": model.url}, limits=limits) as worker,
    ):
        client = worker.connect()
        requests = [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(50)]
        client.send(requests[0])
        model.wait_for(lambda one: len(one.requests) == 1)
        client.send(b"".join(requests[1:4]))
        worker.wait_for(lambda one: one.call(lambda: _is_paused(one)))
        client.send(b"".join(requests[4:]))  # more than is read before the first is answered
        go.set()
        for _ in range(50):
            assert client.read_response().body == b"ok"
        assert [one.target for one in model.requests] == [b"/%d" % n for n in range(50)]


def test_what_arrives_while_held_back_requests_wait_for_their_turn_is_put_behind_them() -> None:
    with Upstream() as model, RunningWorker(models={"stable": model.url}) as worker:
        assert worker.worker is not None
        plane = worker.worker._plane
        client, wire = ClientConnection(plane, tls=False), Sink()
        first, second, third = (b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in (1, 2, 3))
        later: list[Callable[[], None]] = []

        def begin() -> None:
            plane.soon = later.append
            client.connection_made(wire)
            client.data_received(first)
            client.data_received(second + third[:9])

        def go_on() -> None:
            client.data_received(third[9:])
            plane.soon = asyncio.get_running_loop().call_soon
            for turn in later:
                turn()

        worker.call(begin)
        worker.wait_for(lambda one: one.call(lambda: len(later)) == 1)
        worker.call(go_on)
        worker.wait_for(lambda _: wire.written.count(b"\r\n\r\nok") == 3)
        assert [one.target for one in model.requests] == [b"/1", b"/2", b"/3"]
        worker.call(lambda: client.connection_lost(None))


def test_what_follows_a_refused_request_is_not_answered() -> None:
    with Upstream() as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(
            b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /2 HTTP/1.1\r\n\r\n"  # without Host
            b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert [client.read_response().status for _ in range(2)] == [200, 400]
        assert client.read_to_end() == (b"", End.CLEAN)
        assert [one.target for one in model.requests] == [b"/1"]


# -- changed protocols -----------------------------------------------------------------------------


def echo_socket(model: Connection) -> None:
    model.read_request()
    model.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello"
    )
    while True:
        model.send(model.read_some().upper())


def test_a_web_socket_is_tunnelled_both_ways() -> None:
    with Upstream(echo_socket) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(http(WEBSOCKET))
        names = Names()
        names.assert_match(
            http("""
                HTTP/1.1 101 Switching Protocols
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
                Connection: Upgrade
                Upgrade: websocket
                X-Sidecar-Model: stable
                X-Request-Id: <id>

            """),
            client.read_response().raw,
        )  # fmt: skip
        names.assert_match(
            http("""
                GET /chat HTTP/1.1
                Host: a
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
                @first-hop a
                Connection: Upgrade
                Upgrade: websocket
                @ids

            """),
            model.received[0],
        )  # fmt: skip
        assert client.read_exactly(5) == b"hello"
        frames = b"GET / HTTP/1.1\r\n\r\n\0\xff" * 1000  # nothing is parsed any more
        client.send(frames)
        assert client.read_exactly(len(frames)) == frames.upper()
        client.finish()
        assert client.read_to_end() == (b"", End.CLEAN)
        model.wait_for(lambda one: one.connections[0].ended is End.CLEAN)
        assert worker.counted("stable", CellCounter.STATUS_1XX) == 1


def test_what_a_client_sends_ahead_of_the_tunnel_is_passed_on() -> None:
    def wait_and_echo(model: Connection) -> None:
        model.read_request()
        go.wait(10)
        model.send(b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while True:
            model.send(model.read_some().upper())

    go = threading.Event()
    limits = Limits(buffer=Size(1000))
    with (
        Upstream(wait_and_echo) as model,
        RunningWorker(models={"stable": model.url}, limits=limits) as worker,
    ):
        client = worker.connect()
        client.send(http(WEBSOCKET))
        model.wait_for(lambda one: len(one.requests) == 1)
        ahead = b"frame" * 2000  # more than is read ahead: reading pauses until the tunnel stands
        client.send(ahead)
        worker.wait_for(lambda one: one.call(lambda: _is_paused(one)))
        go.set()
        assert client.read_response().status == 101
        assert client.read_exactly(len(ahead)) == ahead.upper()
        client.send(b"more")
        assert client.read_exactly(4) == b"MORE"


def _is_paused(worker: RunningWorker) -> bool:
    assert worker.worker is not None
    (client,) = worker.worker._plane.clients
    return client._paused


def test_a_model_may_refuse_to_change_protocols() -> None:
    with Upstream() as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(http(WEBSOCKET))
        assert client.read_response().body == b"ok"
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_response().body == b"ok"
        assert len(model.connections) == 1


def switching_to(protocol: bytes) -> Script:
    def switch(model: Connection) -> None:
        model.read_request()
        fields = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % protocol if protocol else b""
        model.send(b"HTTP/1.1 101 Switching Protocols\r\n%b\r\n" % fields)
        model.read_to_end()

    return switch


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("websocket", b"h2c"),  # a tunnel for HTTP/2 would carry requests past every check
        ("websocket", b""),
        ("websocket, h2c", b"h2c"),
        ("h2c", b"h2c"),
        ("", b"websocket"),
    ],
)
def test_a_protocol_that_was_not_asked_for_is_a_broken_answer(asked: str, given: bytes) -> None:
    upgrade = f"Connection: Upgrade\r\nUpgrade: {asked}\r\n" if asked else ""
    with (
        Upstream(switching_to(given)) as model,
        RunningWorker(models={"stable": model.url}) as worker,
    ):
        client = worker.connect()
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n".encode())
        answer = client.read_response()
        assert (answer.status, answer.field("x-sidecar-error")) == (502, b"upstream_broken")
        model.wait_for(lambda one: one.connections[0].over)
        assert worker.open_connections("stable") == 0


def test_one_of_several_protocols_may_be_chosen() -> None:
    with (
        Upstream(switching_to(b"WebSocket")) as model,
        RunningWorker(models={"stable": model.url}) as worker,
    ):
        client = worker.connect()
        upgrade = b"Connection: upgrade\r\nUpgrade: other/1, H2C, websocket\r\n"
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n")
        assert client.read_response().status == 101
        model.wait_for(lambda one: one.requests != [])
        assert model.requests[0].field("upgrade") == b"other/1, websocket"


def test_connect_opens_no_tunnel_even_when_the_model_agrees() -> None:
    """It would be a way past routes, limits and counting; a model's refusal is passed on."""

    def agree(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 Established\r\n\r\n")

    with Upstream(agree) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n")
        answer = client.read_response()
        assert answer.status == 502
        assert answer.field("x-sidecar-error") == b"upstream_broken"
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        model.wait_for(lambda one: len(one.connections) == 2)  # nothing passes unparsed


def test_an_upgrade_is_not_mirrored() -> None:
    routes = (RouteSettings(name="all", primary="stable", shadows=(Shadow(model="trial"),)),)
    with (
        Upstream(echo_socket) as model,
        Upstream() as trial,
        RunningWorker(models={"stable": model.url, "trial": trial.url}, routes=routes) as worker,
    ):
        client = worker.connect()
        client.send(http(WEBSOCKET))
        assert client.read_response().status == 101
        other = worker.connect()
        other.send(b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n")
        trial.wait_for(lambda one: one.requests != [])
        assert [request.field("upgrade") for request in trial.requests] == [None]


def test_half_a_tunnel_is_no_tunnel() -> None:
    def leave(model: Connection) -> None:
        model.read_request()
        model.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        model.send(b"last words")

    with Upstream(leave) as model, RunningWorker(models={"stable": model.url}) as worker:
        client = worker.connect()
        client.send(http(WEBSOCKET))
        assert client.read_response().status == 101
        assert client.read_to_end() == (b"last words", End.CLEAN)
        worker.wait_for(lambda one: one.gauge(WorkerGauge.CONNECTIONS) == 0)
