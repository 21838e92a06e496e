"""Clients that send slowly, or nothing: 408 or a close in time, and no harm to anybody else."""

from __future__ import annotations

import json
import socket
from time import monotonic, sleep

import pytest
from harness.messages import get, post
from harness.stream import End, Message
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

from sidecar.board import CellCounter, WorkerGauge
from sidecar.config.settings import Limits
from sidecar.config.units import Duration

IDLE_CONNECTIONS = 2000


def code(answer: Message) -> str:
    return json.loads(answer.body)["error"]["code"]


def limits(**timeouts: float) -> Limits:
    return Limits(linger=Duration(0.2), **{name: Duration(s) for name, s in timeouts.items()})


def test_a_head_that_never_ends_gets_408_at_the_header_timeout_however_busily_it_drips():
    with (
        Upstream() as model,
        RunningWorker(models={"m": model.url}, limits=limits(header_timeout=0.4)) as worker,
    ):
        client = worker.connect()
        began = monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: m\r\n")
        with pytest.raises(OSError):  # noqa: PT011, PT012  # reset or broken pipe
            while monotonic() - began < 5:
                client.send(b"X-A: b\r\n")
                sleep(0.02)
        assert 0.4 <= monotonic() - began < 4
        assert model.connections == []

        still = worker.connect()
        still.send(b"GET / HTTP/1.1\r\n")
        answer = still.read_response()
        assert (answer.status, code(answer)) == (408, "request_timeout")
        assert answer.field("connection") == b"close"
        assert still.read_to_end() == (b"", End.CLEAN)
        assert worker.gauge(WorkerGauge.REJECTED_408) == 2


def test_a_head_begun_on_a_used_connection_has_the_same_time():
    with (
        Upstream() as model,
        RunningWorker(models={"m": model.url}, limits=limits(header_timeout=0.3)) as worker,
    ):
        client = worker.connect()
        client.send(get() + b"GET /next HTTP/1.1\r\nHo")
        assert client.read_response().status == 200
        assert client.read_response().status == 408
        assert len(model.requests) == 1


def test_a_body_that_stops_gets_408_and_is_never_completed_at_the_model():
    def reads(model: Connection) -> None:
        model.read_head()
        model.read_to_end()

    with (
        Upstream(reads) as model,
        RunningWorker(models={"m": model.url}, limits=limits(body_timeout=0.3)) as worker,
    ):
        for begun in (
            post(b"half", announced=8),
            b"POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ):
            client = worker.connect()
            client.send(begun)
            answer = client.read_response()
            assert (answer.status, code(answer)) == (408, "request_timeout")
            assert client.read_to_end() == (b"", End.CLEAN)
        model.wait_for(lambda one: all(conn.ended for conn in one.connections))
        assert model.received[0].endswith(b"\r\n\r\nhalf")
        assert model.received[1].endswith(b"\r\n\r\n4\r\nhalf\r\n")
        assert worker.counted("m", CellCounter.ABORTED) == 2
        assert worker.counted("m", CellCounter.ERROR) == 0  # not the model's fault


def test_a_body_that_drips_is_accepted_as_long_as_it_drips():
    with (
        Upstream() as model,
        RunningWorker(models={"m": model.url}, limits=limits(body_timeout=0.4)) as worker,
    ):
        client = worker.connect()
        client.send(post(b"", announced=12))
        for _ in range(12):
            sleep(0.08)  # a second in all
            client.send(b"x")
        assert client.read_response().status == 200
        assert model.requests[0].body == b"x" * 12


def test_idle_connections_are_closed_without_a_word():
    with (
        Upstream() as model,
        RunningWorker(models={"m": model.url}, limits=limits(idle_timeout=0.4)) as worker,
    ):
        never, once = worker.connect(), worker.connect()
        once.send(get())
        assert once.read_response().status == 200
        assert never.read_to_end() == (b"", End.CLEAN)
        assert once.read_to_end() == (b"", End.CLEAN)


def test_the_models_time_is_not_the_clients_idle_time():
    def thinks(model: Connection) -> None:
        model.read_request()
        sleep(0.8)
        model.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        model.read_to_end()

    short = limits(idle_timeout=0.2, header_timeout=0.2, body_timeout=0.2, write_timeout=0.2)
    with Upstream(thinks) as model, RunningWorker(models={"m": model.url}, limits=short) as worker:
        client = worker.connect()
        client.send(post())
        assert client.read_response().status == 200


def test_requests_are_answered_beside_many_idle_and_half_open_connections():
    with (
        Upstream() as model,
        RunningWorker(models={"m": model.url}, limits=limits(header_timeout=30)) as worker,
    ):
        crowd = []
        try:
            for number in range(IDLE_CONNECTIONS):
                one = socket.create_connection(("127.0.0.1", worker.port), timeout=10)
                if number % 2:
                    one.sendall(b"GET / HTTP/1.1\r\nHost: m\r\nX-Slow: ")
                crowd.append(one)
            worker.wait_for(lambda one: one.gauge(WorkerGauge.CONNECTIONS) == IDLE_CONNECTIONS)
            client = worker.connect(deadline_s=2)
            for _ in range(200):
                client.send(get())
                assert client.read_response().status == 200
            # And those who waited are served like anybody else.
            crowd[0].sendall(get())
            assert crowd[0].recv(1000).startswith(b"HTTP/1.1 200 ")
            crowd[1].sendall(b"at last\r\n\r\n")
            assert crowd[1].recv(1000).startswith(b"HTTP/1.1 200 ")
        finally:
            for one in crowd:
                one.close()
        worker.wait_for(lambda one: one.gauge(WorkerGauge.CONNECTIONS) == 1)


def test_a_client_that_takes_no_byte_of_its_answer_is_dropped_at_the_write_timeout():
    def floods(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\r\n\r\n")
        model.sock.settimeout(10)
        while True:
            model.send(bytes(1 << 16))

    with (
        Upstream(floods) as model,
        RunningWorker(models={"m": model.url}, limits=limits(write_timeout=0.4)) as worker,
    ):
        client = worker.connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(get())
        worker.wait_for(lambda one: one.counted("m", CellCounter.ABORTED) == 1)
        model.wait_for(lambda one: one.connections[0].sock.fileno() == -1)


def test_a_client_that_takes_its_answer_slowly_is_not_dropped():
    size = 3_000_000

    def answers(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        model.read_to_end()

    with (
        Upstream(answers) as model,
        RunningWorker(models={"m": model.url}, limits=limits(write_timeout=0.3)) as worker,
    ):
        client = worker.connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        client.send(get())
        head = client.read_head()
        assert head.status == 200
        left = size - len(client.received) + len(head.raw)
        began = monotonic()
        while left > 0:
            left -= len(client.sock.recv(min(left, size // 25)))
            sleep(0.005)
        assert monotonic() - began > 0.6
