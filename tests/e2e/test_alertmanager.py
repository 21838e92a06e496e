"""A real Alertmanager receives one alert of the sidecar, once, and hears of its end."""

import http.server
import json
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
import yaml


def wait_until(fact, what, *, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not (found := fact()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


@pytest.fixture
def people():
    """Whom the Alertmanager notifies in the end: the bodies of its webhook."""
    notified = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            notified.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    notified_at = f"http://127.0.0.1:{server.server_address[1]}/"
    yield notified_at, notified
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def alertmanager(tool, start, free_port, people, tmp_path):
    """An Alertmanager that tells `people` at once: its address."""
    url, _ = people
    folder = tmp_path / "alertmanager"
    folder.mkdir()
    configuration = {
        "route": {
            "receiver": "people",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        },
        "receivers": [{"name": "people", "webhook_configs": [{"url": url}]}],
    }
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_port}"
    command = [
        tool("prometheus-alertmanager"), "--config.file=alertmanager.yml", "--storage.path=data",
        f"--web.listen-address={address}", "--cluster.listen-address=",
    ]  # fmt: skip
    with start(command, ready=f"http://{address}/-/ready", folder=folder):
        yield address


@pytest.fixture
def sidecar(alertmanager, start, free_ports, tmp_path):
    """A sidecar whose model is not there, so that every request fails; and how to reload it."""
    listen, admin, nobody = (f"127.0.0.1:{port}" for port in free_ports(3))
    folder = tmp_path / "sidecar"
    folder.mkdir()
    configuration = {
        "listen": listen,
        "admin": {"listen": admin},
        "state_dir": str(folder / "state"),
        "models": {"stable": {"url": f"http://{nobody}"}},
        "routes": [{"name": "iris", "primary": "stable"}],
        "alerts": {
            "interval": "1s",
            "defaults": False,
            "receivers": {"am": {"type": "alertmanager", "url": f"http://{alertmanager}"}},
            "rules": [
                {
                    "name": "failures",
                    "series": "sidecar_requests_total",
                    "where": {"status": "error"},
                    "tiers": [{"above": 2, "severity": "critical"}],
                    "summary": "{labels.model} failed {value} times",
                    "runbook_url": "https://wiki.example/failures",
                }
            ],
        },
    }
    file = folder / "sidecar.yaml"
    file.write_text(yaml.safe_dump(configuration))
    command = [sys.executable, "-m", "sidecar", "run", "-c", file]

    class Running:
        client, operator = f"http://{listen}", f"http://{admin}"

        def without_rules(self):
            configuration["alerts"]["rules"] = []
            file.write_text(yaml.safe_dump(configuration))
            post(f"{self.operator}/api/v1/reload")

    with start(command, ready=f"http://{admin}/readyz", folder=folder):
        yield Running()


def get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def post(url):
    request = urllib.request.Request(url, data=b"", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_an_alertmanager_receives_one_alert_once(sidecar, alertmanager, people):
    _, notified = people
    for _ in range(3):
        assert post(sidecar.client) == 502
    (alert,) = wait_until(
        lambda: get(f"http://{alertmanager}/api/v2/alerts"), "the Alertmanager has the alert"
    )
    assert alert["labels"] == {
        "alertname": "failures",
        "severity": "critical",
        "route": "iris",
        "model": "stable",
        "role": "primary",
        "status": "error",
    }
    assert alert["annotations"] == {
        "summary": "stable failed 3 times",
        "runbook_url": "https://wiki.example/failures",
    }
    assert [one["name"] for one in alert["receivers"]] == ["people"]
    wait_until(lambda: notified, "people are notified")

    # It fires on: after a minute the Alertmanager hears of it again, and people hear nothing.
    before = get(f"{sidecar.operator}/api/v1/alerts")["receivers"][0]["last_delivered"]
    refreshed = wait_until(
        lambda: (
            (now := get(f"{sidecar.operator}/api/v1/alerts")["receivers"][0]["last_delivered"])
            != before
            and now
        ),
        "the alert is kept alive",
        timeout_s=90,
    )
    assert refreshed > before
    assert [one["status"] for one in notified] == ["firing"]
    (kept,) = get(f"http://{alertmanager}/api/v2/alerts")
    assert (kept["fingerprint"], kept["startsAt"]) == (alert["fingerprint"], alert["startsAt"])
    assert kept["endsAt"] > alert["endsAt"]

    sidecar.without_rules()
    wait_until(lambda: len(notified) > 1, "people are told that it is over")
    assert [one["status"] for one in notified] == ["firing", "resolved"]
    assert get(f"http://{alertmanager}/api/v2/alerts") == []
