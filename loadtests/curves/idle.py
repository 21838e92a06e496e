"""10,000 idle connections beside 32 busy ones."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from loadtests.curves.outcome import COLUMNS, Curve, figures
from loadtests.peers import nginx
from loadtests.rig import sidecar
from loadtests.rig.addresses import HOST
from loadtests.rig.command import stage
from loadtests.rig.idle import READY
from loadtests.rig.load import Load, Point, run_round, take_turns
from loadtests.rig.processes import Fleet, await_line, tree_pss_mib
from loadtests.rig.progress import say
from loadtests.rig.report import Table
from loadtests.rig.traffic import PATH, Traffic

CONNECTIONS: Final = 32
WITHOUT: Final = "none"


def measure(chosen: argparse.Namespace) -> Curve:
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet).port
        script = Traffic().script(fleet.home, "inference")
        load = Load(script=script, path=PATH, connections=CONNECTIONS, seconds=chosen.seconds)
        # Two sidecars, so that both states can take turns.
        routing = sidecar.split_route(upstream)
        alone = sidecar.start(fleet, "sidecar-alone", routing)
        crowded = sidecar.start(fleet, "sidecar-crowded", routing)
        run_round(crowded.subject("crowded"), load)
        before_mib = tree_pss_mib(crowded.pid)
        held = hold(fleet, crowded.port, chosen.idle)
        growth_mib = tree_pss_mib(crowded.pid) - before_mib
        say(f"{held:,} idle connections are open")
        points = [
            Point(WITHOUT, alone.subject(WITHOUT), load),
            Point(f"{held:,}", crowded.subject("crowded"), load),
        ]
        rounds = take_turns(points, chosen.rounds)
    return Curve(
        heading="Idle connections",
        text=(
            f"{CONNECTIONS} busy connections, canary and shadow on. Each idle connection has had "
            f"one request answered; together they take {growth_mib:.0f} MiB of PSS, "
            f"{growth_mib * 1024 / held:.1f} KiB each."
        ),
        table=Table(
            ("idle connections", *COLUMNS),
            [[point.name, *figures(rounds, point.name)] for point in points],
        ),
        rounds=rounds,
        facts={"idle": held, "idle_pss_mib": growth_mib},
    )


def hold(fleet: Fleet, port: int, count: int) -> int:
    """Open idle connections in a process of its own; returns how many the system allowed."""
    command = [sys.executable, "-m", "loadtests.rig.idle", HOST, str(port), str(count)]
    holder = fleet.start("idle", command)
    return int(await_line(holder, READY, timeout_s=120).removeprefix(READY))
