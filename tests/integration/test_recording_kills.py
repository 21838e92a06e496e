"""The books balance to the last exchange, whoever is killed at whatever moment.

A campaign of a hundred rounds and more is `python -m loadtests.kill_campaign`.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from harness.recorded import (
    Load,
    answers_for_ever,
    delivered_ids,
    parts,
    recorded,
    settled_books,
)
from harness.sidecar_process import SidecarProcess
from harness.upstream import Upstream
from harness.waiting import wait_until

from sidecar.control.recording import last_balance

pytestmark = pytest.mark.timeout(120)

ROUNDS = 4
NOT_FLUSHED = 256  # exchanges that a killed worker may not have put on the board yet


def config(url: str, directory):
    return {
        "models": {name: {"url": url} for name in ("stable", "next", "trial")},
        "routes": [
            {
                "name": "iris",
                "primary": "stable",
                "canaries": [{"model": "next", "percent": 30}],
                "shadows": [{"model": "trial", "sample": 0.5}],
                "capture": {"records": 0.9, "bodies": 0.2},
            }
        ],
        "workers": 2,
        "journal": {"segment": "256KiB"},
        "sinks": [{"name": "files", "type": "jsonl", "path": str(directory), "batch_age": "50ms"}],
    }


def kill(running: SidecarProcess, name: str) -> None:
    """Kill a child and wait for its successor."""
    pid = running.children()[name]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: running.children().get(name, pid) != pid, f"{name} runs again")


def test_books_balance_whatever_is_killed_under_load(tmp_path):
    chance = random.Random(int(os.environ.get("SEED", "7")))
    sink = tmp_path / "sink"
    with Upstream(answers_for_ever) as model:
        with SidecarProcess(tmp_path, config(model.url, sink)) as running:
            killed = 0
            with Load(running.port) as load:
                for _ in range(ROUNDS):
                    time.sleep(chance.uniform(0.05, 0.4))
                    name = chance.choice(["work-0", "work-1", "control"])
                    killed += name != "control"
                    kill(running, name)
                time.sleep(0.3)
            running.wait_ready()
            view = settled_books(running)
            assert view["requests"]
            for one in view["requests"]:
                assert one["requests"] == parts(one), one
                assert min(one["logged"], one["lost_in_crash"], one["in_memory"]) >= 0, one
            for one in view["sinks"]:
                accounted = one["delivered"] + one["dead_lettered"] + one["expired"]
                assert one["logged"] == accounted, one

            requests = sum(one["requests"] for one in view["requests"] if one["role"] != "shadow")
            assert requests >= load.answered - killed * NOT_FLUSHED
            assert running.stop() == 0

        records = recorded(tmp_path / "state" / "journal")
        ids = [record.id for record in records]
        assert len(set(ids)) == len(ids), "a record is in the journal twice"
        by_key = {(one["route"], one["model"], one["role"]): one for one in view["requests"]}
        for key, one in by_key.items():
            found = sum((r.route, r.model, r.role.value) == key for r in records)
            assert found == one["logged"], one
        assert set(delivered_ids(sink)) == set(ids), "what was logged and what the sink has differ"


def test_a_sidecar_that_is_killed_as_a_whole_keeps_what_it_logged_and_begins_new_books(tmp_path):
    sink = tmp_path / "sink"
    with Upstream(answers_for_ever) as model:
        with SidecarProcess(tmp_path, config(model.url, sink)) as running:
            with Load(running.port):
                time.sleep(0.5)
                running.kill()
            before = {record.id for record in recorded(tmp_path / "state" / "journal")}
            assert before
            running.start()
            for _ in range(20):
                assert running.request("GET", "/")[0] == 200
            view = settled_books(running)
            primary = [one for one in view["requests"] if one["role"] != "shadow"]
            assert sum(one["requests"] for one in primary) == 20
            for one in view["requests"]:
                assert one["requests"] == parts(one), one
            assert running.stop() == 0
        assert before <= set(delivered_ids(sink))


def test_a_drain_writes_everything_that_was_entered(tmp_path):
    sink = tmp_path / "sink"
    with Upstream(answers_for_ever) as model:
        with SidecarProcess(tmp_path, config(model.url, sink)) as running:
            with Load(running.port) as load:
                time.sleep(0.5)
                assert running.stop() == 0
            answered = load.answered
        records = recorded(tmp_path / "state" / "journal")
        sampled = [r for r in records if r.role.value != "shadow"]
        assert len(sampled) > 0.8 * answered  # a tenth is sampled out
        balance = last_balance(tmp_path / "state" / "journal")
        for key, one in balance.books:
            assert one.in_memory == one.lost_in_crash == 0, (key, one)
            found = sum(
                (r.route, r.model, r.role) == (key.route, key.model, key.role) for r in records
            )
            assert found == one.logged
