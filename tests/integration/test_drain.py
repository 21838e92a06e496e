"""Draining: nothing that was accepted is lost, and the exit code tells how it went."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest
from harness.configs import one_route
from harness.load import Load
from harness.upstream import OK
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(60)


def slow(delay_s: float):
    """A model that takes its time."""

    def script(model) -> None:
        while True:
            model.read_request()
            time.sleep(delay_s)
            model.send(OK)

    return script


def hanging(model) -> None:
    """A model that reads and never answers."""
    while True:
        model.read_request()


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_breaks_no_answer(sidecar, upstream, workers):
    running = sidecar(one_route(upstream().url, workers=workers))
    with Load(running.port, clients=16) as load:
        wait_until(lambda: load.answered > 200, "some answers")
        assert running.stop() == 0
    assert load.broken == []


def test_requests_in_flight_are_finished_and_new_clients_are_refused(sidecar, upstream):
    running = sidecar(one_route(upstream(slow(3.0)).url))
    answers: list[tuple[int, dict[str, str], bytes]] = []
    client = threading.Thread(target=lambda: answers.append(running.request()))
    client.start()
    wait_until(lambda: _in_flight(running) == 1, "the request is in flight")
    running.signal(signal.SIGTERM)
    wait_until(lambda: _refuses(running.port), "new clients are refused")
    assert answers == []  # still in flight
    client.join(10)
    assert answers[0][0] == 200
    assert answers[0][1]["connection"] == "close"
    assert running.wait() == 0


def test_a_request_that_outlasts_the_deadline_is_cut_off(sidecar, upstream):
    running = sidecar(one_route(upstream(hanging).url, drain={"timeout": "1s"}))
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: _in_flight(running) == 1, "the request is in flight")
        assert running.stop() == 0
        client.settimeout(5)
        assert _ended(client)


def test_a_child_that_does_not_end_is_killed_and_the_exit_code_says_so(sidecar, upstream):
    running = sidecar(one_route(upstream().url, drain={"timeout": "100ms"}))
    os.kill(running.children()["work-0"], signal.SIGSTOP)
    assert running.stop() == 1
    assert "did not end in time and is killed" in running.stderr


def test_a_second_ctrl_c_does_not_wait(sidecar, upstream):
    running = sidecar(one_route(upstream(hanging).url, drain={"timeout": "30s"}))
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: _in_flight(running) == 1, "the request is in flight")
        running.signal(signal.SIGINT)
        wait_until(lambda: "launcher: drains" in running.stderr, "it drains")
        assert running.stop(signal.SIGINT) == 1


def test_draining_by_admin_call_keeps_the_controller_until_sigterm(sidecar, upstream):
    running = sidecar(one_route(upstream().url, workers=2))
    with Load(running.port) as load:
        wait_until(lambda: load.answered > 50, "some answers")
        status, answer = running.admin("POST", "/api/v1/drain")
        assert (status, answer) == (202, {"draining": True})
        wait_until(lambda: set(running.children()) == {"control"}, "the workers have ended")
    assert load.broken == []
    assert _refuses(running.port)
    status, readiness = running.admin("GET", "/readyz")
    assert status == 503
    assert "draining" in readiness["reasons"]
    assert running.admin("POST", "/api/v1/drain")[0] == 202  # again changes nothing
    assert "sidecar_requests_total" in running.metrics()
    assert running.stop() == 0


def test_readiness_says_no_as_soon_as_a_drain_begins(sidecar, upstream):
    running = sidecar(one_route(upstream(slow(2.0)).url))
    client = threading.Thread(target=running.request)
    client.start()
    wait_until(lambda: _in_flight(running) == 1, "the request is in flight")
    running.signal(signal.SIGTERM)
    wait_until(lambda: running.admin("GET", "/readyz")[0] == 503, "not ready")
    assert running.admin("GET", "/readyz")[1]["reasons"][0] == "draining"
    client.join(10)
    assert running.wait() == 0


def test_a_controller_that_dies_during_a_drain_comes_back_draining(sidecar, upstream):
    running = sidecar(one_route(upstream().url))
    running.admin("POST", "/api/v1/drain")
    wait_until(lambda: set(running.children()) == {"control"}, "the workers have ended")
    victim = running.children()["control"]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: running.children().get("control") not in {None, victim}, "it is back")
    assert running.admin("GET", "/readyz")[1]["reasons"][0] == "draining"
    assert running.stop() == 0


def _in_flight(running) -> int:
    return sum(w["in_flight"] for w in running.admin("GET", "/api/v1/status")[1]["workers"])


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=3).close()
    except ConnectionRefusedError:
        return True
    return False


def _ended(client: socket.socket) -> bool:
    try:
        return not client.recv(65536).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return True
