"""Alerts of a real sidecar: receivers over real sockets, and controllers that are killed."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.sidecar_process import SidecarProcess
from harness.upstream import answering
from harness.waiting import wait_until

FAILS = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
SECRET = "hunter2-in-the-url"


class Hook(http.server.ThreadingHTTPServer):
    """A webhook that keeps what it gets. While `down`, it answers 500 and keeps nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[dict[str, Any]] = []
        self.down = False
        self.refused = 0
        self.hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{SECRET}"

    @property
    def said(self) -> list[tuple[str, str]]:
        """Rule and status of every alert told, the tests of receivers left out."""
        return [
            (one["alertname"], one["status"]) for message in self.messages for one in
            message["alerts"] if one["alertname"] != "test"
        ]  # fmt: skip


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = 500 if self.server.down else 200
        if self.server.down:
            self.server.refused += 1
        else:
            self.server.messages.append(body)
        if self.server.hold is not None:
            self.server.hold.wait(20)
        try:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
        except OSError:
            pass  # the caller was killed

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    if server.hold is not None:
        server.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def failing(sidecar, upstream, hook):
    """Start a sidecar before a model that fails, whose errors since the start are an alert."""

    def failing(**alerts: Any) -> SidecarProcess:
        return sidecar(
            {
                "models": {"stable": {"url": upstream(answering(FAILS)).url}},
                "routes": [{"name": "iris", "primary": "stable"}],
                "alerts": {
                    "interval": "1s",
                    "defaults": False,
                    "group_wait": "0s",
                    "group_interval": "1s",
                    "receivers": {"ops": {"type": "webhook", "url_env": "HOOK"}},
                    "rules": [FAILURES],
                    **alerts,
                },
            },
            environ={"HOOK": hook.url},
        )

    return failing


FAILURES = {
    "name": "failures",
    "series": "sidecar_requests_total",
    "where": {"status": "5xx"},
    "tiers": [{"above": 2, "severity": "critical"}],
}


def fail(running: SidecarProcess, times: int = 3) -> None:
    for _ in range(times):
        assert running.request("POST", "/", b"x")[0] == 500


def restart_controller(running: SidecarProcess) -> None:
    before = running.children()["control"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: running.children().get("control") not in (None, before), "a new controller")
    wait_until(running.ready, "it is ready again", timeout_s=20)


def looked(running: SidecarProcess) -> None:
    """Wait until the rules were evaluated by the controller of now."""
    wait_until(
        lambda: any(rule["groups"] for rule in running.admin("GET", "/api/v1/alerts")[1]["rules"]),
        "the rules are evaluated",
    )


def test_an_alert_is_told_with_its_figures_and_shown(failing, hook):
    running = failing()
    fail(running)
    wait_until(lambda: hook.messages, "the receiver is told")

    (alert,) = hook.messages[0]["alerts"]
    assert alert["labels"] == {
        "route": "iris",
        "model": "stable",
        "role": "primary",
        "status": "5xx",
    }
    assert (alert["value"], alert["threshold"]) == (3.0, 2.0)
    (shown,) = wait_until(
        lambda: [one for one in running.admin("GET", "/api/v1/alerts")[1]["alerts"] if one["told"]],
        "it is confirmed",
    )
    assert (shown["state"], shown["told"]) == ("firing", ["ops"])
    assert 'sidecar_alerts{severity="critical",state="firing"} 1.0' in running.metrics()


def test_a_controller_that_is_killed_repeats_nothing_and_forgets_no_end(failing, hook):
    running = failing()
    fail(running)
    wait_until(lambda: hook.said, "the receiver is told")
    wait_until(
        lambda: running.admin("GET", "/api/v1/alerts")[1]["receivers"][0]["waiting"] == 0,
        "its confirmation is on disk",
    )
    for _ in range(3):
        restart_controller(running)
        looked(running)
    assert hook.said == [("failures", "firing")]

    # Without its rule the alert ends.
    running.write_config({**running.config, "alerts": {**running.config["alerts"], "rules": []}})
    assert running.admin("POST", "/api/v1/reload")[0] == 200
    wait_until(lambda: len(hook.said) > 1, "the end is told")
    assert hook.said == [("failures", "firing"), ("failures", "resolved")]


def test_a_message_under_way_when_the_controller_is_killed_comes_again_with_its_id(failing, hook):
    hook.hold = threading.Event()
    running = failing()
    fail(running)
    wait_until(lambda: hook.messages, "the message is under way")
    restart_controller(running)
    wait_until(lambda: len(hook.messages) == 2, "it comes again", timeout_s=20)
    hook.hold.set()
    hook.hold = None
    wait_until(
        lambda: running.admin("GET", "/api/v1/alerts")[1]["alerts"][0]["told"], "it is confirmed"
    )

    first, second = hook.messages
    assert first["id"] == second["id"]
    assert [one["fingerprint"] for one in first["alerts"]] == [
        one["fingerprint"] for one in second["alerts"]
    ]


def test_a_receiver_that_was_down_is_told_and_its_url_is_shown_nowhere(failing, hook):
    hook.down = True
    running = failing()
    fail(running)
    wait_until(lambda: hook.refused >= 2, "it was tried again")
    _, shown = running.admin("GET", "/api/v1/alerts")
    hook.down = False
    wait_until(lambda: hook.said, "the receiver is told", timeout_s=20)

    (receiver,) = shown["receivers"]
    assert receiver["last_error"] == "it answered 500 Internal Server Error"
    assert hook.said == [("failures", "firing")]
    everything = json.dumps(shown) + running.metrics() + running.stderr
    assert SECRET not in everything


def test_after_a_restart_of_everything_silences_and_windows_are_as_they_were(failing, hook):
    running = failing(rules=[{**FAILURES, "increase": "1h"}])
    status, made = running.admin(
        "POST",
        "/api/v1/alerts/silences",
        {"matchers": {"route": "iris"}, "for": "1h", "author": "me", "comment": "why"},
    )
    assert status == 201
    looked(running)
    fail(running)
    wait_until(lambda: running.admin("GET", "/api/v1/alerts")[1]["alerts"], "it fires")
    assert running.stop() == 0
    running.start()
    looked(running)

    assert running.admin("GET", "/api/v1/alerts/silences")[1] == {"silences": [made]}
    # The counters began anew; what they had counted in the last hour still counts.
    (alert,) = running.admin("GET", "/api/v1/alerts")[1]["alerts"]
    assert (alert["state"], alert["value"]) == ("firing", 3.0)
    assert alert["silenced_by"] == [made["id"]]
    assert hook.said == []


def test_a_reload_changes_rules_and_keeps_the_alerts_of_others(failing, hook):
    other = {**FAILURES, "name": "other"}
    running = failing(rules=[FAILURES, other])
    fail(running)
    wait_until(lambda: len(hook.said) == 2, "both are told")
    (kept,) = [
        one
        for one in running.admin("GET", "/api/v1/alerts")[1]["alerts"]
        if one["alertname"] == "failures"
    ]
    changed = {**other, "tiers": [{"above": 1000, "severity": "critical"}]}
    running.write_config(
        {**running.config, "alerts": {**running.config["alerts"], "rules": [FAILURES, changed]}}
    )
    assert running.admin("POST", "/api/v1/reload")[0] == 200
    wait_until(lambda: ("other", "resolved") in hook.said, "the changed one ends")

    (alert,) = running.admin("GET", "/api/v1/alerts")[1]["alerts"]
    assert (alert["alertname"], alert["starts_at"]) == ("failures", kept["starts_at"])
    assert ("failures", "resolved") not in hook.said


def sidecar_command(running: SidecarProcess, *words: str) -> subprocess.CompletedProcess[str]:
    admin = f"127.0.0.1:{running.admin_port}"
    return subprocess.run(
        [sys.executable, "-m", "sidecar", "alerts", *words, "--admin", admin],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_command_line_tests_receivers_and_silences(failing, hook, tmp_path: Path):
    running = failing()
    done = sidecar_command(running, "test", "--json")
    assert (done.returncode, json.loads(done.stdout)["results"][0]["delivered"]) == (0, True)
    hook.down = True
    done = sidecar_command(running, "test", "ops")
    assert done.returncode == 1
    assert "it answered 500" in done.stdout

    made = sidecar_command(running, "silence", "route=iris", "--comment", "x", "--json")
    silence_id = json.loads(made.stdout)["id"]
    assert silence_id in sidecar_command(running, "list").stdout
    assert sidecar_command(running, "unsilence", silence_id).returncode == 0
    assert sidecar_command(running, "unsilence", silence_id).returncode == 2
