"""What real workers record of every kind of ending, and what of it can be read back."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import time
from pathlib import Path

import pytest
from harness.recorded import BODY, OK, PATH, books, parts, recorded, settled_books
from harness.sidecar_process import SidecarProcess
from harness.upstream import Upstream
from harness.waiting import wait_until
from typer.testing import CliRunner

from sidecar.cli.application import build

pytestmark = pytest.mark.timeout(90)

SECRETS = 1000
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno!"
FAULT = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ndown"
JSON = {"Content-Type": "application/json"}


def behave(model) -> None:
    """A model that does as the path says."""
    while True:
        target = model.read_request().start.decode()
        if "/refuse" in target:
            model.send(REFUSAL)
        elif "/fault" in target:
            model.send(FAULT)
        elif "/silent" in target:
            time.sleep(1.0)
            return
        elif "/broken" in target:
            model.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            model.reset()
            return
        elif "/stream" in target:
            model.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(3):
                model.send(b"4\r\nabcd\r\n")
                time.sleep(0.02)
            model.send(b"0\r\n\r\n")
        else:
            model.send(OK)


def config(url: str, tmp_path: Path, **more):
    return {
        "models": {
            "stable": {"url": url, "timeouts": {"first_byte": "300ms"}},
            "trial": {"url": url},
            "gone": {"url": "http://127.0.0.1:1"},
        },
        "routes": [
            {"name": "gone", "match": {"path_prefix": "/gone"}, "primary": "gone"},
            {
                "name": "iris",
                "primary": "stable",
                "shadows": [{"model": "trial", "deadline": "300ms"}],
                "payload": {"codec": "open-inference", "features": ["length", "width"]},
                "segments": [{"name": "region", "from": {"header": "x-region"}}],
                **more.pop("route", {}),
            },
        ],
        "sinks": [
            {
                "name": "files",
                "type": "jsonl",
                "path": str(tmp_path / "sink"),
                "batch_age": "50ms",
            }
        ],
        **more,
    }


def leave_early(port: int) -> None:
    """A client that goes away before its answer."""
    with posted(port, "/silent"):
        time.sleep(0.1)


def send_at_once(port: int, path: str, fields: str) -> bytes:
    """Head and body in one segment; returns the beginning of the answer."""
    with posted(port, path, fields) as client:
        return client.recv(4096)


def posted(port: int, path: str, fields: str = "") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {len(BODY)}\r\n\r\n"
    client.sendall(head.encode() + BODY)
    return client


def test_every_kind_of_ending_is_recorded_once_and_can_be_read_back(tmp_path):
    with (
        Upstream(behave) as model,
        SidecarProcess(tmp_path, config(model.url, tmp_path)) as running,
    ):
        running.wait_observing()
        headers = {**JSON, "x-region": "north", "X-Request-Id": "ok-1"}
        assert running.request("POST", PATH, BODY, headers)[0] == 200
        for path, status in (
            ("/refuse", 400),
            ("/fault", 503),
            ("/silent", 504),
            ("/stream", 200),
        ):
            headers = {"X-Request-Id": path[1:]}
            assert running.request("POST", path + "?a=b", BODY, headers)[0] == status, path
        # At once: a refused connection is faster than a body that is sent after its head.
        assert b" 502 " in send_at_once(running.port, "/gone", "X-Request-Id: gone\r\n")
        with pytest.raises((OSError, http.client.HTTPException)):
            running.request("POST", "/broken", BODY, {"X-Request-Id": "broken"})
        leave_early(running.port)
        view = settled_books(running)
        for one in view["requests"]:
            assert one["requests"] == parts(one) == one["logged"], one

        records = recorded(tmp_path / "state" / "journal")
        primary = {one.request_id: one for one in records if one.role.value == "primary"}
        endings = {
            name: (primary[name].status, primary[name].outcome.value, primary[name].failure)
            for name in ("ok-1", "refuse", "fault", "silent", "gone", "stream", "broken")
        }
        assert endings == {
            "ok-1": (200, "2xx", None),
            "refuse": (400, "4xx", None),
            "fault": (503, "5xx", None),
            "silent": (0, "error", "upstream_timeout"),
            "gone": (0, "error", "upstream_unreachable"),
            "stream": (200, "2xx", None),
            "broken": (0, "error", primary["broken"].failure),
        }
        assert primary["broken"].failure
        aborted = [one for one in records if one.outcome.value == "aborted"]
        assert [one.path for one in aborted] == ["/silent"]

        ok = primary["ok-1"]
        assert (ok.rows, len(ok.predictions), ok.segments) == (1, 1, {"region": "north"})
        assert primary["stream"].response_bytes == 12
        assert ok.path == PATH
        assert primary["refuse"].path == "/refuse"
        assert len(ok.trace_id) == 32

        shadows = {one.request_id: one for one in records if one.role.value == "shadow"}
        assert shadows["ok-1"].shadow_of == "stable"
        assert shadows["ok-1"].outcome.value == "2xx"
        assert shadows["silent"].failure == "timeout"

        for name in ("fault", "silent", "gone", "broken"):
            captured = primary[name].captured
            assert (captured.why.value, captured.request_body) == ("failed", BODY), name
        letters = wait_until(
            lambda: (found := running.admin("GET", "/api/v1/dlq")[1])["total"] == 4 and found,
            "failed predictions are dead letters",
        )
        assert {one["request_id"] for one in letters["letters"]} == {
            "fault",
            "silent",
            "gone",
            "broken",
        }

        status, newest = running.admin("GET", "/api/v1/log?model=stable&status=503")
        assert status == 200
        assert [one["request_id"] for one in newest["records"]] == ["fault"]
        status, shown = running.admin("GET", "/api/v1/log/ok-1")
        assert sorted(one["role"] for one in shown["records"]) == ["primary", "shadow"]
        assert running.admin("GET", "/api/v1/log?status=nonsense")[0] == 422

        journal = tmp_path / "state" / "journal"
        tail = log("tail", "--json", "-n", "100", "--journal", str(journal))
        assert {json.loads(line)["id"] for line in tail.splitlines()} == {r.id for r in records}
        assert "ok-1" in log("show", ok.id, "--journal", str(journal))
        exported = log("export", "-", "--status", "5xx", "--journal", str(journal))
        assert len(exported.splitlines()) >= 1


def log(*arguments: str) -> str:
    done = CliRunner().invoke(build(["log"]), ["log", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_planted_secrets_are_found_nowhere(tmp_path):
    """In header fields, the query and bodies; each in a request whose bodies are kept."""
    secrets = [f"s3cr3t{number:04d}x{os.urandom(4).hex()}" for number in range(SECRETS)]
    redact = {
        "headers": ["authorization", "x-api-key"],
        "query": ["token"],
        "pointers": [{"pointer": "/parameters/card"}],
        "columns": [{"name": "length", "how": "drop"}],
        "how": "mask",
    }
    more = {
        "redact": redact,
        "log": {"level": "debug"},
        "route": {
            "capture": {
                "bodies": 1.0,
                "query": True,
                "headers": ["content-type", "authorization", "x-api-key"],
            }
        },
    }
    with Upstream(behave) as model:
        with SidecarProcess(tmp_path, config(model.url, tmp_path, **more)) as running:
            running.wait_observing()
            for number, secret in enumerate(secrets):
                plant(running, number, secret)
            settled_books(running)
            said = running.metrics() + json.dumps(running.admin("GET", "/api/v1/status")[1])
            assert running.stop() == 0
        places = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert any(path.suffix == ".seg" for path in places)
        assert any(path.suffix == ".jsonl" for path in places)
        assert any(path.name.startswith("dead_letters") for path in places)
        pattern = re.compile("|".join(secrets).encode())
        for path in places:
            assert not pattern.search(path.read_bytes()), path
        assert not pattern.search(said.encode())
        kept = [one for one in recorded(tmp_path / "state" / "journal") if one.captured]
        assert len(kept) >= SECRETS  # the bodies are there, without their secrets


def plant(running: SidecarProcess, number: int, secret: str) -> None:
    """One secret, in one of the places where rules say that it is one."""
    tensor = {"name": "length", "shape": [1], "datatype": "BYTES", "data": ["plain"]}
    body = {"inputs": [tensor], "parameters": {"card": "plain"}}
    headers, query = dict(JSON), "a=b"
    path = PATH if number % 10 else "/fault"  # failures keep the whole request
    match number % 4:
        case 0:
            headers["Authorization" if number % 8 else "X-Api-Key"] = f"Bearer {secret}"
        case 1:
            query = f"a=b&token={secret}&c=d"
        case 2:
            body["parameters"] = {"card": secret}
        case _:
            body["inputs"] = [{**tensor, "data": [secret]}]
    running.request("POST", f"{path}?{query}", json.dumps(body).encode(), headers)


def test_a_disk_that_refuses_is_survived_and_what_it_cost_is_counted(tmp_path):
    """The journal's directory cannot be made: requests go on, drops are counted by their reason."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a directory should be")
    journal = {"path": str(blocked / "journal"), "queue": "64KiB"}
    with (
        Upstream(behave) as model,
        SidecarProcess(tmp_path, config(model.url, tmp_path, journal=journal)) as running,
    ):
        for _ in range(300):
            assert running.request("POST", "/v2", BODY)[0] == 200
        stable = wait_until(
            lambda: next(
                (one for one in _books(running) if one["model"] == "stable" and one["dropped"]),
                None,
            ),
            "drops are counted",
        )
        assert stable["dropped"].keys() == {"write_error"}
        assert stable["requests"] == parts(stable) + stable["in_memory"]
        blocked.unlink()
        view = settled_books(running)
        stable = next(one for one in view["requests"] if one["model"] == "stable")
        assert stable["logged"] > 0
        assert stable["requests"] == parts(stable) == 300


def _books(running: SidecarProcess):
    return books(running)["requests"]
