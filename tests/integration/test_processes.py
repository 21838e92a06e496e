"""The process group: who is there, who comes back, and who ends with whom."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from harness.configs import one_route
from harness.load import Load
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(60)


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False


def test_a_launcher_has_one_controller_and_the_configured_workers(sidecar, upstream):
    running = sidecar(one_route(upstream().url, workers=2))
    assert sorted(running.children()) == ["control", "work-0", "work-1"]
    status, view = running.admin("GET", "/api/v1/status")
    assert status == 200
    assert view["ready"] is True
    assert {w["pid"] for w in view["workers"]} == {
        pid for name, pid in running.children().items() if name.startswith("work")
    }


def test_requests_reach_the_model_and_come_back(sidecar, upstream):
    model = upstream()
    running = sidecar(one_route(model.url))
    status, headers, body = running.request("GET", "/hello")
    assert (status, body) == (200, b"ok")
    assert headers["x-sidecar-model"] in {"stable", "next"}
    assert model.requests[0].target == b"/hello"


def test_a_killed_worker_is_replaced_while_traffic_goes_on(sidecar, upstream):
    running = sidecar(one_route(upstream().url, workers=2))
    victim = running.children()["work-0"]
    with Load(running.port, clients=4) as load:
        wait_until(lambda: load.answered > 50, "some answers")
        os.kill(victim, signal.SIGKILL)
        before = load.answered
        wait_until(lambda: load.answered > before + 100, "traffic goes on")
        wait_until(
            lambda: running.children().get("work-0") not in {None, victim} and running.ready(),
            "the worker is back and ready",
        )
        before = load.answered
        wait_until(lambda: load.answered > before + 100, "traffic goes on")
    # What the victim was answering is lost, at most one request per client; nothing else is.
    assert len(load.broken) <= 4, load.broken
    assert load.refused == 0


def test_connections_that_are_queued_when_the_only_worker_dies_are_served_by_the_next(
    sidecar, upstream
):
    running = sidecar(one_route(upstream().url, workers=1))
    victim = running.children()["work-0"]
    os.kill(victim, signal.SIGSTOP)  # it cannot accept, so the request stays in the queue
    with Load(running.port, clients=1) as load:
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: load.answered, "the queued request is answered")
    assert load.broken == []
    assert load.refused == 0


def test_a_killed_controller_comes_back_while_traffic_goes_on(sidecar, upstream):
    running = sidecar(one_route(upstream().url))
    victim = running.children()["control"]
    with Load(running.port, clients=4) as load:
        wait_until(lambda: load.answered > 20, "some answers")
        os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda: running.children().get("control") not in {None, victim} and running.ready(),
            "the controller is back and knows its workers",
        )
    assert load.broken == []


def test_an_admin_call_during_a_restart_of_the_controller_waits_instead_of_failing(
    sidecar, upstream
):
    running = sidecar(one_route(upstream().url))
    os.kill(running.children()["control"], signal.SIGKILL)
    status, _ = running.admin("GET", "/healthz")  # no retry: the socket never closed
    assert status == 200


def test_a_worker_that_starts_while_the_controller_is_stopped_serves_the_persisted_routing(
    sidecar, upstream
):
    running = sidecar(one_route(upstream().url, canary_percent=0))
    os.kill(running.children()["control"], signal.SIGSTOP)
    os.kill(running.children()["work-0"], signal.SIGKILL)
    status, headers, _ = running.request("GET", "/")
    assert (status, headers["x-sidecar-model"]) == (200, "stable")
    assert "takes the persisted routing" in running.stderr


def test_killing_the_launcher_ends_every_child_and_frees_everything(sidecar, upstream):
    running = sidecar(one_route(upstream().url, workers=2))
    children = running.children()
    assert len(children) == 3
    os.kill(running.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, children.values())), "the children are gone")
    running.wait()
    running.start()  # same ports, same state directory
    assert running.request()[0] == 200


def test_children_that_the_launcher_never_started_are_reaped(sidecar, upstream):
    # As for a PID 1: the shell's child becomes the launcher's, because the shell becomes the
    # launcher.
    running = sidecar(
        one_route(upstream().url), wrapper=["sh", "-c", 'sleep 0.1 & exec "$@"', "sh"]
    )
    wait_until(lambda: "sleep" not in running.children(), "no zombie is left")
    assert sorted(running.children()) == ["control", "work-0"]
    assert "died" not in running.stderr


def test_a_second_sidecar_on_the_same_state_directory_is_refused(sidecar, upstream):
    url = upstream().url
    running = sidecar(one_route(url))
    second = sidecar({**one_route(url), "state_dir": running.config["state_dir"]}, wait=False)
    assert second.wait() == 2
    assert "in use by another sidecar" in second.stderr
    assert str(running.pid) in second.stderr
    assert running.request()[0] == 200


def test_a_taken_port_is_an_error_in_words(sidecar, upstream):
    url = upstream().url
    running = sidecar(one_route(url))
    second = sidecar({**one_route(url), "listen": running.config["listen"]}, wait=False)
    assert second.wait() == 2
    assert f"127.0.0.1:{running.port} is taken by another process" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_wrong_configuration_is_an_error_in_words(sidecar):
    running = sidecar(one_route("ftp://example.com"), wait=False)
    assert running.wait() == 2
    assert "$.models.stable.url" in running.stderr
    assert "$.models.next.url" in running.stderr  # every problem, not only the first
    assert "Traceback" not in running.stderr


def test_more_connections_than_descriptors_is_refused_with_the_fix(sidecar, upstream):
    too_many = 100_000_000
    running = sidecar(one_route(upstream().url, limits={"connections": too_many}), wait=False)
    assert running.wait() == 2
    assert "$.limits.connections" in running.stderr
    assert "ulimit" in running.stderr


def test_a_stale_unix_socket_is_replaced_and_removed_at_the_end(sidecar, upstream, tmp_path):
    path = tmp_path / "sidecar.sock"
    running = sidecar(one_route(upstream().url, listen=f"unix:{path}"))
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert path.is_socket()
    running.start()
    assert path.stat().st_mode & 0o777 == 0o660
    assert running.stop() == 0
    assert not path.exists()


def test_everything_ends_when_a_service_manager_signals_all_processes_at_once(sidecar, upstream):
    running = sidecar(one_route(upstream().url, workers=2))
    os.killpg(running.pid, signal.SIGTERM)
    assert running.wait() == 0
    assert "died" not in running.stderr
