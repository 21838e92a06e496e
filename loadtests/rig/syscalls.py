"""Counts a process's system calls with strace. Tracing slows it down; the counts stay true."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from loadtests.rig.processes import Fleet, Started
from loadtests.rig.tools import require


def begin(fleet: Fleet, pid: int, *, name: str) -> tuple[Started, Path]:
    """Start counting."""
    summary = fleet.home / f"{name}.calls"
    command = [require("strace"), "-c", "-f", "-p", str(pid), "-o", str(summary)]
    return fleet.start(f"strace-{name}", command), summary


def finish(tracing: Started, summary: Path) -> dict[str, int]:
    """Stop counting; returns calls by name, the most frequent first."""
    tracing.process.send_signal(signal.SIGINT)  # it lets go of the process and writes the summary
    tracing.process.wait(30)
    # The columns: share of time, seconds, microseconds per call, calls, errors if any, name.
    line = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)
    calls = {name: int(count) for count, name in line.findall(summary.read_text())}
    calls.pop("total", None)
    return dict(sorted(calls.items(), key=lambda item: -item[1]))
