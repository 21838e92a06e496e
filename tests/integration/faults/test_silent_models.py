"""Models that hang, drip or talk without end: deadlines hold, only their own clients pay."""

from __future__ import annotations

import json
from time import monotonic, sleep

import pytest
from harness.messages import get, ok, ok_chunked, post
from harness.stream import End, Message
from harness.upstream import OK, Connection, Upstream, answering
from harness.worker import RunningWorker

from sidecar.board import CellCounter, ModelGauge, WorkerGauge
from sidecar.config.settings import Limits, Match, ModelSettings, RouteSettings, Timeouts
from sidecar.config.units import Duration

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


def code(answer: Message) -> str:
    return json.loads(answer.body)["error"]["code"]


def hangs(model: Connection) -> None:
    model.read_request()
    model.read_to_end()


def patient(url: str, **timeouts: float) -> ModelSettings:
    return ModelSettings(url=url, timeouts=Timeouts(**timeouts))


@pytest.mark.parametrize("request_bytes", [get(), post()], ids=["GET", "POST"])
def test_a_model_that_hangs_is_answered_for_with_504_at_the_deadline_and_asked_only_once(
    request_bytes,
):
    with (
        Upstream(hangs) as model,
        RunningWorker(models={"m": patient(model.url, first_byte=0.3)}) as worker,
    ):
        client = worker.connect()
        began = monotonic()
        client.send(request_bytes)
        answer = client.read_response()
        assert (answer.status, code(answer)) == (504, "upstream_timeout")
        assert answer.field("x-sidecar-error") == b"upstream_timeout"
        assert monotonic() - began >= 0.3
        model.wait_for(lambda one: one.connections[0].ended is not None)
        assert len(model.requests) == 1
        assert worker.counted("m", CellCounter.ERROR) == 1
        # Its place is free again, in the pool and in the worker, and the client may go on.
        worker.wait_for(lambda one: one.model_gauge("m", ModelGauge.CONNECTIONS) == 0)
        worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 0)
        client.send(get())
        assert client.read_response().status == 504


def test_requests_to_other_models_and_on_other_connections_go_on_while_one_hangs():
    routes = (
        RouteSettings(name="slow", match=Match(path_prefix="/slow"), primary="slow"),
        RouteSettings(name="all", primary="fast"),
    )

    with (
        Upstream(hangs) as slow,
        Upstream() as fast,
        RunningWorker(models={"slow": slow.url, "fast": fast.url}, routes=routes) as worker,
    ):
        waiting = [worker.connect() for _ in range(20)]
        for one in waiting:
            one.send(get("/slow"))
        slow.wait_for(lambda one: len(one.requests) == 20)
        client = worker.connect(deadline_s=2)
        for _ in range(200):
            client.send(get("/fast"))
            assert client.read_response().body == b"ok"
        assert worker.counted("fast", CellCounter.STATUS_2XX) == 200


def test_a_head_that_drips_does_not_extend_the_deadline():
    def drips(model: Connection) -> None:
        model.read_request()
        for byte in HEAD[:-2] + b"X-Padding: " + b"x" * 1000:
            model.send(bytes([byte]))
            sleep(0.02)

    with (
        Upstream(drips) as model,
        RunningWorker(models={"m": patient(model.url, first_byte=0.3)}) as worker,
    ):
        client = worker.connect()
        client.send(get())
        assert client.read_response().status == 504


def test_an_answer_that_falls_silent_is_broken_off_at_the_idle_timeout():
    def falls_silent(model: Connection) -> None:
        model.read_request()
        model.send(HEAD + b"x" * 10)
        model.read_to_end()

    with (
        Upstream(falls_silent) as model,
        RunningWorker(models={"m": patient(model.url, idle=0.3)}) as worker,
    ):
        client = worker.connect()
        client.send(get())
        client.read_until(b"\r\n\r\n")
        _, end = client.read_to_end()
        assert end is End.RESET
        model.wait_for(lambda one: one.connections[0].ended is not None)
        assert worker.counted("m", CellCounter.ERROR) == 1


def test_an_answer_that_drips_lives_by_the_idle_timeout_and_ends_by_the_total_one():
    def drips(model: Connection) -> None:
        model.read_request()
        model.send(HEAD)
        while True:
            model.send(b"x")
            sleep(0.05)

    with (
        Upstream(drips) as model,
        RunningWorker(models={"m": patient(model.url, idle=0.4, total=1.0)}) as worker,
    ):
        client = worker.connect()
        began = monotonic()
        client.send(get())
        body, end = client.read_to_end()
        assert end is End.RESET
        assert monotonic() - began >= 0.95  # well beyond the idle timeout
        assert body.count(b"x") > 4


def test_a_stream_may_outlive_the_first_byte_timeout():
    def streams(model: Connection) -> None:
        model.read_request()
        model.send(ok_chunked(last=False))
        for number in range(8):
            model.send(b"2\r\n%02d\r\n" % number)
            sleep(0.1)
        model.send(b"0\r\n\r\n")

    with (
        Upstream(streams) as model,
        RunningWorker(models={"m": patient(model.url, first_byte=0.3, idle=0.5)}) as worker,
    ):
        client = worker.connect()
        client.send(get())
        assert client.read_response().body == b"0001020304050607"


def test_a_model_that_stops_taking_an_upload_is_answered_for_with_504():
    def takes_no_more(model: Connection) -> None:
        model.read_head()
        while not model.sock._closed:
            sleep(0.05)  # neither reads nor leaves

    with (
        Upstream(takes_no_more) as model,
        RunningWorker(
            models={"m": patient(model.url, idle=0.4)}, limits=Limits(linger=Duration(0.2))
        ) as worker,
    ):
        client = worker.connect()
        client.sock.settimeout(5)
        client.send(post(b"", announced=1 << 30))
        with pytest.raises(OSError):  # noqa: PT011, PT012  # reset or time-out: who is first
            while True:
                client.send(bytes(1 << 20))
        assert worker.counted("m", CellCounter.ERROR) == 1
        assert worker.gauge(WorkerGauge.REJECTED_504) == 1
        model.connections[0].close()


def test_the_silence_of_an_uploading_client_is_not_blamed_on_the_model():
    with (
        Upstream() as model,
        RunningWorker(models={"m": patient(model.url, idle=0.2, first_byte=5)}) as worker,
    ):
        client = worker.connect()
        client.send(post(b"half ", announced=9))
        model.wait_for(lambda one: bool(one.connections) and b"half" in one.received[0])
        sleep(0.7)
        client.send(b"done")
        assert client.read_response().status == 200
        assert model.requests[0].body == b"half done"


@pytest.mark.parametrize("newlines", [True, False])
def test_a_head_without_an_end_is_refused_before_it_fills_memory(newlines):
    def talks_without_end(model: Connection) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            model.send(b"X-A: " + b"a" * 4000 + b"\r\n" if newlines else b"a" * 4096)

    with (
        Upstream(talks_without_end) as model,
        RunningWorker(models={"m": model.url}) as worker,
    ):
        client = worker.connect()
        client.send(post())
        answer = client.read_response()
        assert (answer.status, code(answer)) == (502, "upstream_broken")
        assert len(model.requests) == 1


def test_a_flood_of_interim_answers_is_refused():
    def floods(model: Connection) -> None:
        model.read_request()
        while True:
            model.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

    with Upstream(floods) as model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(get())
        while (answer := client.read_response()).status == 102:
            pass
        assert (answer.status, code(answer)) == (502, "upstream_broken")


def test_interim_answers_do_not_extend_the_deadline():
    def only_interim(model: Connection) -> None:
        model.read_request()
        for _ in range(10):
            model.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            sleep(0.1)

    with (
        Upstream(only_interim) as model,
        RunningWorker(models={"m": patient(model.url, first_byte=0.35)}) as worker,
    ):
        client = worker.connect()
        client.send(get())
        while (answer := client.read_response()).status == 102:
            pass
        assert answer.status == 504


def test_a_hung_model_that_recovers_is_used_again():
    with (
        Upstream(hangs, answering(OK)) as model,
        RunningWorker(models={"m": patient(model.url, first_byte=0.3)}) as worker,
    ):
        client = worker.connect()
        client.send(get())
        assert client.read_response().status == 504
        client.send(get())
        assert client.read_response().raw.endswith(ok()[-2:])
