"""The keep-alive race: a request meets a connection that the model is just closing.

Nobody can win this race every time (RFC 9112 9.3.1): the close may be under way while the request
is written. What is promised instead, and counted here over 2,000 rounds and more:

- no POST reaches a model twice, whatever happens to its connection;
- every GET is answered, since it is sent again on a connection made for it;
- POSTs that get 502 are rare: at most `RARELY` of them, since the sidecar learns how long the model
  keeps idle connections and stays well below. Without learning it would be every third one here.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from itertools import count
from time import sleep

import pytest
from harness.messages import get, post
from harness.upstream import OK, Connection, Upstream
from harness.worker import RunningWorker

from sidecar.board import CellCounter, ModelGauge

ROUNDS = 2000
CLIENTS = 4
RARELY = 0.02

Pause = Callable[[random.Random], None]


def no_pause(rng: random.Random) -> None:
    del rng


def short_pause(rng: random.Random) -> None:
    sleep(rng.random() * 0.002)


def drive(
    worker: RunningWorker, method: str, *, rounds: int, clients: int = CLIENTS, pause: Pause
) -> Counter[int]:
    """So many requests from so many clients, each marked by an id of its own; counts statuses."""
    statuses: Counter[int] = Counter()
    failures: list[BaseException] = []
    numbers = count()

    def client(seed: int) -> None:
        rng = random.Random(seed)
        try:
            stream = worker.connect()
            for _ in range(rounds // clients):
                mark = f"X-Mark: {next(numbers)}\r\n"
                stream.send(post(fields=mark) if method == "POST" else get(fields=mark))
                statuses[stream.read_response().status] += 1
                pause(rng)
        except BaseException as failure:  # noqa: BLE001  # raised again in the test's thread
            failures.append(failure)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    assert statuses.total() == rounds
    return statuses


def sightings(model: Upstream) -> Counter[bytes | None]:
    """How often each marked request reached the model."""
    return Counter(request.field("x-mark") for request in model.requests)


def closes_soon_after_answering(model: Connection) -> None:
    """One answer, and a close within 2 ms that nothing announced."""
    rng = random.Random(id(model))
    model.read_request()
    model.send(OK)
    model.sock.settimeout(rng.random() * 0.002)
    try:
        model.read_request()  # it came in time: answered, and so on
        model.send(OK)
    except TimeoutError:
        pass


@pytest.mark.parametrize("pause", [no_pause, short_pause])
def test_posts_to_a_model_that_closes_unannounced_are_never_doubled_and_rarely_lost(pause):
    with (
        Upstream(closes_soon_after_answering) as model,
        RunningWorker(models={"m": model.url}) as worker,
    ):
        statuses = drive(worker, "POST", rounds=ROUNDS // 2, pause=pause)
        assert set(statuses) <= {200, 502}
        assert statuses[502] <= RARELY * ROUNDS // 2, statuses
        assert max(sightings(model).values()) == 1
        assert worker.counted("m", CellCounter.RETRIES) == 0


@pytest.mark.parametrize("pause", [no_pause, short_pause])
def test_every_get_to_a_model_that_closes_unannounced_is_answered(pause):
    with (
        Upstream(closes_soon_after_answering) as model,
        RunningWorker(models={"m": model.url}) as worker,
    ):
        statuses = drive(worker, "GET", rounds=ROUNDS // 2, pause=pause)
        assert statuses == {200: ROUNDS // 2}
        assert max(sightings(model).values()) <= 2


def test_posts_at_the_very_end_of_a_models_keep_alive_time_are_rarely_lost():
    keep_alive_s = 0.04

    def model_server(model: Connection) -> None:
        model.read_request()
        while True:
            model.send(OK)
            model.sock.settimeout(keep_alive_s)
            model.read_request()  # TimeoutError closes the connection, as model servers do

    def until_about_then(rng: random.Random) -> None:
        sleep(keep_alive_s + rng.uniform(-0.002, 0.002))

    with Upstream(model_server) as model, RunningWorker(models={"m": model.url}) as worker:
        rounds = 1600
        statuses = drive(worker, "POST", rounds=rounds, clients=32, pause=until_about_then)
        assert set(statuses) <= {200, 502}
        assert statuses[502] <= 2 * RARELY * rounds, statuses  # the first of each connection teach
        assert max(sightings(model).values()) == 1


def test_requests_that_were_read_and_not_answered_are_the_hardest_case():
    """Every other connection ends with its first request read: nothing tells it from the race."""
    numbers = count()

    def dies_every_other_time(model: Connection) -> None:
        dies = next(numbers) % 2 == 0
        model.read_request()
        if not dies:
            model.send(OK)

    with Upstream(dies_every_other_time) as model, RunningWorker(models={"m": model.url}) as worker:
        posts = drive(worker, "POST", rounds=100, clients=1, pause=no_pause)
        # Every death is a 502, never a repetition. A few more requests may meet a connection that
        # has answered and is closing: the race itself.
        assert 45 <= posts[502] <= 60
        assert posts[200] + posts[502] == 100
        assert max(sightings(model).values()) == 1
        gets = drive(worker, "GET", rounds=100, clients=1, pause=no_pause)
        assert gets == {200: 100}
        assert worker.counted("m", CellCounter.RETRIES) >= 90


def test_a_restart_of_the_model_does_not_end_the_reuse_of_connections():
    """What a young closed connection taught is forgotten: its model may have been restarted."""
    restart = threading.Event()

    def until_restarted(model: Connection) -> None:
        model.sock.settimeout(0.01)
        while not restart.is_set():
            try:
                model.read_request()
            except TimeoutError:
                continue
            model.send(OK)

    def stays(model: Connection) -> None:
        while True:
            model.read_request()
            model.send(OK)

    with (
        Upstream(until_restarted, stays) as model,
        RunningWorker(models={"m": model.url}) as worker,
    ):
        client = worker.connect()
        client.send(get())
        assert client.read_response().status == 200
        restart.set()
        worker.wait_for(lambda one: one.model_gauge("m", ModelGauge.IDLE_CLOSED_BY_MODEL) == 1)
        for later_s in range(0, 300, 10):  # now and then, twice as much is trusted
            worker.pass_time(later_s)
        client = worker.connect()
        for _ in range(3):
            client.send(get())
            assert client.read_response().status == 200
            sleep(0.1)
        assert len(model.connections) == 2
