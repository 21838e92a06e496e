"""Starting and ending processes, and what the kernel counts for one and all that descend from it.

A fleet ends exactly what it started, by process id, the last first: politely, then by force.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PATIENCE_S: Final = 15.0  # a sidecar drains before it ends
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


class ProcessFailedError(Exception):
    """A process of the measurement ended early, or never did what it was started for."""


@dataclass(frozen=True, slots=True)
class Started:
    """A running process, with the file that takes its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its id, the root of its tree."""
        return self.process.pid

    def check(self) -> None:
        """Raises ProcessFailedError, with the end of its log, when it no longer runs."""
        code = self.process.poll()
        if code is not None:
            raise ProcessFailedError(f"{self.name} ended with {code}:\n{self.tail()}")

    def tail(self, lines: int = 12) -> str:
        """The last lines of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End it and everything that descends from it."""
        if self.process.poll() is None:
            family = tree(self.pid)
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                for pid in family:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait(PATIENCE_S)


def await_line(started: Started, beginning: str, *, timeout_s: float) -> str:
    """Wait for a line of a process's output. Raises ProcessFailedError."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        started.check()
        for line in started.log.read_text(errors="replace").splitlines():
            if line.startswith(beginning):
                return line
        time.sleep(0.05)
    raise ProcessFailedError(f"{started.name} is not ready:\n{started.tail()}")


class Fleet:
    """Processes that end together, in the reverse order of their start. `home` keeps their logs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._started: list[Started] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._started:
            self._started.pop().stop()

    def start(
        self, name: str, command: Sequence[str], *, environ: Mapping[str, str] | None = None
    ) -> Started:
        """Start a process; it gets no terminal and no share of our Ctrl-C."""
        log = self.home / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environ is None else {**os.environ, **environ},
                start_new_session=True,
            )
        started = Started(name, process, log)
        self._started.append(started)
        return started


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds a process tree has spent, its ended children included."""

    user_s: float
    system_s: float

    @property
    def total_s(self) -> float:
        """Both."""
        return self.user_s + self.system_s

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.user_s - earlier.user_s, self.system_s - earlier.system_s)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may itself contain blanks and brackets."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()


def tree(root: int) -> list[int]:
    """The ids of a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for pid in _processes():
        with contextlib.suppress(OSError):
            children.setdefault(int(_stat(pid)[1]), []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_time(root: int) -> CpuTime:
    """What a tree has used so far. Resolution: one tick (10 ms) per process."""
    user = system = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            fields = _stat(pid)
            user += int(fields[11]) + int(fields[13])
            system += int(fields[12]) + int(fields[14])
    return CpuTime(user / TICKS_PER_S, system / TICKS_PER_S)


def pss_mib(pid: int) -> float:
    """A process's proportional set size: a page shared by n processes counts 1/n."""
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def tree_rss_mib(root: int) -> float:
    """The tree's resident memory, in which a page counts for each process that has it.

    Unlike PSS it does not change when a process elsewhere maps the same libraries, or ends.
    """
    return sum(_rss_mib(pid) for pid in tree(root))


def _rss_mib(pid: int) -> float:
    try:
        text = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmRSS:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def tree_pss_mib(root: int) -> float:
    """The whole tree's share of memory."""
    return sum(pss_mib(pid) for pid in tree(root))


def sharers(root: int, library: str) -> int:
    """How many processes outside a tree have mapped a library that the tree has mapped too.

    Each of them takes a share of its pages, so that the tree's PSS looks smaller than it is alone.
    """
    family = tree(root)
    mapped = {pid for pid in _processes() if _has_mapped(pid, library)}
    return len(mapped.difference(family)) if mapped.intersection(family) else 0


def _processes() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _has_mapped(pid: int, library: str) -> bool:
    try:
        return library in (_PROC / str(pid) / "maps").read_text()
    except OSError:
        return False


def by_role(root: int) -> dict[str, int]:
    """The processes of a tree: `launcher`, its root, and the others by the names they took."""
    roles = {(_PROC / str(pid) / "comm").read_text().strip(): pid for pid in tree(root)[1:]}
    return {"launcher": root, **roles}
