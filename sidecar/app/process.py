"""What makes a forked child a well-behaved process of its own, and its end certain.

The launcher blocks the signals it waits for, so a child starts with them blocked: they stay pending
until the child has its own handlers, and none is lost in between.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
PR_SET_NAME: Final = 15

DRAIN_SIGNAL: Final = signal.SIGUSR1
"""Launcher to controller: a drain has begun. Controller to launcher: please begin one."""

END_SIGNAL: Final = signal.SIGUSR2
"""Launcher to a child: end (a worker drains first). Not SIGTERM, which a service manager may send
to all processes at once: children ignore it, because they have to end in order."""

OWNED_BY_LAUNCHER: Final = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, DRAIN_SIGNAL, END_SIGNAL}
)


class ExitCode(IntEnum):
    """How the sidecar's processes and commands end."""

    DONE = 0
    NO = 1  # the answer is no, or something had to be killed
    USAGE = 2  # wrong usage or configuration: starting again will not help


def fork(name: str, main: Callable[[], int]) -> int:
    """Fork a child that runs `main` and exits with its result; returns the child's process id.

    The child ends by itself (SIGKILL) when this process dies in whatever way. It ignores SIGINT and
    SIGTERM (both may reach the whole group; the launcher turns them into a drain), and unblocks the
    other signals only in `accept_signals`, when it has handlers for them.
    """
    launcher = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run_child(name, main, launcher)
    return pid


def accept_signals() -> None:
    """Unblock what the launcher had blocked; call it once handlers are in place."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OWNED_BY_LAUNCHER)


def _run_child(name: str, main: Callable[[], int], launcher: int) -> NoReturn:
    status = int(ExitCode.NO)
    try:
        _tie_to(launcher)
        _name_thread(name)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        gc.enable()  # the launcher collects nothing, so that shared pages stay shared
        status = main()
    except SystemExit as exit_request:
        status = exit_request.code if isinstance(exit_request.code, int) else int(ExitCode.NO)
    except BaseException:  # noqa: BLE001 - the last frame of a process: report, then end
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: the launcher's atexit handlers and buffers are the launcher's.
        os._exit(status)


def _tie_to(launcher: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != launcher:  # it died between the fork and the line above
        os._exit(int(ExitCode.NO))


def _name_thread(name: str) -> None:
    """Show `name` in `top` and `ps -o comm` (at most 15 bytes, prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
