"""Children that are restarted when they die, with back-off. Knows pids, not what they run.

Pure but for `fork` (given as an argument) and logging: the clock comes in as `now_s`, deaths come
in as what `os.waitpid` said. The launcher owns the waiting.

    starting --fork--> running --died--> waiting(delay) --due--> running
    a child that lived for 10 s has earned a fresh back-off
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sidecar.app.process import ExitCode

FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 5.0
SETTLED_AFTER_S: Final = 10.0
QUICK_DEATH_S: Final = 1.0
QUICK_DEATHS: Final = 3

log: Final = logging.getLogger("sidecar.launcher")


@dataclass(slots=True)
class Child:
    """One place for a process: who is there now, or when the next one is due."""

    name: str
    main: Callable[[], int]
    pid: int | None = None
    started_s: float = 0.0
    due_s: float | None = None
    delay_s: float = FIRST_DELAY_S
    quick_deaths: int = 0
    restarts: int = 0
    wanted: bool = field(default=True)


class Supervisor:
    """Keeps its children running until they are no longer wanted."""

    def __init__(self, fork: Callable[[str, Callable[[], int]], int]) -> None:
        self._fork = fork
        self.children: list[Child] = []

    def add(self, name: str, main: Callable[[], int], now_s: float) -> Child:
        """Start a child; it will be started again whenever it dies."""
        child = Child(name=name, main=main)
        self.children.append(child)
        self._start(child, now_s)
        return child

    def start_due(self, now_s: float) -> None:
        """Start every child whose back-off is over."""
        for child in self.children:
            if child.due_s is not None and child.due_s <= now_s:
                self._start(child, now_s)

    def next_due_s(self) -> float | None:
        """When `start_due` has something to do next."""
        return min((c.due_s for c in self.children if c.due_s is not None), default=None)

    def died(self, pid: int, wait_status: int, now_s: float) -> Child | None:
        """Take note of a death; None for a process that was never ours (PID 1 inherits orphans)."""
        child = next((c for c in self.children if c.pid == pid), None)
        if child is None:
            return None
        child.pid = None
        lived_s = now_s - child.started_s
        ending = describe(wait_status)
        if not child.wanted:
            log.info("%s has ended", child.name, extra={"pid": pid, "ending": ending})
            return child
        if lived_s >= SETTLED_AFTER_S:
            child.delay_s = FIRST_DELAY_S
        child.quick_deaths = child.quick_deaths + 1 if lived_s < QUICK_DEATH_S else 0
        child.due_s = now_s + child.delay_s
        keys = {
            "pid": pid,
            "ending": ending,
            "lived_s": round(lived_s, 3),
            "restart_in_s": child.delay_s,
        }
        if child.quick_deaths and child.quick_deaths % QUICK_DEATHS == 0:
            log.error(
                "%s has now died %d times within a second of its start; its own error stands above",
                child.name,
                child.quick_deaths,
                extra=keys,
            )
        else:
            log.error("%s died and will be restarted", child.name, extra=keys)
        child.delay_s = min(child.delay_s * 2, LONGEST_DELAY_S)
        return child

    def dismiss(self, child: Child, number: signal.Signals) -> None:
        """Stop wanting a child, and tell it so."""
        child.wanted = False
        child.due_s = None
        self.signal(child, number)

    def signal(self, child: Child, number: signal.Signals) -> None:
        """Send a signal to a running child; one that is not running misses nothing."""
        if child.pid is not None:
            # Not reaped yet, so the pid cannot belong to anybody else.
            os.kill(child.pid, number)

    def _start(self, child: Child, now_s: float) -> None:
        restart = child.due_s is not None
        child.due_s = None
        child.started_s = now_s
        child.restarts += restart
        child.pid = self._fork(child.name, child.main)
        if restart:
            log.info("%s is running again", child.name, extra={"pid": child.pid})


def describe(wait_status: int) -> str:
    """`exit 1` or `SIGKILL`: how a process ended."""
    if os.WIFSIGNALED(wait_status):
        return signal.Signals(os.WTERMSIG(wait_status)).name
    return f"exit {os.waitstatus_to_exitcode(wait_status)}"


def was_usage_error(wait_status: int) -> bool:
    """True when a child said that starting it again will not help."""
    return os.WIFEXITED(wait_status) and os.WEXITSTATUS(wait_status) == ExitCode.USAGE
