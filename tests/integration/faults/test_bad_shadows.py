"""Shadows that hang, reset, drip, flood, lie or are absent: clients notice nothing.

In every case offered copies = the sum of their outcomes, to the last one.
"""

from __future__ import annotations

import socket
from collections import Counter
from time import monotonic, sleep

import pytest
from harness.messages import get, ok, ok_chunked, post
from harness.upstream import OK, Connection, Upstream, answering
from harness.worker import RunningWorker

from sidecar.board import CellCounter, ModelGauge, WorkerGauge
from sidecar.config.settings import (
    Breaker,
    Limits,
    Match,
    ModelSettings,
    RouteSettings,
    Shadow,
    Timeouts,
)
from sidecar.config.units import Duration, Size
from sidecar.model import Role, ShadowOutcome


def shadowed(url: str, primary_url: str, **shadow: object) -> dict[str, object]:
    """Arguments of a worker that copies everything to `trial`, which has no breaker."""
    return {
        "models": {
            "stable": primary_url,
            "trial": ModelSettings(url=url, breaker=Breaker(failures=0)),
        },
        "routes": (
            RouteSettings(name="all", primary="stable", shadows=(Shadow(model="trial", **shadow),)),
        ),
    }


def outcomes(worker: RunningWorker, model: str = "trial") -> Counter[ShadowOutcome]:
    """What became of the copies so far."""
    counters = worker.snapshot().counters[worker.cell(model, Role.SHADOW)]
    found = Counter({one: int(counters[CellCounter.of_shadow(one)]) for one in ShadowOutcome})
    return +found


def settled(worker: RunningWorker, offered: int) -> Counter[ShadowOutcome]:
    """The outcomes once every copy has one; fails when they are too few, or ever too many."""
    worker.wait_for(lambda one: outcomes(one).total() >= offered)
    worker.wait_for(lambda one: one.gauge(WorkerGauge.SHADOWS_IN_FLIGHT) == 0)
    found = outcomes(worker)
    assert found.total() == offered
    return found


def hangs(model: Connection) -> None:
    model.read_request()
    model.read_to_end()


def resets(model: Connection) -> None:
    model.read_request()
    model.reset()


def resets_inside(model: Connection) -> None:
    model.read_request()
    model.send(ok(b"some", announced=100))
    sleep(0.01)
    model.reset()


def drips(model: Connection) -> None:
    model.read_request()
    for byte in ok(b"x" * 1000):
        model.send(bytes([byte]))
        sleep(0.05)


def floods(model: Connection) -> None:
    model.read_request()
    model.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        model.send(bytes(1 << 20))


def speaks_tls(model: Connection) -> None:
    model.read_request()
    model.send(b"\x15\x03\x01\x00\x02\x02\x16")
    model.read_to_end()


def speaks_http2(model: Connection) -> None:
    model.read_request()
    model.send(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18) + b"\r\n\r\n")
    model.read_to_end()


def switches(model: Connection) -> None:
    model.read_request()
    model.send(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
    model.read_to_end()


def floods_interim(model: Connection) -> None:
    model.read_request()
    model.send(b"HTTP/1.1 102 Wait\r\n\r\n" * 1000)
    model.read_to_end()


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (hangs, ShadowOutcome.TIMEOUT),
        (drips, ShadowOutcome.TIMEOUT),
        (floods, ShadowOutcome.TIMEOUT),
        (resets, ShadowOutcome.RESET),
        (resets_inside, ShadowOutcome.RESET),
        (speaks_tls, ShadowOutcome.BROKEN),
        (speaks_http2, ShadowOutcome.BROKEN),
        (switches, ShadowOutcome.BROKEN),
        (floods_interim, ShadowOutcome.BROKEN),
    ],
)
def test_clients_of_a_route_with_a_bad_shadow_get_their_answers_and_each_loss_is_counted(
    bad, expected
):
    offered = 40
    with (
        Upstream(bad) as trial,
        Upstream(answering(ok(b"from the primary"))) as stable,
        RunningWorker(**shadowed(trial.url, stable.url, deadline=Duration(0.6))) as worker,
    ):
        client = worker.connect(deadline_s=5)
        for _ in range(offered):
            client.send(post(b"some input"))
            answer = client.read_response()
            assert (answer.status, answer.body) == (200, b"from the primary")
            assert answer.field("x-sidecar-model") == b"stable"
        assert settled(worker, offered) == {expected: offered}
        assert worker.counted("stable", CellCounter.STATUS_2XX) == offered
        assert worker.counted("trial", CellCounter.ERROR, Role.SHADOW) == offered
        trial.wait_for(lambda one: all(conn.ended for conn in one.connections if bad is hangs))


def test_an_absent_shadow_is_counted_as_one_that_cannot_be_connected_to():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Upstream() as stable, RunningWorker(**shadowed(url, stable.url)) as worker:
            client = worker.connect()
            for _ in range(20):
                client.send(post())
                assert client.read_response().status == 200
            assert settled(worker, 20) == {ShadowOutcome.CONNECT_FAILED: 20}


def test_a_shadow_that_is_never_connected_is_given_up_at_the_deadline():
    with socket.socket() as deaf:
        # A full backlog of one: the kernel drops further SYNs.
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with (
            Upstream() as stable,
            RunningWorker(**shadowed(url, stable.url, deadline=Duration(0.5))) as worker,
        ):
            client = worker.connect()
            for _ in range(5):
                client.send(post())
                assert client.read_response().status == 200
            assert settled(worker, 5) == {ShadowOutcome.CONNECT_FAILED: 5}
        for one in fillers:
            one.close()


def test_copies_beyond_the_concurrency_cap_are_skipped_and_counted():
    with (
        Upstream(hangs) as trial,
        Upstream() as stable,
        RunningWorker(
            **shadowed(trial.url, stable.url, concurrency=5, deadline=Duration(1))
        ) as worker,
    ):
        client = worker.connect()
        for _ in range(25):
            client.send(post())
            assert client.read_response().status == 200
        worker.wait_for(lambda one: one.gauge(WorkerGauge.SHADOWS_IN_FLIGHT) == 5)
        assert outcomes(worker) == {ShadowOutcome.SKIPPED_BUSY: 20}
        found = settled(worker, 25)
        assert found == {ShadowOutcome.SKIPPED_BUSY: 20, ShadowOutcome.TIMEOUT: 5}
        assert len(trial.connections) == 5


def test_copies_beyond_the_size_cap_are_skipped_and_counted_however_they_arrive():
    with (
        Upstream() as trial,
        Upstream() as stable,
        RunningWorker(**shadowed(trial.url, stable.url, max_body=Size(1000))) as worker,
    ):
        client = worker.connect()

        def in_two_parts(size: int) -> None:
            client.send(post(b"a" * (size // 2), announced=size))
            seen = len(stable.requests)
            worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 1)
            assert len(stable.requests) == seen
            client.send(b"a" * (size - size // 2))

        for send in (lambda size: client.send(post(b"a" * size)), in_two_parts):
            for size in (1000, 1001):
                send(size)
                assert client.read_response().status == 200
        found = settled(worker, 4)
        assert found == {ShadowOutcome.ANSWERED: 2, ShadowOutcome.SKIPPED_TOO_LARGE: 2}
        assert [one.body for one in trial.requests] == [b"a" * 1000] * 2
        assert len(stable.requests) == 4


def test_requests_that_never_became_whole_are_not_copied_and_are_counted():
    limits = Limits(body_timeout=Duration(0.3), linger=Duration(0.1))

    def early(model: Connection) -> None:
        model.read_head()
        model.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        model.read_to_end()

    with (
        Upstream() as trial,
        Upstream() as stable,
        RunningWorker(**shadowed(trial.url, stable.url), limits=limits) as worker,
    ):
        half = post(b"half", announced=8)
        left = worker.connect()
        left.send(half)
        worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 1)
        left.close()
        worker.wait_for(lambda one: one.counted("stable", CellCounter.ABORTED) == 1)

        stalled = worker.connect()
        stalled.send(half)
        assert stalled.read_response().status == 408

        malformed = worker.connect()
        malformed.send(post().replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")[:-2])
        worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 1)
        malformed.send(b"bad size\r\n")
        assert malformed.read_response().status == 400
        assert settled(worker, 3) == {ShadowOutcome.SKIPPED_INCOMPLETE: 3}
        assert trial.connections == []

    with (
        Upstream() as trial,
        Upstream(early) as stable,
        RunningWorker(**shadowed(trial.url, stable.url), limits=limits) as worker,
    ):
        answered = worker.connect()
        answered.send(half)
        assert answered.read_response().status == 413
        assert settled(worker, 1) == {ShadowOutcome.SKIPPED_INCOMPLETE: 1}
        assert trial.connections == []


def test_copies_are_made_whatever_becomes_of_the_primarys_answer():
    with (
        Upstream() as trial,
        Upstream(resets) as stable,
        RunningWorker(**shadowed(trial.url, stable.url)) as worker,
    ):
        client = worker.connect()
        for _ in range(3):
            client.send(post())
            assert client.read_response().status == 502
        assert settled(worker, 3) == {ShadowOutcome.ANSWERED: 3}


def test_a_client_that_leaves_after_its_request_does_not_take_the_copy_with_it():
    def slowly(model: Connection) -> None:
        model.read_request()
        sleep(0.2)
        model.send(OK)

    with (
        Upstream(slowly) as trial,
        Upstream(hangs) as stable,
        RunningWorker(**shadowed(trial.url, stable.url)) as worker,
    ):
        client = worker.connect()
        client.send(post())
        trial.wait_for(lambda one: len(one.requests) == 1)
        client.close()
        assert settled(worker, 1) == {ShadowOutcome.ANSWERED: 1}
        assert worker.counted("stable", CellCounter.ABORTED) == 1


def test_the_breaker_of_a_shadow_does_not_keep_the_model_from_answering_as_a_primary():
    def dislikes_copies(model: Connection) -> None:
        while True:
            request = model.read_request()
            if request.field("x-sidecar-shadow") is not None:
                model.reset()
                return
            model.send(OK)

    models = {
        "other": "",
        "both": ModelSettings(breaker=Breaker(failures=3, open_for=Duration(60))),
    }
    with Upstream(dislikes_copies) as both, Upstream() as other:
        models = {
            "other": other.url,
            "both": ModelSettings(url=both.url, breaker=Breaker(failures=3, open_for=Duration(60))),
        }
        routes = (
            RouteSettings(name="direct", match=Match(path_prefix="/direct"), primary="both"),
            RouteSettings(name="all", primary="other", shadows=(Shadow(model="both"),)),
        )
        with RunningWorker(models=models, routes=routes) as worker:
            client = worker.connect()
            for copies in range(1, 11):
                client.send(post())
                assert client.read_response().status == 200
                worker.wait_for(lambda one, copies=copies: outcomes(one, "both").total() == copies)
                client.send(post(target="/direct"))
                assert client.read_response().status == 200
            assert outcomes(worker, "both") == {
                ShadowOutcome.RESET: 3,
                ShadowOutcome.SKIPPED_BREAKER: 7,
            }
            assert worker.model_gauge("both", ModelGauge.BREAKER_OPENED) == 0


def test_a_long_answer_of_a_shadow_is_read_to_its_end_and_its_connection_used_again():
    with (
        Upstream(answering(ok(bytes(10_000_000)), ok_chunked(b"x" * 100_000))) as trial,
        Upstream() as stable,
        RunningWorker(**shadowed(trial.url, stable.url)) as worker,
    ):
        client = worker.connect()
        for copies in (1, 2, 3):
            client.send(get())
            assert client.read_response().status == 200
            worker.wait_for(lambda one, copies=copies: outcomes(one).total() == copies)
        assert outcomes(worker) == {ShadowOutcome.ANSWERED: 3}
        assert len(trial.connections) == 1


def test_a_flood_from_a_shadow_is_read_at_a_bounded_pace():
    sent = 0

    def counts_what_it_floods(model: Connection) -> None:
        nonlocal sent
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            model.send(bytes(1 << 16))
            sent += 1 << 16

    with (
        Upstream(counts_what_it_floods) as trial,
        Upstream() as stable,
        RunningWorker(**shadowed(trial.url, stable.url, deadline=Duration(1))) as worker,
    ):
        client = worker.connect()
        began = monotonic()
        client.send(get())
        assert client.read_response().status == 200
        assert settled(worker, 1) == {ShadowOutcome.TIMEOUT: 1}
        in_kernel = 16 * 1024 * 1024  # socket buffers of both sides, generously
        assert sent < 50_000_000 * (monotonic() - began) + in_kernel


def test_copies_in_flight_when_the_worker_stops_are_counted():
    with (
        Upstream(hangs) as trial,
        Upstream() as stable,
        RunningWorker(**shadowed(trial.url, stable.url)) as worker,
    ):
        client = worker.connect()
        for _ in range(3):
            client.send(post())
            assert client.read_response().status == 200
        trial.wait_for(lambda one: len(one.requests) == 3)
        client.close()
        worker.drain(0.2)
        assert outcomes(worker) == {ShadowOutcome.SKIPPED_DRAINING: 3}
        trial.wait_for(lambda one: all(conn.ended for conn in one.connections))


def test_copies_are_not_begun_while_the_worker_drains():
    with (
        Upstream() as trial,
        Upstream() as stable,
        RunningWorker(**shadowed(trial.url, stable.url)) as worker,
    ):
        client = worker.connect()
        client.send(post(b"half", announced=8))
        worker.wait_for(lambda one: one.gauge(WorkerGauge.IN_FLIGHT) == 1)
        worker.begin_drain(5)
        worker.wait_for(lambda one: one.gauge(WorkerGauge.DRAINING) == 1)
        client.send(b"half")
        assert client.read_response().status == 200
        assert outcomes(worker) == {ShadowOutcome.SKIPPED_DRAINING: 1}
        assert trial.connections == []


def test_a_shadow_behind_a_slow_connect_timeout_is_bound_by_its_own_deadline():
    # The model allows 30 s; the shadow's deadline is what counts for its copies.
    with Upstream(hangs) as trial, Upstream() as stable:
        arguments = shadowed(trial.url, stable.url, deadline=Duration(0.3))
        arguments["models"]["trial"] = ModelSettings(
            url=trial.url, timeouts=Timeouts(first_byte=Duration(30), total=Duration(60))
        )
        with RunningWorker(**arguments) as worker:
            client = worker.connect()
            client.send(post())
            assert client.read_response().status == 200
            assert settled(worker, 1) == {ShadowOutcome.TIMEOUT: 1}
