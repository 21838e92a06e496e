"""1 and 2 workers: what a further process costs, and brings."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Final

from loadtests.curves.outcome import COLUMNS, Curve, figures
from loadtests.peers import nginx
from loadtests.rig import sidecar
from loadtests.rig.command import stage
from loadtests.rig.load import Load, Point, run_round, take_turns
from loadtests.rig.processes import Fleet, by_role, pss_mib
from loadtests.rig.report import Bar, Table
from loadtests.rig.traffic import PATH, Traffic

COUNTS: Final = (1, 2)
CONNECTIONS: Final = 64
MEMORY_LOAD_S: Final = 2
FURTHER_WORKER_MIB: Final = 30.0


def measure(chosen: argparse.Namespace) -> Curve:
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet).port
        script = Traffic().script(fleet.home, "inference")
        load = Load(script=script, path=PATH, connections=CONNECTIONS, seconds=chosen.seconds)
        memory = {count: roles_mib(fleet, upstream, load, count) for count in COUNTS}
        points = []
        for count in COUNTS:
            name = f"{count}"
            running = sidecar.start(
                fleet, f"sidecar-{count}", sidecar.split_route(upstream), workers=count
            )
            points.append(Point(name, running.subject(name), load))
        rounds = take_turns(points, chosen.rounds)
    totals = {count: sum(memory[count].values()) for count in COUNTS}
    further_mib = totals[2] - totals[1]
    roles = ", ".join(f"{role} {mib:.1f}" for role, mib in memory[2].items())
    return Curve(
        heading="Workers",
        text=(
            f"{CONNECTIONS} connections, canary and shadow on; wrk and the upstream share the "
            "machine's cores, so that throughput grows only where cores are free. PSS is of each "
            f"sidecar alone, under load; with 2 workers by process, in MiB: {roles}."
        ),
        table=Table(
            ("workers", *COLUMNS, "PSS MiB"),
            [
                [f"{count}", *figures(rounds, f"{count}"), f"{totals[count]:.1f}"]
                for count in COUNTS
            ],
        ),
        rounds=rounds,
        facts={"pss_mib": memory},
        bars=[
            Bar(
                what="PSS of a further worker",
                measured=further_mib,
                limit=FURTHER_WORKER_MIB,
                unit=" MiB",
            )
        ],
    )


def roles_mib(fleet: Fleet, upstream: int, load: Load, workers: int) -> dict[str, float]:
    """PSS of each process of a sidecar that runs alone and has seen some load."""
    brief = replace(load, seconds=MEMORY_LOAD_S)
    with Fleet(fleet.home) as alone:
        routing = sidecar.split_route(upstream)
        running = sidecar.start(alone, f"sidecar-memory-{workers}", routing, workers=workers)
        run_round(running.subject("memory"), brief)
        return {role: pss_mib(pid) for role, pid in by_role(running.pid).items()}
