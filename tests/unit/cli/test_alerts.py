"""`sidecar alerts` against an admin API that answers as recorded: what is printed, how it exits."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from typer.testing import CliRunner

from sidecar.cli.alerts import parse
from sidecar.cli.application import build
from sidecar.errors import ConfigError

ALERT = {
    "alertname": "errors",
    "severity": "critical",
    "state": "firing",
    "labels": {"model": "next", "route": "iris"},
    "value": 0.31,
    "compared": 0.31,
    "threshold": 0.25,
    "n": 1200,
    "since": "2026-01-01T00:00:00.000Z",
    "starts_at": "2026-01-01T00:00:00.000Z",
    "receivers": ["ops", "pager"],
    "told": ["ops"],
    "silenced_by": [],
    "inhibited": False,
}
SILENCE = {
    "id": "5ca1ab1e",
    "matchers": {"route": "iris", "model": ["a", "b"]},
    "since": "2026-01-01T00:00:00.000Z",
    "until": "2026-01-01T02:00:00.000Z",
    "author": "me",
    "comment": "a deployment",
}
NOW = {
    "alerts": [
        ALERT,
        ALERT | {"severity": "warning", "inhibited": True},
        ALERT | {"alertname": "slow", "silenced_by": ["5ca1ab1e"], "n": None},
        ALERT | {"alertname": "soon", "state": "pending", "told": [], "starts_at": None},
    ],
    "rules": [
        {
            "name": "errors",
            "default": True,
            "reading": "error_rate(5m) by (route, model)",
            "groups": 2,
            "tiers": [
                {"severity": "warning", "comparison": "above", "threshold": 0.05, "for_s": 60},
                {
                    "severity": "critical",
                    "comparison": "change_percent",
                    "threshold": -15,
                    "for_s": 0,
                },
            ],
        }
    ],
    "receivers": [
        {
            "name": "ops",
            "type": "webhook",
            "waiting": 1,
            "failures": 3,
            "last_error": "no answer within 5 s",
            "last_delivered": None,
        }
    ],
}


@pytest.fixture
def api():
    """An admin API: `answers` by method and path, `calls` that came."""

    class Api(http.server.ThreadingHTTPServer):
        answers: dict = {}  # noqa: RUF012 - one per fixture
        calls: list = []  # noqa: RUF012

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            path = self.path.partition("?")[0]
            self.server.calls.append((self.command, self.path, body))
            status, data = self.server.answers[self.command, path]
            content = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - so http.server calls them

        def log_message(self, *_):
            pass

    server = Api(("127.0.0.1", 0), Handler)
    server.answers = {
        ("GET", "/api/v1/alerts"): (200, NOW),
        ("GET", "/api/v1/alerts/silences"): (200, {"silences": [SILENCE]}),
        ("POST", "/api/v1/alerts/silences"): (201, SILENCE),
        ("DELETE", "/api/v1/alerts/silences"): (200, SILENCE),
    }
    server.calls = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(api):
    """Run `sidecar alerts WORDS` against it."""

    def run(*words: str):
        address = f"127.0.0.1:{api.server_address[1]}"
        return CliRunner().invoke(build(["alerts"]), ["alerts", *words, "--admin", address])

    return run


def test_the_list_shows_who_was_told_and_why_others_were_not(run):
    done = run("list")

    assert done.exit_code == 0
    assert "3 firing, 1 pending, 1 silences" in done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    told = {(row[0], row[1]): row[-1] for row in rows[1:5]}
    assert told == {
        ("errors", "critical"): "ops; not yet: pager",
        ("errors", "warning"): "a worse tier fires",
        ("slow", "critical"): "silenced",
        ("soon", "critical"): "-",
    }
    assert (
        "5ca1ab1e\t2026-01-01T02:00:00.000Z\troute=iris, model=a|b\tme\ta deployment" in done.stdout
    )
    assert "warning: above 0.05 for 60s; critical: change percent -15" in done.stdout
    assert "ops\twebhook\t1\t3\t-\tno answer within 5 s" in done.stdout


def test_the_list_as_json_is_the_answer_with_the_silences(run):
    done = run("list", "--json")

    assert json.loads(done.stdout) == {**NOW, "silences": [SILENCE]}


def test_a_silence_is_ordered_as_it_was_typed(run, api):
    words = ("route=iris", "feature=~a|b", "model!=next", "--for", "2h", "--comment", "why")
    done = run("silence", *words, "--author", "me")

    assert done.exit_code == 0
    assert api.calls == [
        (
            "POST",
            "/api/v1/alerts/silences",
            {
                "matchers": {"route": "iris", "feature": "~a|b", "model": "!next"},
                "for": "2h",
                "author": "me",
                "comment": "why",
            },
        )
    ]
    assert "5ca1ab1e" in done.stdout


def test_a_silence_is_ended_by_its_id(run, api):
    done = run("unsilence", "5ca1ab1e", "--json")

    assert json.loads(done.stdout) == SILENCE
    assert api.calls == [("DELETE", "/api/v1/alerts/silences?id=5ca1ab1e", None)]


@pytest.mark.parametrize(("delivered", "exit_code"), [(True, 0), (False, 1)])
def test_a_test_exits_with_no_when_a_message_did_not_arrive(run, api, delivered, exit_code):
    result = {"receiver": "ops", "delivered": delivered, "detail": "", "duration_ms": 1.5}
    api.answers["POST", "/api/v1/alerts/test"] = (
        200,
        {"results": [result | {"delivered": True}, result]},
    )

    assert run("test").exit_code == exit_code
    done = run("test", "ops", "--json")
    assert done.exit_code == exit_code
    assert json.loads(done.stdout)["results"][1] == result
    assert [call[2] for call in api.calls] == [{}, {"receiver": "ops"}]


@pytest.mark.parametrize("words", [["route"], ["=x"], [""]])
def test_what_is_no_matcher_is_a_usage_error(words):
    with pytest.raises(ConfigError, match="expected LABEL=VALUE"):
        parse(words)
