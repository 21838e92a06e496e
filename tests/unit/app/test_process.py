"""A forked child: how it ends, and with whom. Real forks, of a small interpreter in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import os, signal, sys, time
from sidecar.app.process import END_SIGNAL, OWNED_BY_LAUNCHER, accept_signals, fork
signal.pthread_sigmask(signal.SIG_BLOCK, OWNED_BY_LAUNCHER)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that forks; it gets `fork` and friends."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("main", "code"),
    [
        ("lambda: 0", 0),
        ("lambda: 2", 2),
        ("lambda: sys.exit(3)", 3),
        ("lambda: sys.exit('words')", 1),
        ("lambda: 1 / 0", 1),
    ],
)
def test_a_child_exits_with_the_result_of_its_main(main, code):
    done = run(f"""
        _, status = os.waitpid(fork("child", {main}), 0)
        print(os.waitstatus_to_exitcode(status))
    """)
    assert done.stdout == f"{code}\n"
    assert ("ZeroDivisionError" in done.stderr) == ("1 / 0" in main)


def test_what_the_parent_had_registered_for_its_exit_does_not_run_in_the_child():
    done = run("""
        import atexit
        atexit.register(print, "parent's exit")
        os.waitpid(fork("child", lambda: 0), 0)
    """)
    assert done.stdout == "parent's exit\n"


def test_a_signal_that_comes_before_the_child_has_a_handler_is_not_lost():
    done = run("""
        def main():
            time.sleep(0.3)  # the signal arrives now
            signal.signal(END_SIGNAL, lambda *_: os._exit(7))
            accept_signals()
            return 0
        pid = fork("child", main)
        os.kill(pid, END_SIGNAL)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)
    assert done.stdout == "7\n"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_child_ignores_what_a_terminal_or_a_service_manager_sends_to_the_whole_group(number):
    done = run(f"""
        def main():
            accept_signals()
            os.kill(os.getpid(), signal.{number})
            return 5
        print(os.waitstatus_to_exitcode(os.waitpid(fork("child", main), 0)[1]))
    """)
    assert done.stdout == "5\n"


def test_a_child_dies_with_its_launcher_and_shows_its_name():
    launcher = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PRELUDE
            + textwrap.dedent("""
                def main():
                    with open("/proc/self/comm") as comm:
                        print(comm.read().strip(), flush=True)
                    time.sleep(60)
                fork("sidecar-work-0", main)
                time.sleep(60)
            """),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "sidecar-work-0\n"
        os.kill(launcher.pid, signal.SIGKILL)
        # The child held the other end of the pipe: it is gone when the pipe ends.
        assert launcher.stdout.read() == ""
