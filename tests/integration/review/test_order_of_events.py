"""Events in orders that are rare on the wire, each caused here on purpose.

The worker's loop is held for a moment where two things have to be noticed in the same round of it.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from time import monotonic, sleep

from harness.messages import get, ok, ok_chunked, post
from harness.stream import Stream, StreamEnded
from harness.upstream import OK, Connection, Upstream, answering
from harness.waiting import wait_until
from harness.worker import RunningWorker

from sidecar.board import CellCounter, ModelGauge
from sidecar.config.settings import (
    Limits,
    Match,
    ModelSettings,
    RouteSettings,
    Shadow,
    Timeouts,
)
from sidecar.config.units import Duration, Size
from sidecar.model import Role, ShadowOutcome

SMALL_BUFFER = 16 * 1024


def only_client(worker: RunningWorker):
    assert worker.worker is not None
    (client,) = worker.worker._plane.clients
    return client


def unwritten(worker: RunningWorker) -> int:
    """Bytes that the worker holds for its only client."""

    def count() -> int:
        transport = only_client(worker).transport
        return 0 if transport is None else transport.get_write_buffer_size()

    return worker.call(count)


def accepted(worker: RunningWorker) -> Stream:
    """A client, once the worker has it."""
    client = worker.connect()
    wait_until(lambda: client_count(worker) == 1, "the client is accepted")
    return client


def client_count(worker: RunningWorker) -> int:
    assert worker.worker is not None
    plane = worker.worker._plane
    return worker.call(lambda: len(plane.clients))


def test_a_request_that_arrives_with_the_answer_before_it_is_not_joined_to_one_held_back():
    """Three pipelined requests; the third arrives in the round of the loop that ends the first."""
    answer_first = threading.Event()

    def model_script(model: Connection) -> None:
        model.read_request()
        answer_first.wait(5)
        model.send(OK)
        answering(OK)(model)

    with Upstream(model_script) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(get("/1"))
        model.wait_for(lambda one: len(one.requests) == 1)
        client.send(get("/2"))
        wait_until(lambda: worker.call(lambda: only_client(worker)._buffer), "/2 is held back")
        held = threading.Event()
        worker.call_soon(lambda: (held.set(), sleep(0.3)))
        held.wait(5)
        answer_first.set()
        sleep(0.1)  # the answer is in the socket first, then the request
        client.send(b"GET /3 HTTP/1.0\r\n\r\n")
        assert [client.read_response().status for _ in range(3)] == [200, 200, 200]
        assert [one.target for one in model.requests] == [b"/1", b"/2", b"/3"]


def test_a_client_that_reads_no_refusals_cannot_have_an_answer_pile_up_behind_them(tmp_path: Path):
    def floods(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        for _ in range(1024):
            model.send(bytes(65536))

    routes = (RouteSettings(name="only", primary="m", match=Match(path_prefix="/only")),)
    limits = Limits(buffer=Size(SMALL_BUFFER))
    with (
        Upstream(floods) as model,
        RunningWorker(
            models={"m": model.url}, routes=routes, limits=limits, path=tmp_path / "s"
        ) as worker,
    ):
        client = accepted(worker)
        while not worker.call(lambda: only_client(worker)._full):
            client.send(get("/elsewhere"))
        client.send(get("/only"))
        until = monotonic() + 1
        while monotonic() < until:
            assert unwritten(worker) < 64 * SMALL_BUFFER
            sleep(0.05)


def test_an_idle_client_that_left_some_of_its_answer_unread_is_closed_all_the_same(tmp_path: Path):
    body = bytes(64 * 1024)
    limits = Limits(idle_timeout=Duration(5), write_timeout=Duration(5), buffer=Size(1024 * 1024))
    with (
        Upstream(answering(ok(body))) as model,
        RunningWorker(models={"m": model.url}, limits=limits, path=tmp_path / "s") as worker,
    ):
        client = accepted(worker)
        while not unwritten(worker):  # more than the kernel takes, less than the sidecar's bound
            client.send(get())
            worker.wait_for(lambda one: one.in_flight == 0)
            sleep(0.05)
        for _ in range(3):
            worker.pass_client_time(6)
        wait_until(lambda: client_count(worker) == 0, "the connection is closed")


def test_a_finished_tunnel_does_not_wait_for_a_client_that_reads_nothing(tmp_path: Path):
    def floods(model: Connection) -> None:
        model.read_head()
        model.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        model.send(bytes(512 * 1024))

    upgrade = get("/", fields="Connection: Upgrade\r\nUpgrade: websocket\r\n")
    with (
        Upstream(floods) as model,
        RunningWorker(models={"m": model.url}, path=tmp_path / "s") as worker,
    ):
        client = accepted(worker)
        client.send(upgrade)
        client.read_until(b"\r\n\r\n")
        model.wait_for(lambda one: one.connections[0].over)
        sleep(0.2)
        for _ in range(3):
            worker.pass_time(61)

        def ended() -> bool:
            client.sock.settimeout(0.5)
            with contextlib.suppress(TimeoutError, StreamEnded):
                while True:
                    client._more()
            return len(client.received) < 512 * 1024

        assert ended(), "the client got all of it: nothing had expired"


def held_shadow_request(model: Connection) -> None:
    model.read_request()
    model.read_to_end()


def test_a_copy_offered_after_its_shadow_was_replaced_still_meets_its_deadline():
    def shadowed(deadline_s: float) -> tuple[RouteSettings, ...]:
        shadow = Shadow(model="s", deadline=Duration(deadline_s))
        return (RouteSettings(name="all", primary="m", shadows=(shadow,)),)

    with (
        Upstream() as model,
        Upstream(held_shadow_request) as shadow,
        RunningWorker(models={"m": model.url, "s": shadow.url}, routes=shadowed(2)) as worker,
    ):
        client = worker.connect()
        client.send(post(b"12", announced=4))
        worker.wait_for(lambda one: one.in_flight == 1)
        worker.install(routes=shadowed(3))
        worker.pass_time(0)
        client.send(b"34")
        assert client.read_response().status == 200
        shadow.wait_for(lambda one: len(one.requests) == 1)
        worker.pass_time(2.5)
        outcome = CellCounter.of_shadow(ShadowOutcome.TIMEOUT)
        worker.wait_for(lambda one: one.counted("s", outcome, Role.SHADOW) == 1)


def test_the_gauges_of_a_model_are_those_of_the_pool_that_serves_it_now():
    def streams(model: Connection) -> None:
        model.read_request()
        model.send(ok_chunked(b"first", last=False))
        model.read_to_end()

    with (
        Upstream(streams, streams, answering(OK)) as model,
        RunningWorker(models={"m": model.url}) as worker,
    ):
        streaming = [worker.connect() for _ in range(2)]
        for client in streaming:
            client.send(get())
            client.read_until(b"first")
        worker.install(
            models={"m": ModelSettings(url=model.url, timeouts=Timeouts(total=Duration(9)))}
        )
        client = worker.connect()
        client.send(get())
        assert client.read_response().status == 200
        worker.pass_time(0)
        assert worker.model_gauge("m", ModelGauge.CONNECTIONS) == 1
        assert worker.model_gauge("m", ModelGauge.IDLE) == 1


def test_an_upload_paused_by_a_model_that_died_goes_on_with_the_next():
    """What there was of it came in one read, and the next model takes that without a pause."""
    paused = threading.Event()

    def dies(model: Connection) -> None:
        model.read_exactly(100)
        paused.wait(5)
        model.reset()

    with Upstream(dies, answering(OK)) as model, RunningWorker(models={"m": model.url}) as worker:
        client = accepted(worker)
        client.send(b"PUT / HTTP/1.1\r\nHost: model\r\nContent-Length: 5\r\n\r\nfour")
        worker.wait_for(lambda one: one.in_flight == 1)
        model.wait_for(lambda one: len(one.received) == 1 and len(one.received[0]) >= 100)
        worker.call(lambda: only_client(worker)._exchange.upstream_full(True))
        paused.set()
        model.wait_for(lambda one: len(one.connections) == 2)
        client.send(b"!")
        assert client.read_response().status == 200
        assert model.requests[0].body == b"four!"
