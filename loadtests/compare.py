"""CPU per request of the sidecar beside nginx, HAProxy and Envoy doing the same.

All of them stand in front of one nginx upstream that answers a small prediction. wrk sends
30-feature inference requests with 12 header fields over 32 connections, each with one request at a
time. One sidecar reads them all besides, and counts every feature and score; another also keeps a
record of each exchange in its journal, and delivers them to files: no other proxy does either.
The proxies take turns, round by round and in alternating order, and ratios are taken pair by pair,
so that whatever slows the machine down slows both. Memory is read of each proxy alone, under load,
before the rounds: two sidecars at once would share pages that one does not.

Needs nginx, wrk and envoy; HAProxy is left out when it is not installed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from loadtests.peers import envoy, haproxy, nginx
from loadtests.rig import sidecar
from loadtests.rig.command import options, run, stage
from loadtests.rig.load import (
    Load,
    Point,
    Rounds,
    Subject,
    median_of,
    median_ratio,
    run_round,
    take_turns,
)
from loadtests.rig.machine import Surroundings
from loadtests.rig.processes import Fleet, sharers, tree_pss_mib
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report, Table
from loadtests.rig.tools import find, require
from loadtests.rig.traffic import PATH, Traffic, inference, population

MEMORY_LOAD_S: Final = 2
LARGEST_LIBRARY: Final = "libllvmlite"
ORDER: Final = (  # those that a bar divides by each other stand beside each other
    nginx.PLAIN,
    haproxy.PLAIN,
    envoy.PLAIN,
    sidecar.PLAIN,
    envoy.SPLIT,
    sidecar.SPLIT,
    sidecar.MONITORED,
    sidecar.RECORDED,
    nginx.MIRROR,
)
LIKE_FOR_LIKE: Final = {
    envoy.SPLIT: sidecar.SPLIT,
    nginx.MIRROR: sidecar.SPLIT,
    envoy.PLAIN: sidecar.PLAIN,
    nginx.PLAIN: sidecar.PLAIN,
    haproxy.PLAIN: sidecar.PLAIN,
}
OURS: Final = (sidecar.PLAIN, sidecar.SPLIT, sidecar.MONITORED, sidecar.RECORDED)
BODIES: Final = 64  # different rows that take turns

Start = Callable[[Fleet, int], list[Subject]]


def start_plain(fleet: Fleet, upstream: int) -> list[Subject]:
    routing = sidecar.plain_route(upstream)
    return [sidecar.start(fleet, "sidecar-plain", routing).subject(sidecar.PLAIN)]


def start_split(fleet: Fleet, upstream: int) -> list[Subject]:
    routing = sidecar.split_route(upstream)
    return [sidecar.start(fleet, "sidecar-split", routing).subject(sidecar.SPLIT)]


def start_monitored(fleet: Fleet, upstream: int) -> list[Subject]:
    routing = sidecar.monitored_route(upstream, _baseline(fleet))
    return [sidecar.start(fleet, "sidecar-monitored", routing).subject(sidecar.MONITORED)]


def start_recorded(fleet: Fleet, upstream: int) -> list[Subject]:
    routing = sidecar.recorded_route(upstream, _baseline(fleet), fleet.home / "records")
    return [sidecar.start(fleet, "sidecar-recorded", routing).subject(sidecar.RECORDED)]


def _baseline(fleet: Fleet) -> Path:
    baseline = fleet.home / "baseline.json"
    if not baseline.exists():
        sidecar.write_baseline(baseline)
    return baseline


def measure(chosen: argparse.Namespace) -> Report:
    for tool in ("nginx", "wrk", "envoy"):
        require(tool)
    starts: list[Start] = [
        nginx.start, envoy.start, start_plain, start_split, start_monitored, start_recorded,
    ]  # fmt: skip
    if find("haproxy"):
        starts.append(haproxy.start)
    surroundings = Surroundings()
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet).port
        bodies = [inference(row) for row in population(BODIES, seed=2)]
        script = Traffic(bodies=bodies).script(fleet.home, "inference")
        load = Load(
            script=script, path=PATH, connections=chosen.connections, seconds=chosen.seconds
        )
        memory = measure_memory(starts, fleet, upstream, load)
        subjects = [subject for start in starts for subject in start(fleet, upstream)]
        subjects.sort(key=lambda subject: ORDER.index(subject.name))
        points = [Point(subject.name, subject, load) for subject in subjects]
        rounds = take_turns(points, chosen.rounds)
    return report(rounds, memory, load, surroundings)


def measure_memory(
    starts: Sequence[Start], fleet: Fleet, upstream: int, load: Load
) -> dict[str, float]:
    """Each proxy's PSS in MiB after some load, while no other proxy runs."""
    brief = replace(load, seconds=MEMORY_LOAD_S)
    found: dict[str, float] = {}
    for start in starts:
        with Fleet(fleet.home) as alone:
            for subject in start(alone, upstream):
                run_round(subject, brief)
                found[subject.name] = tree_pss_mib(subject.pid)
                say(f"memory: {subject.name} {found[subject.name]:.1f} MiB")
                if others := sharers(subject.pid, LARGEST_LIBRARY):
                    say(f"memory: too low, {others} other processes share {LARGEST_LIBRARY}")
    return found


def report(
    rounds: Rounds, memory: Mapping[str, float], load: Load, surroundings: Surroundings
) -> Report:
    medians = {name: median_of(taken) for name, taken in rounds.items()}
    rows = []
    for name, middle in medians.items():
        cpu = [one.cpu_us for one in rounds[name]]
        rows.append([
            f"**{name}**" if name in OURS else name,
            f"{middle.cpu_us:.1f}",
            f"{min(cpu):.1f} to {max(cpu):.1f}",
            f"{middle.rate:,.0f}",
            f"{middle.p50_us / 1000:.2f}",
            f"{middle.p99_us / 1000:.2f}",
            f"{memory[name]:.1f}",
            str(middle.errors),
        ])  # fmt: skip
    table = Table(
        ("proxy", "CPU us/request", "range", "requests/s", "p50 ms", "p99 ms", "PSS MiB", "errors"),
        rows,
    )
    ratios = {
        peer: median_ratio(rounds[ours], rounds[peer])
        for peer, ours in LIKE_FOR_LIKE.items()
        if peer in rounds
    }
    monitored = median_ratio(rounds[sidecar.MONITORED], rounds[envoy.SPLIT])
    recorded = median_ratio(rounds[sidecar.RECORDED], rounds[envoy.SPLIT])
    monitor_us = _added_us(rounds, sidecar.MONITORED, to=sidecar.SPLIT)
    log_us = _added_us(rounds, sidecar.RECORDED, to=sidecar.MONITORED)
    beside = Table(
        ("like for like", "CPU per request"),
        [
            *([f"{LIKE_FOR_LIKE[peer]} / {peer}", f"{one:.2f}"] for peer, one in ratios.items()),
            [f"{sidecar.MONITORED} / {envoy.SPLIT}", f"{monitored:.2f}"],
            [f"{sidecar.RECORDED} / {envoy.SPLIT}", f"{recorded:.2f}"],
            ["what the monitor adds", f"{monitor_us:.1f} us"],
            ["what two records a request and their delivery to files add", f"{log_us:.1f} us"],
        ],
    )
    count = len(next(iter(rounds.values())))
    method = (
        f"Medians of {count} interleaved rounds of {load.seconds} s with {load.connections} "
        "connections, one worker each; ratios are medians of the ratios pair by pair."
    )
    errors = sum(medians[name].errors for name in OURS)
    return Report(
        name="compare",
        parts=[
            surroundings.describe(("nginx", "haproxy", "envoy", "wrk")) + " " + method,
            table,
            beside,
        ],
        data={
            "medians": {name: asdict(middle) for name, middle in medians.items()},
            "rounds": {name: [asdict(one) for one in taken] for name, taken in rounds.items()},
            "spread": {
                name: statistics.pstdev(one.cpu_us for one in taken)
                for name, taken in rounds.items()
            },
            "pss_mib": dict(memory),
            "ratios": ratios,
            "monitored_ratio": monitored,
            "monitor_us": monitor_us,
            "recorded_ratio": recorded,
            "log_us": log_us,
        },
        bars=[
            Bar(
                what="canary + shadow + histograms, against Envoy's mirror + canary",
                measured=ratios[envoy.SPLIT], limit=0.60, aim=0.50,
            ),
            Bar(
                what="plain forwarding with histograms, against Envoy's",
                measured=ratios[envoy.PLAIN], limit=0.70, aim=0.55,
            ),
            Bar(
                what="the same as the first with every payload read, against Envoy's",
                measured=monitored, limit=0.72, aim=0.60,
            ),
            Bar(
                what="what reading the payloads adds to a request",
                measured=monitor_us, limit=12, unit=" us",
            ),
            Bar(
                what="everything, with records delivered to files, against Envoy's",
                measured=recorded, limit=0.85, aim=0.70,
            ),
            Bar(
                what="PSS of launcher, controller and one worker",
                measured=max(memory[name] for name in OURS), limit=220, unit=" MiB",
            ),
            Bar(what="failed requests of the sidecar", measured=errors, limit=0),
        ],
    )  # fmt: skip


def _added_us(rounds: Rounds, name: str, *, to: str) -> float:
    """The CPU that one subject takes more than another, per request; the median of pairs."""
    pairs = zip(rounds[name], rounds[to], strict=True)
    return statistics.median(one.cpu_us - other.cpu_us for one, other in pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.compare", __doc__ or "", rounds=7, seconds=4)
    parser.add_argument("--connections", type=int, default=32, help="default 32")
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
