"""`sidecar demo` as a user runs it: real data, real models, the real sidecar, and its end."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

DEADLINE_S = 90.0


@pytest.fixture
def demo(cache, tmp_path):
    """Start a demo whose data set is kept beside the model servers; kill what is left of it."""
    environ = os.environ | {"XDG_CACHE_HOME": str(cache), "SIDECAR_TEST_MARK": str(tmp_path)}
    started = []

    def start(*options):
        command = [sys.executable, "-m", "sidecar", "demo", *options]
        process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    start.mark = f"SIDECAR_TEST_MARK={tmp_path}".encode()
    yield start
    for process in started:
        process.kill()
        process.communicate()
    for pid in marked(start.mark):
        os.kill(pid, signal.SIGKILL)


def marked(mark):
    """The processes that carry the mark in their environment, with the words of their commands."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_bytes().split(b"\0")
    return found


def servers(mark):
    return [pid for pid, words in marked(mark).items() if b"sidecar.demo.model_server" in words]


def answered(mark):
    """How many requests the demo's sidecar says it has forwarded; 0 before there is one."""
    for words in marked(mark).values():
        if b"run" in words:
            configuration = Path(os.fsdecode(words[words.index(b"-c") + 1]))
            admin = yaml.safe_load(configuration.read_text())["admin"]["listen"]
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://{admin}/metrics", timeout=5) as response:
                    counts = re.findall(
                        rb"^sidecar_requests_total.* (\S+)$", response.read(), re.MULTILINE
                    )
                return sum(float(count) for count in counts)
    return 0


def until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_summary_balances_what_clients_saw_with_what_the_sidecar_counted(demo):
    out, words = demo("--seconds", "6", "--rate", "50", "--json").communicate(timeout=DEADLINE_S)
    summary = json.loads(out)
    assert "AUC" in words
    clients = summary["clients"]
    assert clients["failed"] == {}
    assert clients["requests"] == summary["requests"] > 200
    assert clients["answered"] == {
        name: model["requests"] for name, model in summary["models"].items()
    }
    assert sum(summary["mirrors"]["trial"].values()) == summary["requests"]
    for model in summary["models"].values():
        assert model["duration_seconds"]["n"] == model["requests"]
        assert model["overhead_seconds"]["p50"] < model["duration_seconds"]["p50"]
    canary = summary["models"]["next"]
    # 300 draws at 10 %: a standard deviation of 1.7 points, and six of them on either side.
    assert abs(canary["observed_percent"] - canary["configured_percent"]) < 10.5
    assert marked(demo.mark) == {}


def test_drift_appears_when_prices_rise_and_not_before(demo):
    out, _ = demo("--seconds", "48", "--rate", "150", "--json").communicate(timeout=DEADLINE_S)
    summary = json.loads(out)
    stable = summary["drift"]["stable"]
    assert stable["car_value"]["worst"]["status"] == "major"
    alarms = [one["worst"] for one in stable.values() if one["worst"]["status"] != "ok"]
    # A lap takes a minute; prices rise half-way through it.
    assert min(alarm["after_seconds"] for alarm in alarms) > 30
    assert stable["driver_tenure"]["worst"]["status"] == "ok"
    (alert,) = [one for one in summary["alerts"] if "car_value of stable" in one["summary"]]
    assert alert["after_seconds"] >= stable["car_value"]["worst"]["after_seconds"]
    assert 50 < summary["agreement"]["trial"]["percent"] < 100
    assert summary["models"]["stable"]["rows"] == summary["models"]["stable"]["requests"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_under_traffic_ends_everything_and_is_no_failure(demo, number):
    process = demo("--json")
    until(lambda: answered(demo.mark) > 20)
    process.send_signal(number)
    out, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, words
    assert json.loads(out)["clients"]["failed"] == {}
    assert marked(demo.mark) == {}


def test_a_signal_while_it_starts_ends_everything_too(demo):
    process = demo("--json")
    until(lambda: servers(demo.mark))
    process.send_signal(signal.SIGINT)
    out, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, words
    assert "stopped" in words or json.loads(out)
    assert marked(demo.mark) == {}


def test_a_model_server_that_dies_ends_the_demo_with_its_name(demo):
    process = demo("--json")
    until(lambda: answered(demo.mark) > 20)
    os.kill(servers(demo.mark)[0], signal.SIGKILL)
    out, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert out == ""
    assert "ended with status -9" in words
    assert marked(demo.mark) == {}


def test_model_servers_do_not_outlive_a_demo_that_was_killed(demo):
    process = demo("--json")
    until(lambda: len(servers(demo.mark)) == 3)
    process.kill()
    process.wait()
    until(lambda: not servers(demo.mark))
