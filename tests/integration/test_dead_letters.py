"""Dead letters of a real sidecar: what fails is kept, told, replayed, and survives kill -9."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from harness.recorded import settled_books
from harness.sidecar_process import SidecarProcess
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(90)

JSON = {"Content-Type": "application/json"}
TOKEN = "open sesame, open sesame"


class Server(http.server.ThreadingHTTPServer):
    """A model or a sink. It answers `status`, and waits for `gate` before, when there is one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.gate: threading.Event | None = None
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def replays(self) -> list[tuple[str, dict[str, str], bytes]]:
        return [one for one in self.requests if "x-sidecar-replay" in one[1]]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.path, headers, body))
        if self.server.gate is not None:
            self.server.gate.wait(30)
        answer = b'{"predictions": [1]}'
        try:
            self.send_response(self.server.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            pass  # the caller was killed

    def log_message(self, *_: object) -> None:
        pass


def _serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    if server.gate is not None:
        server.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def model() -> Iterator[Server]:
    yield from _serving()


@pytest.fixture
def warehouse() -> Iterator[Server]:
    yield from _serving()


@pytest.fixture
def started(sidecar, model, tmp_path):
    """Start a sidecar before the model, with whatever else the configuration should say."""

    def started(**more) -> SidecarProcess:
        return sidecar(
            {
                "models": {"stable": {"url": model.url, "breaker": {"failures": 0}}},
                "routes": [{"name": "iris", "primary": "stable"}],
                **more,
            }
        )

    return started


def dlq(running: SidecarProcess, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `sidecar dlq WORDS` against it."""
    command = [sys.executable, "-m", "sidecar", "dlq", *words, "-c", str(running.config_file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def fail(running: SidecarProcess, model: Server, count: int) -> None:
    """Requests that the model fails; afterwards it is well again, and they are dead letters."""
    model.status = 503
    for n in range(count):
        headers = {**JSON, "X-Request-Id": f"failed-{n}", "X-Region": "eu"}
        status = running.request("POST", f"/predict/{n}?a=%2Fb", f"[{n}]".encode(), headers)[0]
        assert status == 503
    wait_for_letters(running, count)
    model.status = 200


def wait_for_letters(running: SidecarProcess, count: int, query: str = "") -> list[dict]:
    def there() -> dict | None:
        found = running.admin("GET", f"/api/v1/dlq?limit=500{query}")[1]
        return found if found["total"] == count else None

    return wait_until(there, f"{count} dead letters", timeout_s=20)["letters"]


def rule(running: SidecarProcess) -> dict:
    """The rule about arrivals."""
    rules = running.admin("GET", "/api/v1/alerts")[1]["rules"]
    return next(one for one in rules if one["name"] == "dead-letters")


def fires(running: SidecarProcess) -> dict | None:
    """The alert about arrivals."""
    alerts = running.admin("GET", "/api/v1/alerts")[1]["alerts"]
    return next((one for one in alerts if one["alertname"] == "dead-letters"), None)


def live_requests(running: SidecarProcess) -> float:
    """Requests that count as traffic."""
    return sum(
        float(value)
        for value in re.findall(
            r"^sidecar_requests_total\{.*?\} (\S+)$", running.metrics(), re.MULTILINE
        )
    )


def restart_controller(running: SidecarProcess) -> None:
    before = running.children()["control"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: running.children().get("control") not in (None, before), "a new controller")
    wait_until(running.ready, "it is ready again", timeout_s=20)


def test_what_a_model_failed_is_told_and_replayed_to_it_and_is_no_traffic(started, model, tmp_path):
    running = started(alerts={"interval": "1s", "group_wait": "0s"})
    wait_until(lambda: rule(running)["groups"] == 2, "the rule finds its series", timeout_s=20)
    fail(running, model, 5)
    alert = wait_until(lambda: fires(running), "an alert of the house", timeout_s=20)
    assert (alert["severity"], alert["labels"]) == ("info", {"class": "prediction_failed"})
    assert alert["summary"].endswith("new dead letters (prediction_failed) in 5m")

    assert running.request("POST", "/predict/ok", b"[]", JSON)[0] == 200
    wait_until(lambda: live_requests(running) == 6, "everything is counted")
    logged_before = settled_books(running)["requests"]

    done = dlq(running, "replay", "--json")

    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)["job"]
    assert (job["state"], job["counts"]["replayed"]) == ("done", 5)
    replays = {headers["x-request-id"]: (path, headers, body) for path, headers, body in
               model.replays}  # fmt: skip
    assert set(replays) == {f"failed-{n}" for n in range(5)}
    path, headers, body = replays["failed-3"]
    assert (path, body) == ("/predict/3?a=%2Fb", b"[3]")
    assert (headers["x-region"], headers["content-type"]) == ("eu", "application/json")
    assert headers["x-sidecar-replay"] == job["id"]
    assert live_requests(running) == 6
    logged = settled_books(running)["requests"]
    assert [one["logged"] for one in logged] == [one["logged"] for one in logged_before]
    for letter in wait_for_letters(running, 5):
        assert letter["state"] == "replayed"
    assert 'sidecar_dead_letters{class="prediction_failed"} 0.0' in running.metrics()
    to = tmp_path / "letters.jsonl"
    assert dlq(running, "export", str(to)).returncode == 0
    answers = [json.loads(line)["answer"] for line in to.read_text().splitlines()]
    assert [one["body"] for one in answers] == ['{"predictions": [1]}'] * 5


def test_a_replay_survives_the_death_of_the_controller_with_exact_counts(started, model):
    running = started()
    fail(running, model, 40)
    model.gate = threading.Event()
    status, ordered = running.admin("POST", "/api/v1/dlq/replay", {"concurrency": 4})
    assert (status, ordered["job"]["total"]) == (202, 40)
    wait_until(lambda: len(model.replays) == 4, "four are under way")
    gate, model.gate = model.gate, None

    restart_controller(running)
    gate.set()

    def over() -> dict | None:
        job = running.admin("GET", f"/api/v1/dlq/jobs/{ordered['job']['id']}")[1]["job"]
        return job if job["over"] else None

    job = wait_until(over, "the replay is over", timeout_s=20)
    assert (job["state"], job["done"], job["counts"]["replayed"]) == ("done", 40, 40)
    sent = [headers["x-request-id"] for _, headers, _ in model.replays]
    assert set(sent) == {f"failed-{n}" for n in range(40)}
    assert len(sent) == 44  # those under way were sent once more, and no others


def test_a_controller_that_is_killed_again_and_again_makes_no_letter_twice(started, model):
    running = started()
    model.status = 500
    for round_ in range(3):
        for n in range(20):
            headers = {"X-Request-Id": f"{round_}-{n}"}
            assert running.request("POST", "/", b"x", headers)[0] == 500
        restart_controller(running)

    letters = wait_for_letters(running, 60)
    assert len({one["request_id"] for one in letters}) == 60
    assert 'sidecar_dead_letters_arrived_total{class="prediction_failed"} 60.0' in running.metrics()


def test_what_a_sink_refuses_waits_until_the_sink_is_mended(started, warehouse, tmp_path):
    warehouse.status = 400
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    running = started(
        sinks=[{"name": "warehouse", "type": "http", "url": warehouse.url, "batch_age": "20ms"}],
        admin={"token_file": str(token_file)},
    )
    for n in range(3):
        assert running.request("POST", "/", b"x", {"X-Request-Id": f"r{n}"})[0] == 200
    letters = wait_for_letters(running, 3, "&class=delivery_failed")
    assert {(one["sink"], one["state"]) for one in letters} == {("warehouse", "waiting")}
    assert "400" in letters[0]["reason"]
    assert running.admin("GET", f"/api/v1/dlq/{letters[0]['id']}")[0] == 401
    assert running.admin("POST", "/api/v1/dlq/replay", {})[0] == 401

    assert dlq(running, "replay", "--sink", "warehouse").returncode == 1
    assert {one["state"] for one in wait_for_letters(running, 3)} == {"failed_again"}

    warehouse.status = 202
    before = len(warehouse.requests)
    done = dlq(running, "replay", "--sink", "warehouse")

    assert done.returncode == 0, done.stderr
    sent = [
        json.dumps([headers, body.decode()]) for _, headers, body in warehouse.requests[before:]
    ]
    for letter in letters:
        assert sum(letter["record_id"] in one for one in sent) == 1
    assert {one["state"] for one in wait_for_letters(running, 3)} == {"replayed"}
