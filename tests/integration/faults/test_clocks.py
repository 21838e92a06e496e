"""Clocks: deadlines follow the monotonic clock, and forgive a process that was stopped.

The wall clock is read in one place of the data plane, for the time in a UUIDv7: when it jumps, ids
stay unique and valid, and nothing else notices.
"""

from __future__ import annotations

import re
import time
from itertools import count
from time import sleep

import pytest
from harness.messages import get, post
from harness.stream import Message
from harness.upstream import OK, Connection, Upstream
from harness.worker import RunningWorker
from harness.worker_process import WorkerProcess

from sidecar.board import CellCounter, WorkerGauge
from sidecar.config.settings import Limits, ModelSettings, Timeouts
from sidecar.config.units import Duration

HOUR_NS = 3600 * 10**9
UUID7 = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
STOPPED_S = 1.5  # longer than every deadline below

SHORT = Limits(header_timeout=Duration(0.8), body_timeout=Duration(0.8), idle_timeout=Duration(0.8))


def request_id(answer: Message) -> bytes:
    found = answer.field("x-request-id")
    assert found is not None
    assert UUID7.fullmatch(found), found
    return found


def test_a_wall_clock_that_jumps_or_stands_still_harms_nothing(monkeypatch):
    real = time.time_ns
    turn = count()

    def wild() -> int:
        jumps = (0, HOUR_NS, -HOUR_NS, -real(), 0)
        return real() + jumps[next(turn) % len(jumps)]

    with Upstream() as model, RunningWorker(models={"m": model.url}, limits=SHORT) as worker:
        client = worker.connect()
        ids = set()
        for clock in (wild, lambda: 1_700_000_000 * 10**9):
            monkeypatch.setattr(time, "time_ns", clock)
            for _ in range(50):
                client.send(get())
                answer = client.read_response()
                assert answer.status == 200
                ids.add(request_id(answer))
        assert len(ids) == 100
        snapshot = worker.snapshot()
        cell = worker.cell("m")
        assert snapshot.counter(cell, CellCounter.STATUS_2XX) == 100
        assert snapshot.histogram(cell, "total").total > 0
        # No latency of an hour, and none below zero.
        assert snapshot.histogram(cell, "total").total < 100 * 10**9


def test_answers_that_came_while_the_process_was_stopped_are_delivered_and_not_timed_out():
    def answers_after_a_while(model: Connection) -> None:
        while True:
            model.read_request()
            sleep(0.3)
            model.send(OK)

    impatient = Timeouts(first_byte=Duration(0.8), idle=Duration(0.8), total=Duration(1))
    with Upstream(answers_after_a_while) as model:
        models = {"m": ModelSettings(url=model.url, timeouts=impatient)}
        with WorkerProcess(models=models, limits=SHORT) as worker:
            clients = [worker.connect() for _ in range(20)]
            for client in clients:
                client.send(post())
            model.wait_for(lambda one: len(one.requests) == 20)
            worker.stop_running()
            sleep(STOPPED_S)
            worker.go_on()
            assert [client.read_response().status for client in clients] == [200] * 20
            assert worker.ask("counted", "m", CellCounter.ERROR) == 0


def test_what_clients_sent_while_the_process_was_stopped_is_read_before_they_are_judged():
    with Upstream() as model, WorkerProcess(models={"m": model.url}, limits=SHORT) as worker:
        inside_head, inside_body, idle = (worker.connect() for _ in range(3))
        inside_head.send(get()[:-2])
        inside_body.send(post(b"half", announced=8))
        idle.send(get())
        assert idle.read_response().status == 200
        model.wait_for(lambda one: any(raw.endswith(b"half") for raw in one.received))
        worker.stop_running()
        inside_head.send(b"\r\n")
        inside_body.send(b"half")
        idle.send(get())
        sleep(STOPPED_S)
        worker.go_on()
        for client in (inside_head, inside_body, idle):
            assert client.read_response().status == 200
        assert worker.ask("gauge", WorkerGauge.REJECTED_408) == 0


@pytest.mark.parametrize("begun", [get()[:-2], post(b"half", announced=8)], ids=["head", "body"])
def test_deadlines_pass_after_a_stop_as_before(begun):
    with Upstream() as model, WorkerProcess(models={"m": model.url}, limits=SHORT) as worker:
        client = worker.connect()
        client.send(begun)
        wait = 0.2
        sleep(wait)
        worker.stop_running()
        sleep(STOPPED_S)
        worker.go_on()
        assert client.read_response().status == 408
