"""A reload changes where records go, and nothing that was logged is passed over by it."""

from __future__ import annotations

import pytest
from harness.recorded import BODY, PATH, answers_for_ever, delivered_ids, recorded, settled_books
from harness.sidecar_process import SidecarProcess
from harness.upstream import Upstream
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(60)


def sink(name, tmp_path):
    return {"name": name, "type": "jsonl", "path": str(tmp_path / name), "batch_age": "50ms"}


def test_a_new_sink_gets_all_that_the_journal_has_and_one_that_went_keeps_its_place(tmp_path):
    with Upstream(answers_for_ever) as model:
        config = {
            "models": {"stable": {"url": model.url}},
            "routes": [{"name": "iris", "primary": "stable"}],
            "sinks": [sink("one", tmp_path)],
        }
        with SidecarProcess(tmp_path, config) as running:

            def send(requests: int) -> None:
                for _ in range(requests):
                    assert running.request("POST", PATH, BODY)[0] == 200

            def reload(*names: str) -> None:
                sinks = [sink(name, tmp_path) for name in names]
                running.write_config({**running.config, "sinks": sinks})
                status, report = running.admin("POST", "/api/v1/reload")
                assert (status, report["needs_restart"]) == (200, [])

            send(10)
            settled_books(running)
            wait_until(lambda: len(delivered_ids(tmp_path / "one")) == 10, "one has all of it")
            reload("two")
            send(10)
            wait_until(lambda: len(delivered_ids(tmp_path / "two")) == 20, "two has all of it")
            assert len(delivered_ids(tmp_path / "one")) == 10
            reload("one", "two")
            send(10)
            view = settled_books(running)
            assert {one["sink"] for one in view["sinks"]} == {"one", "two"}
            assert all(one["logged"] == one["delivered"] == 30 for one in view["sinks"])
            assert running.stop() == 0
        ids = {record.id for record in recorded(tmp_path / "state" / "journal")}
        for name in ("one", "two"):
            delivered = delivered_ids(tmp_path / name)
            assert set(delivered) == ids
            assert set(delivered.values()) == {1}, "something came twice"
