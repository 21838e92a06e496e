"""Process trees: what they used, and that nobody of them is left."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from loadtests.rig.processes import (
    Fleet,
    ProcessFailedError,
    await_line,
    cpu_time,
    tree,
    tree_pss_mib,
    tree_rss_mib,
)

# A parent and a child; the child burns a given CPU time, then both wait.
FAMILY = """
import os, signal, sys, time
child = os.fork()
if child == 0:
    while time.process_time() < float(sys.argv[1]):
        pass
    print("burnt", flush=True)
{ignoring}
signal.alarm(20)  # ends the child too, whose parent alone is ended by the test
signal.pause()
"""


def start_family(fleet: Fleet, burn_s: float, ignoring: str = "") -> int:
    started = fleet.start(
        "family", [sys.executable, "-c", FAMILY.format(ignoring=ignoring), str(burn_s)]
    )
    await_line(started, "burnt", timeout_s=20)
    return started.pid


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return state != "Z"


def await_gone(pids: list[int]) -> None:
    end = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end, "a process was left behind"
        time.sleep(0.01)


def test_a_tree_is_the_process_and_its_descendants(tmp_path: Path) -> None:
    with Fleet(tmp_path) as fleet:
        root = start_family(fleet, 0)
        found = tree(root)
        assert found[0] == root
        assert len(found) == 2
        assert os.getpid() not in found


def test_the_cpu_time_of_children_counts(tmp_path: Path) -> None:
    with Fleet(tmp_path) as fleet:
        root = start_family(fleet, 0.3)
        # Clock ticks of 10 ms, rounded down, in user and in system time.
        assert cpu_time(root).total_s >= 0.3 - 0.03
        assert tree_rss_mib(root) > tree_pss_mib(root) > 0


def test_a_fleet_ends_what_it_started(tmp_path: Path) -> None:
    with Fleet(tmp_path) as fleet:
        root = start_family(fleet, 0)
    assert not alive(root)


def test_a_process_that_will_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.rig.processes.PATIENCE_S", 0.3)
    with Fleet(tmp_path) as fleet:
        root = start_family(fleet, 0, ignoring="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
        pids = tree(root)
        assert len(pids) == 2
    await_gone(pids)


def test_what_a_failed_process_said_last_is_in_the_error(tmp_path: Path) -> None:
    with Fleet(tmp_path) as fleet:
        started = fleet.start("broken", [sys.executable, "-c", "raise SystemExit('no such model')"])
        started.process.wait(20)
        with pytest.raises(ProcessFailedError, match="no such model"):
            started.check()
