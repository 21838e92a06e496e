"""Pools under pressure: connections and waiters stay within bounds, and nobody starves."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest
from harness.certificates import Authority
from harness.messages import get, ok, ok_chunked, post
from harness.stream import Message, Stream
from harness.upstream import OK, Connection, Upstream, answering
from harness.worker import RunningWorker

from sidecar.board import ModelGauge, WorkerGauge
from sidecar.config.settings import Breaker, Limits, ModelSettings, Pool, Retry
from sidecar.config.units import Duration, Size


def code(answer: Message) -> str:
    return json.loads(answer.body)["error"]["code"]


class Gate:
    """Answers nothing until it is opened; knows the most requests it held at a time."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self._lock = threading.Lock()
        self._held = 0
        self.most = 0

    def __call__(self, model: Connection) -> None:
        while True:
            model.read_request()
            with self._lock:
                self._held += 1
                self.most = max(self.most, self._held)
            self.open.wait(10)
            with self._lock:
                self._held -= 1
            model.send(OK)


def ask(worker: RunningWorker, count: int) -> list[Stream]:
    clients = [worker.connect() for _ in range(count)]
    for client in clients:
        client.send(get())
    return clients


@pytest.fixture
def nowhere() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_no_more_connections_than_allowed_even_for_requests_of_one_moment():
    gate = Gate()
    with Upstream(gate) as model:
        bounded = ModelSettings(url=model.url, pool=Pool(connections=3))
        with RunningWorker(models={"m": bounded}) as worker:
            clients = [worker.connect() for _ in range(40)]
            worker.wait_for(lambda one: one.gauge(WorkerGauge.CONNECTIONS) == 40)
            held = threading.Event()
            worker.call_soon(lambda: held.wait(5))  # all requests meet in one iteration
            for client in clients:
                client.send(get())
            held.set()
            model.wait_for(lambda one: len(one.requests) == 3)
            worker.wait_for(lambda one: one.model_gauge("m", ModelGauge.WAITERS) == 37)
            gate.open.set()
            for client in clients:
                assert client.read_response().status == 200
            assert len(model.connections) == 3
            assert gate.most == 3


def test_more_waiters_than_allowed_get_503_at_once():
    gate = Gate()
    with Upstream(gate) as model:
        bounded = ModelSettings(url=model.url, pool=Pool(connections=2, waiters=3))
        with RunningWorker(models={"m": bounded}) as worker:
            served = ask(worker, 2)
            model.wait_for(lambda one: len(one.requests) == 2)
            served += ask(worker, 3)
            worker.wait_for(lambda one: one.model_gauge("m", ModelGauge.WAITERS) == 3)
            for refused in ask(worker, 4):
                answer = refused.read_response()
                assert (answer.status, code(answer)) == (503, "pool_full")
                assert answer.field("retry-after") is not None
            gate.open.set()
            assert [one.read_response().status for one in served] == [200] * 5


def test_calls_whose_own_connection_is_being_made_do_not_count_as_waiters():
    gate = Gate()
    with Upstream(gate) as model:
        bounded = ModelSettings(url=model.url, pool=Pool(connections=30, waiters=0))
        with RunningWorker(models={"m": bounded}) as worker:
            clients = ask(worker, 30)
            model.wait_for(lambda one: len(one.requests) == 30)
            gate.open.set()
            assert [one.read_response().status for one in clients] == [200] * 30


def test_whoever_waits_too_long_gets_503():
    gate = Gate()
    with Upstream(gate) as model:
        bounded = ModelSettings(
            url=model.url, pool=Pool(connections=1, waiters=9, wait_timeout=Duration(0.3))
        )
        with RunningWorker(models={"m": bounded}) as worker:
            (first,) = ask(worker, 1)
            model.wait_for(lambda one: len(one.requests) == 1)
            (second,) = ask(worker, 1)
            answer = second.read_response()
            assert (answer.status, code(answer)) == (503, "pool_timeout")
            gate.open.set()
            assert first.read_response().status == 200


def test_all_who_wait_for_a_model_that_cannot_be_reached_are_told_so_without_waiting(nowhere):
    unreachable = ModelSettings(
        url=nowhere,
        pool=Pool(connections=1, waiters=100, wait_timeout=Duration(30)),
        breaker=Breaker(failures=0),
    )
    with RunningWorker(models={"m": unreachable}) as worker:
        for client in ask(worker, 20):
            answer = client.read_response()
            assert (answer.status, code(answer)) == (502, "upstream_unreachable")


def test_a_model_that_accepts_and_resets_at_once_costs_no_place_and_nobody_waits_for_it():
    """The reset comes between two iterations of a busy loop: connected, and gone already."""

    def turns_away(model: Connection) -> None:
        model.reset()

    def busy(worker: RunningWorker) -> None:
        sleep(0.003)
        if not over.is_set():
            worker.call_soon(lambda: busy(worker))

    over = threading.Event()
    with Upstream(turns_away) as model:
        rude = ModelSettings(
            url=model.url,
            pool=Pool(connections=1, wait_timeout=Duration(30)),
            breaker=Breaker(failures=0),
        )
        with RunningWorker(models={"m": rude}) as worker:
            worker.call_soon(lambda: busy(worker))
            client = worker.connect()
            codes = set()
            for _ in range(20):
                client.send(post())
                answer = client.read_response()
                assert answer.status == 502
                codes.add(code(answer))
            over.set()
            assert "upstream_unreachable" in codes  # nothing was sent, and it is known
            assert worker.open_connections("m") == 0


def test_a_waiting_client_that_leaves_takes_no_place():
    gate = Gate()
    with Upstream(gate) as model:
        bounded = ModelSettings(url=model.url, pool=Pool(connections=1, waiters=1))
        with RunningWorker(models={"m": bounded}) as worker:
            (first,) = ask(worker, 1)
            model.wait_for(lambda one: len(one.requests) == 1)
            for _ in range(3):
                (waiting,) = ask(worker, 1)
                worker.wait_for(lambda one: one.model_gauge("m", ModelGauge.WAITERS) == 1)
                waiting.close()
                worker.wait_for(lambda one: one.model_gauge("m", ModelGauge.WAITERS) == 0)
            (last,) = ask(worker, 1)
            gate.open.set()
            assert first.read_response().status == 200
            assert last.read_response().status == 200
            assert len(model.requests) == 2


def test_calls_that_wait_when_their_model_is_reconfigured_are_still_served():
    gate = Gate()
    with Upstream(gate) as model:
        bounded = ModelSettings(url=model.url, pool=Pool(connections=1))
        with RunningWorker(models={"m": bounded}) as worker:
            clients = ask(worker, 1)
            model.wait_for(lambda one: len(one.requests) == 1)
            clients += ask(worker, 5)
            worker.wait_for(lambda one: one.model_gauge("m", ModelGauge.WAITERS) == 5)
            worker.install(models={"m": ModelSettings(url=model.url, pool=Pool(connections=2))})
            gate.open.set()
            assert [one.read_response().status for one in clients] == [200] * 6


def test_calls_that_wait_for_a_new_connection_of_a_replaced_pool_are_still_served():
    def closes(model: Connection) -> None:
        model.read_request()
        go.wait(10)
        model.send(ok(fields="Connection: close\r\n"))

    go = threading.Event()
    with Upstream(closes) as model:
        bounded = ModelSettings(url=model.url, pool=Pool(connections=1))
        with RunningWorker(models={"m": bounded}) as worker:
            clients = ask(worker, 1)
            model.wait_for(lambda one: len(one.requests) == 1)
            clients += ask(worker, 3)
            worker.wait_for(lambda one: one.model_gauge("m", ModelGauge.WAITERS) == 3)
            worker.install(models={"m": ModelSettings(url=model.url, pool=Pool(connections=2))})
            go.set()
            assert [one.read_response().status for one in clients] == [200] * 4


def test_a_dead_endpoint_is_passed_over_and_every_request_is_answered(nowhere):
    with Upstream() as one, Upstream() as other:
        pair = ModelSettings(urls=(nowhere, one.url, other.url), breaker=Breaker(failures=0))
        with RunningWorker(models={"m": pair}) as worker:
            for client in ask(worker, 60):
                assert client.read_response().status == 200
            assert len(one.requests) + len(other.requests) == 60
            # While it counts as down nobody tries it.
            assert worker.model_gauge("m", ModelGauge.CONNECT_FAILURES) < 40


def test_an_endpoint_that_dies_is_passed_over_and_used_again_once_it_is_back():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        back = f"http://127.0.0.1:{place.getsockname()[1]}"
        with Upstream() as stays:
            pair = ModelSettings(urls=(back, stays.url), breaker=Breaker(failures=0))
            with RunningWorker(models={"m": pair}) as worker:
                for client in ask(worker, 10):
                    assert client.read_response().status == 200
                assert len(stays.requests) == 10
                place.listen(100)

                def is_used(_: RunningWorker) -> bool:
                    clients = ask(worker, 4)
                    place.settimeout(0.1)
                    try:
                        accepted = Stream(place.accept()[0])
                    except TimeoutError:
                        for client in clients:
                            client.read_response()
                        return False
                    accepted.close()
                    return True

                worker.wait_for(is_used)


def test_the_least_loaded_endpoint_is_taken():
    gates = [Gate(), Gate(), Gate()]
    with (
        Upstream(gates[0]) as a,
        Upstream(gates[1]) as b,
        Upstream(gates[2]) as c,
        RunningWorker(models={"m": ModelSettings(urls=(a.url, b.url, c.url))}) as worker,
    ):
        clients = ask(worker, 30)
        for model in (a, b, c):
            model.wait_for(lambda one: len(one.requests) == 10)
        for gate in gates:
            gate.open.set()
        for client in clients:
            assert client.read_response().status == 200


def test_more_requests_in_flight_than_allowed_get_503_at_once_and_the_connection_stays():
    gate = Gate()
    with (
        Upstream(gate) as model,
        RunningWorker(models={"m": model.url}, limits=Limits(in_flight=3)) as worker,
    ):
        busy = ask(worker, 3)
        model.wait_for(lambda one: len(one.requests) == 3)
        client = worker.connect()
        for _ in range(3):
            client.send(get())
            answer = client.read_response()
            assert (answer.status, code(answer)) == (503, "overloaded")
        gate.open.set()
        for one in busy:
            assert one.read_response().status == 200
        client.send(get())
        assert client.read_response().status == 200
        assert worker.gauge(WorkerGauge.REJECTED_503) == 3


def test_clients_beyond_the_connection_limit_wait_in_the_queue_and_are_served_later():
    with (
        Upstream() as model,
        RunningWorker(models={"m": model.url}, limits=Limits(connections=2)) as worker,
    ):
        first, second = ask(worker, 2)
        assert first.read_response().status == 200
        assert second.read_response().status == 200
        waiting = ask(worker, 3)
        worker.wait_for(lambda one: one.gauge(WorkerGauge.ACCEPT_PAUSED) > 0)
        assert worker.gauge(WorkerGauge.ACCEPTED) == 2
        for leaving, served in zip((first, second, waiting[0]), waiting, strict=True):
            leaving.close()
            assert served.read_response().status == 200
        assert worker.gauge(WorkerGauge.ACCEPTED) == 5


def test_a_handshake_that_comes_to_nothing_gives_its_place_to_the_next_client(tmp_path):
    authority = Authority(tmp_path)
    server = authority.server_context(authority.issue("localhost"))
    one_only = Limits(connections=1)
    with (
        Upstream() as model,
        RunningWorker(models={"m": model.url}, limits=one_only, tls=server) as worker,
    ):
        says_nothing = worker.connect()
        worker.wait_for(lambda one: one.gauge(WorkerGauge.ACCEPTED) == 1)
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(worker.connect, tls=authority.client_context())
            worker.wait_for(lambda one: one.gauge(WorkerGauge.ACCEPT_PAUSED) > 0)
            says_nothing.close()
            client = waiting.result(10)
        client.send(get())
        assert client.read_response().status == 200


def test_a_connection_is_read_again_after_an_answer_whose_reading_was_paused_at_its_end():
    """The client's buffer overflows inside the very read that holds the end of the answer.

    Where that happens depends on the kernel's buffers, so the answers grow until it must have.
    """
    chunk = b"x" * 20_000

    def answers(model: Connection) -> None:
        while True:
            chunks = int(model.read_request().target[1:])
            model.send(ok_chunked(*[chunk] * chunks))

    with (
        Upstream(answers) as model,
        RunningWorker(models={"m": model.url}, limits=Limits(buffer=Size(1024))) as worker,
    ):
        for chunks in range(10, 500, 10):
            takes_nothing = worker.connect()
            takes_nothing.send(get(f"/{chunks}"))
            model.wait_for(lambda one, chunks=chunks: len(one.requests) == 2 * (chunks // 10) - 1)
            try:
                worker.wait_for(lambda one: one.in_flight == 0, deadline_s=0.2)
            except TimeoutError:
                break  # from here on the answer's end stays with the model
            client = worker.connect(deadline_s=3)
            client.send(get("/0"))
            assert client.read_response().status == 200
            takes_nothing.close()
            client.close()
        assert chunks > 10
        assert len(model.connections) == 1


def test_pipelined_answers_do_not_pile_up_on_a_client_that_takes_none():
    requests = 200
    size = 200_000  # 40 MB in all: far more than the kernel buffers
    with (
        Upstream(answering(ok(bytes(size)))) as model,
        RunningWorker(models={"m": model.url}, limits=Limits(buffer=Size(65536))) as worker,
    ):
        client = worker.connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        client.send(get() * requests)
        with pytest.raises(TimeoutError):
            model.wait_for(lambda one: len(one.requests) == requests, deadline_s=0.7)
        for _ in range(requests):
            response = client.read_response()
            assert len(response.body) == size
            client.forget()


def test_a_connection_whose_request_was_not_taken_whole_is_not_used_again():
    def answers_early(model: Connection) -> None:
        model.read_head()
        model.send(OK)
        done.wait(10)

    done = threading.Event()
    with (
        Upstream(answers_early, answering(OK)) as model,
        RunningWorker(
            models={"m": ModelSettings(url=model.url, retry=Retry(attempts=0))},
            limits=Limits(linger=Duration(0.1)),
        ) as worker,
    ):
        client = worker.connect()
        client.sock.settimeout(5)
        with contextlib.suppress(OSError):  # the early answer closes it
            client.send(post(bytes(50_000_000)))
        other = worker.connect()
        other.send(get())
        assert other.read_response().status == 200
        assert len(model.connections) == 2
        done.set()
