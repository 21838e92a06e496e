"""Clients that leave: the model's connection is closed at once, the record says aborted.

The time from the client's FIN or RST to the end of the model's connection is measured here and
promised to be at most 100 ms; the assertions allow for a busy machine.
"""

from __future__ import annotations

import socket
from time import monotonic, sleep

import pytest
from harness.messages import get, ok_chunked, post
from harness.stream import Stream
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

from sidecar.board import CellCounter, WorkerGauge
from sidecar.config.settings import Limits, ModelSettings, Pool, Timeouts
from sidecar.config.units import Duration, Size

PROMISED_S = 0.1
BUSY_MACHINE = 10  # times the promise; the usual figure is 1 to 5 ms

LEAVING = {"FIN": Stream.close, "RST": Stream.reset}


def closed_after(model: Upstream, left_at: float) -> float:
    """Seconds from then to the end of the model's first connection."""
    model.wait_for(lambda one: one.connections[0].ended is not None)
    return model.connections[0].ended_at - left_at


@pytest.fixture(params=LEAVING.values(), ids=LEAVING)
def leave(request):
    return request.param


def test_the_model_is_told_at_once_when_its_client_leaves_before_the_answer(leave):
    def hangs(model: Connection) -> None:
        model.read_request()
        model.read_to_end()

    with Upstream(hangs) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(post())
        model.wait_for(lambda one: len(one.requests) == 1)
        left_at = monotonic()
        leave(client)
        assert closed_after(model, left_at) < PROMISED_S * BUSY_MACHINE
        worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 0)
        assert worker.counted("m", CellCounter.ABORTED) == 1
        assert worker.counted("m", CellCounter.ERROR) == 0


def test_the_model_is_told_at_once_when_its_client_leaves_inside_the_answer(leave):
    def streams(model: Connection) -> None:
        model.read_request()
        model.send(ok_chunked(b"first", last=False))
        model.read_to_end()

    with Upstream(streams) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(get())
        client.read_until(b"first")
        left_at = monotonic()
        leave(client)
        assert closed_after(model, left_at) < PROMISED_S * BUSY_MACHINE
        worker.wait_for(lambda one: one.counted("m", CellCounter.ABORTED) == 1)


def test_half_of_all_departures_are_passed_on_within_the_promise():
    """The promise itself, where one slow moment of the machine cannot break it."""

    def streams(model: Connection) -> None:
        model.read_request()
        model.send(ok_chunked(b"first", last=False))
        model.read_to_end()

    took = []
    for _ in range(11):
        with Upstream(streams) as model, RunningWorker(models={"m": model.url}) as worker:
            client = worker.connect()
            client.send(get())
            client.read_until(b"first")
            left_at = monotonic()
            client.close()
            took.append(closed_after(model, left_at))
    assert sorted(took)[5] < PROMISED_S, took


def test_the_model_is_told_at_once_when_its_client_leaves_while_it_reads_slowly(leave):
    """What the client has not taken is dropped; nobody waits for it to be written."""

    def floods(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\r\n\r\n")
        model.sock.settimeout(0.2)
        try:
            while True:
                model.send(bytes(1 << 16))
        except TimeoutError:
            stuck_at.append(monotonic())
        model.read_to_end()

    stuck_at: list[float] = []
    with Upstream(floods) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(get())
        model.wait_for(lambda _: bool(stuck_at))
        left_at = monotonic()
        leave(client)
        assert closed_after(model, left_at) < PROMISED_S * BUSY_MACHINE
        worker.wait_for(lambda one: one.counted("m", CellCounter.ABORTED) == 1)


def test_a_client_that_leaves_inside_its_body_never_has_it_completed_at_the_model(leave):
    for request, body in (
        (post(b"half", announced=8), b"half"),
        (
            b"POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"4\r\nhalf\r\n",
        ),
    ):

        def reads(model: Connection) -> None:
            model.read_head()
            model.read_to_end()

        with Upstream(reads) as model, RunningWorker(models={"m": model.url}) as worker:
            client = worker.connect()
            client.send(request)
            model.wait_for(
                lambda one, body=body: bool(one.received) and one.received[0].endswith(body)
            )
            left_at = monotonic()
            leave(client)
            assert closed_after(model, left_at) < PROMISED_S * BUSY_MACHINE
            assert model.received[0].endswith(body)  # and nothing after it: no last chunk
            worker.wait_for(lambda one: one.counted("m", CellCounter.ABORTED) == 1)


def test_a_client_that_leaves_while_its_upload_is_paused_is_noticed_within_the_models_deadline():
    """A paused transport tells of no FIN: the model's silence ends it, at the idle timeout."""

    def takes_nothing(model: Connection) -> None:
        model.read_head()
        while not released:
            sleep(0.01)
        model.read_to_end()

    released = False
    with (
        Upstream(takes_nothing) as model,
        RunningWorker(
            models={"m": ModelSettings(url=model.url, timeouts=Timeouts(idle=Duration(0.5)))},
            limits=Limits(linger=Duration(0.1)),
        ) as worker,
    ):
        client = worker.connect()
        client.sock.settimeout(0.3)
        client.send(post(b"", announced=1 << 30))
        with pytest.raises((TimeoutError, ConnectionError)):
            client.send(bytes(1 << 26))
        client.reset()
        worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 0)
        assert worker.open_connections("m") == 0
        released = True


def test_a_client_that_leaves_while_it_waits_for_a_connection_leaves_nothing_behind():
    def hangs(model: Connection) -> None:
        model.read_request()
        model.read_to_end()

    with Upstream(hangs) as model:
        narrow = ModelSettings(url=model.url, pool=Pool(connections=1))
        with RunningWorker(models={"m": narrow}) as worker:
            first, second = worker.connect(), worker.connect()
            first.send(get())
            model.wait_for(lambda one: len(one.requests) == 1)
            second.send(get())
            worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 2)
            second.close()
            worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 1)
            assert worker.counted("m", CellCounter.ABORTED) == 1
            assert len(model.requests) == 1


def test_requests_that_a_departed_client_had_pipelined_are_not_begun():
    def hangs(model: Connection) -> None:
        model.read_request()
        model.read_to_end()

    with Upstream(hangs) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(get("/1") + get("/2") + get("/3"))
        model.wait_for(lambda one: len(one.requests) == 1)
        client.close()
        worker.wait_for(lambda one: one.gauge(WorkerGauge.CONNECTIONS) == 0)
        assert [one.target for one in model.requests] == [b"/1"]
        assert len(model.connections) == 1


def test_many_clients_that_come_and_go_leave_no_connection_and_no_request_behind():
    def hangs(model: Connection) -> None:
        model.read_request()
        model.read_to_end()

    with (
        Upstream(hangs) as model,
        RunningWorker(models={"m": model.url}, limits=Limits(buffer=Size(4096))) as worker,
    ):
        for round_ in range(3):
            clients = [worker.connect() for _ in range(40)]
            for number, client in enumerate(clients):
                client.send(post(b"x" * 100, announced=100 + number % 2))
            for number, client in enumerate(clients):
                (client.close if (number + round_) % 2 else client.reset)()
        worker.wait_for(lambda one: one.counted("m", CellCounter.ABORTED) > 0)
        # Gauges are of the last tick: it may have been before the first client was there.
        worker.wait_for(lambda one: one.gauge(WorkerGauge.CONNECTIONS) == 0)
        worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 0)
        worker.wait_for(lambda one: one.open_connections("m") == 0)
        aborted = worker.counted("m", CellCounter.ABORTED)
        assert 0 < aborted <= 120
        assert worker.counted("m", CellCounter.ERROR) == 0
