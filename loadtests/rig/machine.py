"""Where a measurement was made: machine, kernel, versions, and how quiet it was."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from loadtests.rig.tools import version as tool_version

PACKAGES: Final = ("model-sidecar", "uvloop", "httptools", "numba", "numpy")


class Surroundings:
    """The machine as it is now; `describe` at the end adds what happened on it meanwhile."""

    def __init__(self) -> None:
        self._load_before = os.getloadavg()[0]
        self._before = _cpu_ticks()

    def describe(self, tools: Sequence[str] = ()) -> str:
        """One paragraph for a report."""
        spent = [after - before for before, after in zip(self._before, _cpu_ticks(), strict=True)]
        stolen = spent[7] / (sum(spent[:8]) or 1)
        today = dt.datetime.now(dt.UTC).date()
        machine = f"{os.cpu_count()} x {_cpu_model()}, {_memory_gib():.0f} GiB"
        software = [f"Linux {platform.release()}", f"Python {platform.python_version()}"]
        software += [f"{name} {found}" for name in PACKAGES if (found := _package(name))]
        software += [found for name in tools if (found := _tool(name))]
        return (
            f"Measured {today} on {machine}; {', '.join(software)}. "
            f"Load average before: {self._load_before:.2f}; "
            f"CPU time taken by other machines on the host: {stolen:.1%}."
        )


def _cpu_ticks() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice"""
    return [int(tick) for tick in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]


def _cpu_model() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _tool(name: str) -> str | None:
    """A program's name and version number; the number alone is buried in each one's own phrase."""
    line = tool_version(name)
    if line is None:
        return None
    found = re.search(r"\d+\.\d+(?:\.\d+)?", line)
    return f"{name} {found[0]}" if found else name
