"""The launcher with children that do next to nothing: signals in, exit codes out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PRELUDE = """
import os, signal, sys, time
from sidecar.app.launcher import Launcher
from sidecar.app.process import DRAIN_SIGNAL, END_SIGNAL, OWNED_BY_LAUNCHER, accept_signals

signal.pthread_sigmask(signal.SIG_BLOCK, OWNED_BY_LAUNCHER)

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def until(number, code=0):
    "Wait for a signal, then end with `code`."
    signal.sigwait({number})
    return code

def control(*, draining):
    say("control", "draining" if draining else "fresh")
    return until(END_SIGNAL)

def work(index):
    say("work", index)
    return until(END_SIGNAL)

def launch(control=control, work=work, workers=1, drain_timeout_s=5.0):
    launcher = Launcher(
        control=control, work=work, workers=workers, drain_timeout_s=drain_timeout_s,
        turn_newcomers_away=lambda: say("turns newcomers away"),
        stop_listening=lambda: say("stops listening"), clock=time.monotonic,
    )
    sys.exit(launcher.run())
"""


@contextmanager
def launched(program: str) -> Iterator[subprocess.Popen[str]]:
    """Run a launcher; `program` defines children and calls `launch`."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


def hear(process: subprocess.Popen[str], count: int) -> list[str]:
    """The next lines that the children and the launcher say, in any order."""
    assert process.stdout is not None
    return sorted(process.stdout.readline().strip() for _ in range(count))


def test_it_ends_with_zero_when_everybody_ends_in_time():
    with launched("launch(workers=2)") as process:
        assert hear(process, 3) == ["control fresh", "work 0", "work 1"]
        process.send_signal(signal.SIGTERM)
        assert hear(process, 2) == ["stops listening", "turns newcomers away"]
        assert process.wait(10) == 0


def test_newcomers_listening_workers_and_controller_end_in_this_order():
    program = """
    def work(index):
        say("work")
        signal.sigwait({END_SIGNAL})
        time.sleep(0.3)
        say("work ends")
        return 0
    def control(*, draining):
        say("control")
        until(DRAIN_SIGNAL)
        say("control sees the drain")
        until(END_SIGNAL)
        say("control ends")
        return 0
    launch(control, work)
    """
    with launched(program) as process:
        hear(process, 2)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        said = process.stdout.read().splitlines()
        assert sorted(said[:2]) == ["control sees the drain", "turns newcomers away"]
        assert said[2:] == ["stops listening", "work ends", "control ends"]
        assert process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_one_when_a_worker_had_to_be_killed(number):
    program = """
    import sidecar.app.launcher
    sidecar.app.launcher.GRACE_S = 0.1
    def work(index):
        say("work")
        time.sleep(60)
    launch(work=work, drain_timeout_s=0.1)
    """
    with launched(program) as process:
        hear(process, 2)
        process.send_signal(number)
        assert process.wait(10) == 1


def test_a_child_that_dies_is_started_again():
    program = """
    launch()
    """
    with launched(program) as process:
        hear(process, 2)
        children = _children(process.pid)
        os.kill(children["sidecar-work-0"], signal.SIGKILL)
        assert hear(process, 1) == ["work 0"]
        os.kill(children["sidecar-control"], signal.SIGKILL)
        assert hear(process, 1) == ["control fresh"]


def test_a_drain_without_an_end_leaves_the_controller_which_comes_back_draining():
    with launched("launch()") as process:
        hear(process, 2)
        process.send_signal(signal.SIGUSR1)
        assert hear(process, 2) == ["stops listening", "turns newcomers away"]
        os.kill(_children(process.pid)["sidecar-control"], signal.SIGKILL)
        assert hear(process, 1) == ["control draining"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_child_that_cannot_work_with_the_configuration_ends_the_start_with_two():
    with launched("launch(work=lambda index: 2)") as process:
        assert process.wait(10) == 2


def test_a_child_that_finds_the_configuration_wrong_later_is_only_restarted():
    program = """
    import tempfile, pathlib
    counted = pathlib.Path(tempfile.mkdtemp())
    def work(index):
        life = len(list(counted.iterdir()))
        (counted / str(life)).touch()
        say("life", life)
        if life == 0:
            return 1
        if life == 1:
            return 2
        return until(END_SIGNAL)
    launch(work=work)
    """
    with launched(program) as process:
        assert hear(process, 4) == ["control fresh", "life 0", "life 1", "life 2"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_hangup_reaches_the_controller():
    program = """
    def control(*, draining):
        say("control")
        until(signal.SIGHUP)
        say("reloads")
        return until(END_SIGNAL)
    launch(control)
    """
    with launched(program) as process:
        hear(process, 2)
        process.send_signal(signal.SIGHUP)
        assert hear(process, 1) == ["reloads"]


def _children(pid: int) -> dict[str, int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return {
        Path(f"/proc/{child}/comm").read_text(encoding="ascii").strip(): int(child)
        for child in listed.split()
    }
