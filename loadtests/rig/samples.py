"""Where a process spends its user time: py-spy's samples, Python and native frames in one stack.

py-spy writes one line per distinct stack, outermost frame first, and how often it was seen:
`main (app.py:1);write (libc.so.6) 12`.

A sample whose innermost frame is a system call stands for time in the kernel, which is measured
better elsewhere; only the others are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtests.rig.processes import Fleet, ProcessFailedError, Started
from loadtests.rig.tools import require

RATE_HZ: Final = 250
SYSTEM_CALLS: Final = frozenset(
    {
        "accept4", "close", "connect", "epoll_ctl", "epoll_pwait", "epoll_wait", "read", "readv",
        "recv", "recvfrom", "recvmsg", "send", "sendmsg", "sendto", "setsockopt", "write", "writev",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack, outermost frame first, and how often it was seen."""

    frames: tuple[str, ...]
    count: int

    @property
    def in_kernel(self) -> bool:
        """Whether the innermost frame is a system call."""
        name, _, place = self.frames[-1].partition(" (")
        return place.startswith("libc") and name.removeprefix("__libc_") in SYSTEM_CALLS

    @property
    def python(self) -> str:
        """The innermost Python frame; empty when there is none."""
        return next((frame for frame in reversed(self.frames) if ".py:" in frame), "")

    @property
    def native(self) -> tuple[str, ...]:
        """The frames of C inside the innermost Python frame."""
        python = self.python
        if not python:
            return self.frames
        last = len(self.frames) - 1 - self.frames[::-1].index(python)
        return self.frames[last + 1 :]


def begin(fleet: Fleet, pid: int, *, seconds: int, name: str) -> tuple[Started, Path]:
    """Start sampling a process; the file is written when it has ended."""
    stacks = fleet.home / f"{name}.stacks"
    command = [
        require("py-spy"), "record", "--native", "--pid", str(pid), "--rate", str(RATE_HZ),
        "--duration", str(seconds), "--format", "raw", "--output", str(stacks),
    ]  # fmt: skip
    return fleet.start(f"py-spy-{name}", command), stacks


def finish(sampling: Started, stacks: Path) -> list[Stack]:
    """The stacks in user code. Raises ProcessFailedError when nothing could be sampled."""
    sampling.process.wait(60)
    if not stacks.exists():
        raise ProcessFailedError(f"py-spy could not sample:\n{sampling.tail()}")
    return [stack for stack in _read(stacks) if not stack.in_kernel]


def _read(stacks: Path) -> Iterator[Stack]:
    for line in stacks.read_text(errors="replace").splitlines():
        frames, _, count = line.rpartition(" ")
        yield Stack(tuple(frames.split(";")), int(count))


def by_function(stacks: list[Stack]) -> Counter[str]:
    """Samples per Python function, what it called in C included."""
    found: Counter[str] = Counter()
    for stack in stacks:
        found[re.sub(r":\d+\)$", ")", stack.python) or "outside Python"] += stack.count
    return found
