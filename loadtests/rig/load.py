"""One round of load on one subject: wrk outside, the kernel's CPU accounts inside.

CPU per request is the user and system time of the subject's whole process tree over the round,
divided by the requests wrk got answered. On a small machine this is the figure that holds:
throughput says as much about wrk and the upstream, which share the cores.
"""

from __future__ import annotations

import math
import re
import statistics
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from loadtests.rig.processes import ProcessFailedError, cpu_time
from loadtests.rig.progress import say
from loadtests.rig.tools import require

WARM_UP_S: Final = 1
LOOK_S: Final = 0.3
IDLE_SHARE: Final = 0.05  # of a core: whoever uses less has nothing left to do
LONGEST_SETTLING_S: Final = 10.0
_UNIT_US: Final = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that forwards: where it listens, and the root of its process tree."""

    name: str
    url: str
    pid: int

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much, how long, of what. `connections` are kept busy, each with one request at a time."""

    script: Path
    path: str
    connections: int = 32
    seconds: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round showed. `user_us` and `system_us` are CPU per request."""

    requests: int
    rate: float
    p50_us: float
    p99_us: float
    user_us: float
    system_us: float
    errors: int

    @property
    def cpu_us(self) -> float:
        """CPU per request."""
        return self.user_us + self.system_us


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to measure among others; its name is unique among them."""

    name: str
    subject: Subject
    load: Load


Rounds = Mapping[str, Sequence[Round]]
"""What was measured, by the names of the points."""


def take_turns(points: Sequence[Point], count: int) -> dict[str, list[Round]]:
    """A warm-up and `count` rounds of each point, interleaved, every second time in reverse."""
    for point in points:
        run_round(point.subject, replace(point.load, seconds=WARM_UP_S))
    rounds: dict[str, list[Round]] = {point.name: [] for point in points}
    for number in range(count):
        for point in points if number % 2 == 0 else reversed(points):
            done = run_round(point.subject, point.load)
            rounds[point.name].append(done)
            say(f"round {number + 1}/{count}: {point.name}: {done.cpu_us:.1f} us CPU per request")
    return rounds


def run_round(subject: Subject, load: Load) -> Round:
    """Load a subject once. Raises ProcessFailedError when it answers nothing."""
    before = cpu_time(subject.pid)
    text = _wrk(subject.url + load.path, load)
    settle(subject.pid)
    used = cpu_time(subject.pid) - before
    requests = int(_number(r"(\d+) requests in", text))
    if not requests:
        raise ProcessFailedError(f"{subject.name} answered no request:\n{text}")
    return Round(
        requests=requests,
        rate=_number(r"Requests/sec:\s+([\d.]+)", text),
        p50_us=quantile_us(text, 50),
        p99_us=quantile_us(text, 99),
        user_us=used.user_s / requests * 1e6,
        system_us=used.system_s / requests * 1e6,
        errors=errors(text),
    )


def settle(pid: int) -> None:
    """Wait until a tree has done what it has put off: it counts, and is nobody else's burden."""
    deadline = time.monotonic() + LONGEST_SETTLING_S
    used_s = math.inf
    while used_s > IDLE_SHARE * LOOK_S and time.monotonic() < deadline:
        before = cpu_time(pid)
        time.sleep(LOOK_S)
        used = cpu_time(pid) - before
        used_s = used.user_s + used.system_s


def median_of(rounds: Iterable[Round]) -> Round:
    """The median of each figure, the sum of the errors."""
    kept = list(rounds)

    def middle(field: str) -> float:
        return float(statistics.median(getattr(one, field) for one in kept))

    # User and system are split by the medians' proportion, so that their sum is the median CPU.
    cpu = middle("cpu_us")
    user, system = middle("user_us"), middle("system_us")
    share = user / (user + system) if user + system else 0.0
    return Round(
        requests=sum(one.requests for one in kept),
        rate=middle("rate"),
        p50_us=middle("p50_us"),
        p99_us=middle("p99_us"),
        user_us=cpu * share,
        system_us=cpu * (1 - share),
        errors=sum(one.errors for one in kept),
    )


def median_ratio(rounds: Sequence[Round], against: Sequence[Round]) -> float:
    """The median of the ratios of CPU per request, pair by pair: a drift hits both of a pair."""
    return statistics.median(
        one.cpu_us / other.cpu_us for one, other in zip(rounds, against, strict=True)
    )


def _wrk(url: str, load: Load) -> str:
    command = [
        require("wrk"), "-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "30s",
        "--latency", "-s", str(load.script), url,
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=load.seconds + 60, check=False
    )
    if done.returncode:
        raise ProcessFailedError(f"wrk: {done.stderr or done.stdout}")
    return done.stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def quantile_us(text: str, percent: int) -> float:
    """A quantile of wrk's report in microseconds."""
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)", text, re.MULTILINE)
    return float(found[1]) * _UNIT_US[found[2]] if found else 0.0


def errors(text: str) -> int:
    """Answers other than 2xx and 3xx, and failures of sockets."""
    sockets = re.search(r"Socket errors: (.*)", text)
    failures = sum(map(int, re.findall(r"\d+", sockets[1]))) if sockets else 0
    return failures + int(_number(r"Non-2xx or 3xx responses: (\d+)", text))
