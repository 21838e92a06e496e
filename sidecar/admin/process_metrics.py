"""What the sidecar's processes cost, from /proc: the sum of all, and each by its place.

The CPU time of processes that have ended is in their parent's account (proc(5): cutime, cstime), so
launcher and living children together never lose any, whoever dies. Reading takes place while they
live and die: the parent is read first, so that a death in between can only be missing for once, and
the sum is never shown lower than before.

Must not know: what the processes do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_LAUNCHER = "launcher"
_PREFIXES = ("process_", "sidecar_process_")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReading:
    """One process at one moment; None where the kernel does not let us look."""

    cpu_s: float
    children_cpu_s: float
    started_ticks: int
    resident_bytes: int
    pss_bytes: int | None
    open_fds: int | None
    max_fds: int | None

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """Read /proc/<pid>; None when the process is gone."""
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            return None
        # The name is in parentheses and may hold any character; the fields after it are numbers,
        # the first of them is field 3 of proc(5).
        fields = stat[stat.rindex(")") + 2 :].split()
        return cls(
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
            children_cpu_s=(int(fields[13]) + int(fields[14])) / _TICKS_PER_S,
            started_ticks=int(fields[19]),
            resident_bytes=int(fields[21]) * _PAGE_BYTES,
            pss_bytes=_pss_bytes(folder),
            open_fds=_open_fds(folder),
            max_fds=_max_fds(folder),
        )


class ProcessMetrics(Collector):
    """Collects over `processes`, which maps a place (`launcher`, `worker-0`) to its pid now."""

    def __init__(
        self, processes: Callable[[], Mapping[str, int]], proc: Path = Path("/proc")
    ) -> None:
        self._processes = processes
        self._proc = proc
        self._most_cpu_s = 0.0

    def families(self, wanted: Collection[str]) -> Iterator[Metric]:
        """All families, or none when none is wanted: reading /proc takes milliseconds."""
        if any(name.startswith(_PREFIXES) for name in wanted):
            yield from self.collect()

    def collect(self) -> Iterator[Metric]:
        """All families; a process that ends meanwhile is left out."""
        pids = dict(self._processes())
        order = sorted(pids, key=lambda name: (name != _LAUNCHER, name))
        readings = {
            name: reading
            for name in order
            if (reading := ProcessReading.of(self._proc / str(pids[name]))) is not None
        }
        yield self._cpu(readings)
        resident = sum(reading.resident_bytes for reading in readings.values())
        yield GaugeMetricFamily(
            "process_resident_memory_bytes",
            "Resident memory, summed over the sidecar's processes: shared pages count in each.",
            value=resident,
        )
        yield from self._descriptors(readings)
        yield from self._start_time(readings.get(_LAUNCHER))
        pss = GaugeMetricFamily(
            "sidecar_process_pss_bytes",
            "Memory of each process, shared pages divided among those who share them.",
            labels=["process"],
        )
        cpu = CounterMetricFamily(
            "sidecar_process_cpu_seconds",
            "CPU time of the process now in each place.",
            labels=["process"],
        )
        for name, reading in readings.items():
            cpu.add_metric([name], reading.cpu_s)
            if reading.pss_bytes is not None:
                pss.add_metric([name], reading.pss_bytes)
        yield cpu
        yield pss

    def _cpu(self, readings: Mapping[str, ProcessReading]) -> Metric:
        total_s = sum(reading.cpu_s for reading in readings.values())
        if _LAUNCHER in readings:
            total_s += readings[_LAUNCHER].children_cpu_s
        self._most_cpu_s = max(self._most_cpu_s, total_s)
        return CounterMetricFamily(
            "process_cpu_seconds",
            "CPU time of all processes of the sidecar, those that have ended included.",
            value=self._most_cpu_s,
        )

    def _descriptors(self, readings: Mapping[str, ProcessReading]) -> Iterator[Metric]:
        opened = [one.open_fds for one in readings.values() if one.open_fds is not None]
        limits = [one.max_fds for one in readings.values() if one.max_fds is not None]
        if opened:
            yield GaugeMetricFamily(
                "process_open_fds",
                "Open file descriptors, summed over the sidecar's processes.",
                value=sum(opened),
            )
        if limits:
            yield GaugeMetricFamily(
                "process_max_fds",
                "Most file descriptors that each process may open: the least of their limits.",
                value=min(limits),
            )

    def _start_time(self, launcher: ProcessReading | None) -> Iterator[Metric]:
        boot_s = _boot_time_s(self._proc)
        if launcher is not None and boot_s is not None:
            yield GaugeMetricFamily(
                "process_start_time_seconds",
                "When the sidecar's launcher started, in seconds since the Unix epoch.",
                value=boot_s + launcher.started_ticks / _TICKS_PER_S,
            )


def _pss_bytes(folder: Path) -> int | None:
    # smaps_rollup is one walk in the kernel: about 1 ms per 100 MiB.
    try:
        rollup = (folder / "smaps_rollup").read_text()
    except OSError:
        return None
    return next(
        (int(row.split()[1]) * 1024 for row in rollup.splitlines() if row[:4] == "Pss:"), None
    )


def _open_fds(folder: Path) -> int | None:
    try:
        return sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return None


def _max_fds(folder: Path) -> int | None:
    try:
        rows = (folder / "limits").read_text().splitlines()
    except OSError:
        return None
    soft = next((row.split()[3] for row in rows if row.startswith("Max open files")), "unlimited")
    return int(soft) if soft != "unlimited" else None


def _boot_time_s(proc: Path) -> int | None:
    try:
        rows = (proc / "stat").read_text().splitlines()
    except OSError:
        return None
    return next((int(row.split()[1]) for row in rows if row.startswith("btime ")), None)
