"""Fixtures: `deliverer(destination)` starts a process that delivers; all are ended afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("deliverer.py")
TESTS = Path(__file__).parents[2]


@pytest.fixture
def deliverer(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Deliver what is in `tmp_path / "journal"`, with the cursor `tmp_path / "cursor"`."""
    started = []

    def start(destination: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                sys.executable,
                str(PROGRAM),
                str(tmp_path / "journal"),
                str(tmp_path / "cursor"),
                destination,
            ],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        )
        started.append(process)
        assert process.stdout.readline() == b"delivers\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()
