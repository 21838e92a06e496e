"""Where the CPU time of a request goes, part by part.

Kernel and user time are the kernel's own accounts over a load that nobody disturbs. The user time
is then divided by samples that py-spy takes of the worker under the same load: a sample belongs to
uvloop or llhttp when it is inside their C code, else to the part of the sidecar whose Python code
is running. Sampling stops the process for moments, so it divides a cost that it does not itself
measure. System calls are counted by strace in a load of their own.

Needs nginx, wrk and py-spy, and the right to trace processes; without strace no calls are counted.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from loadtests.peers import nginx
from loadtests.rig import samples, sidecar, syscalls
from loadtests.rig.command import options, run, stage
from loadtests.rig.load import Load, Round, Subject, median_of, run_round
from loadtests.rig.machine import Surroundings
from loadtests.rig.processes import Fleet, by_role, cpu_time
from loadtests.rig.progress import say
from loadtests.rig.report import Report, Table
from loadtests.rig.tools import find, require
from loadtests.rig.traffic import PATH, Traffic

KERNEL: Final = "kernel: system calls, TCP, wake-ups"
LOOP: Final = "event loop: uvloop, libuv"
LLHTTP: Final = "heads: checked by llhttp"
REST: Final = "everything else in the worker"
OTHERS: Final = "launcher and controller"

# Frames of C that say whose code runs; without debug information py-spy names the library.
_IN_LOOP: Final = re.compile(r"\((?:uvloop/)?loop\.c|\(.*loop\.cpython|^uv_|\((?:core|stream)\.c:")
_IN_LLHTTP: Final = re.compile(r"\((?:parser|llhttp|api|http)\.c:|\(.*parser\.cpython")

# Modules of the sidecar, the first that fits; the names of the parts are for readers of the report.
PARTS: Final = (
    ("sidecar/proxy/head", "heads: read"),
    ("sidecar/proxy/fields", "heads: read"),
    ("sidecar/proxy/forwarding", "heads: written"),
    ("sidecar/proxy/client", "connections of clients"),
    ("sidecar/proxy/exchange", "exchange: client to model and back"),
    ("sidecar/proxy/account", "exchange: client to model and back"),
    ("sidecar/proxy/upstream", "connections to models"),
    ("sidecar/proxy/endpoint", "connections to models"),
    ("sidecar/proxy/pool", "connections to models"),
    ("sidecar/proxy/breaker", "connections to models"),
    ("sidecar/proxy/mirror", "shadow: copying, counting"),
    ("sidecar/routing/", "routing"),
    ("sidecar/board/", "histograms and counters"),
    ("sidecar/sketch/", "histograms and counters"),
)
COUNTING_S: Final = 2
TOP: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was found of one mode. Times are microseconds of CPU per request."""

    rounds: Sequence[Round]
    parts_us: Mapping[str, float]
    functions_us: Mapping[str, float]
    calls: Mapping[str, float]  # per request
    samples: int


def measure(chosen: argparse.Namespace) -> Report:
    for tool in ("nginx", "wrk", "py-spy"):
        require(tool)
    surroundings = Surroundings()
    routings = {sidecar.PLAIN: sidecar.plain_route, sidecar.SPLIT: sidecar.split_route}
    costs: dict[str, Cost] = {}
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet).port
        load = Load(
            script=Traffic().script(fleet.home, "inference"), path=PATH, seconds=chosen.seconds
        )
        for name, routing in routings.items():
            say(f"cost of: {name}")
            with Fleet(fleet.home) as alone:
                running = sidecar.start(alone, "sidecar", routing(upstream))
                costs[name] = cost_of(alone, running.subject(name), load, chosen)
    return report(costs, surroundings, chosen)


def cost_of(fleet: Fleet, subject: Subject, load: Load, chosen: argparse.Namespace) -> Cost:
    """Account, then sample, then count."""
    run_round(subject, replace(load, seconds=1))
    worker = by_role(subject.pid)["sidecar-work-0"]
    rounds, user_us, system_us = [], [], []
    for _ in range(chosen.rounds):
        before = cpu_time(worker)
        done = run_round(subject, load)
        used = cpu_time(worker) - before
        rounds.append(done)
        user_us.append(used.user_s / done.requests * 1e6)
        system_us.append(used.system_s / done.requests * 1e6)
    user, system = statistics.median(user_us), statistics.median(system_us)

    sampling, file = samples.begin(fleet, worker, seconds=chosen.sample, name="stacks")
    run_round(subject, replace(load, seconds=chosen.sample + 2))
    stacks = samples.finish(sampling, file)
    total = sum(stack.count for stack in stacks)
    per_sample_us = user / total if total else 0.0
    parts = {KERNEL: system}
    for part, count in divide(stacks).most_common():
        parts[part] = count * per_sample_us
    parts[OTHERS] = max(median_of(rounds).cpu_us - user - system, 0.0)
    functions = {
        function: count * per_sample_us
        for function, count in samples.by_function(stacks).most_common(TOP)
    }

    calls: dict[str, float] = {}
    if find("strace"):
        tracing, summary = syscalls.begin(fleet, worker, name="calls")
        traced = run_round(subject, replace(load, seconds=COUNTING_S))
        counted = syscalls.finish(tracing, summary)
        calls = {call: count / traced.requests for call, count in counted.items()}
    return Cost(rounds=rounds, parts_us=parts, functions_us=functions, calls=calls, samples=total)


def divide(stacks: Sequence[samples.Stack]) -> Counter[str]:
    """Samples per part."""
    found: Counter[str] = Counter()
    for stack in stacks:
        found[part_of(stack)] += stack.count
    return found


def part_of(stack: samples.Stack) -> str:
    """The part of the sidecar, or the library, whose code was running."""
    for frame in stack.native:
        if _IN_LOOP.search(frame):
            return LOOP
        if _IN_LLHTTP.search(frame):
            return LLHTTP
    python = stack.python
    return next((part for path, part in PARTS if path in python), REST)


def report(
    costs: Mapping[str, Cost], surroundings: Surroundings, chosen: argparse.Namespace
) -> Report:
    parts: list[str | Table] = [
        f"{surroundings.describe(('nginx', 'wrk', 'py-spy', 'strace'))} Medians of "
        f"{chosen.rounds} rounds of {chosen.seconds} s; user time divided by "
        + " and ".join(f"{cost.samples:,}" for cost in costs.values())
        + " samples.",
        parts_table(costs),
    ]
    for name, cost in costs.items():
        parts.append(
            Table(
                (f"{name}: dearest functions, with the C they call", "us/request"),
                [[f"`{function}`", f"{us:.2f}"] for function, us in cost.functions_us.items()],
            )
        )
    if all(cost.calls for cost in costs.values()):
        parts.append(calls_table(costs))
    data: dict[str, Any] = {
        name: {
            "parts_us": dict(cost.parts_us),
            "functions_us": dict(cost.functions_us),
            "calls_per_request": dict(cost.calls),
            "cpu_us": [one.cpu_us for one in cost.rounds],
            "samples": cost.samples,
        }
        for name, cost in costs.items()
    }
    return Report(name="cost", parts=parts, data=data)


def parts_table(costs: Mapping[str, Cost]) -> Table:
    """A row per part, the dearest of the last mode first; two columns per mode."""
    last = list(costs.values())[-1].parts_us
    order = sorted({part for cost in costs.values() for part in cost.parts_us},
                   key=lambda part: -last.get(part, 0.0))  # fmt: skip
    totals = {name: sum(cost.parts_us.values()) for name, cost in costs.items()}
    columns = ["CPU of a request", *(text for name in costs for text in (f"{name}: us", "share"))]
    rows = []
    for part in order:
        row = [part]
        for name, cost in costs.items():
            us = cost.parts_us.get(part, 0.0)
            row += [f"{us:.1f}", f"{us / totals[name]:.0%}"]
        rows.append(row)
    rows.append(["**all**", *(text for total in totals.values() for text in (f"{total:.1f}", ""))])
    return Table(columns, rows)


def calls_table(costs: Mapping[str, Cost]) -> Table:
    """System calls per request, those that matter."""
    names = {call for cost in costs.values() for call, count in cost.calls.items() if count >= 0.01}
    last = list(costs.values())[-1].calls
    return Table(
        ("system calls per request", *costs),
        [
            [f"`{call}`", *(f"{cost.calls.get(call, 0.0):.2f}" for cost in costs.values())]
            for call in sorted(names, key=lambda call: -last.get(call, 0.0))
        ],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.cost", __doc__ or "", rounds=5, seconds=4)
    parser.add_argument(
        "--sample", type=int, default=20, metavar="SECONDS", help="of sampling; default 20"
    )
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
