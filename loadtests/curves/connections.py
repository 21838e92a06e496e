"""1 to 1,000 busy connections, each with one request at a time."""

from __future__ import annotations

import argparse
from typing import Final

from loadtests.curves.outcome import COLUMNS, Curve, figures
from loadtests.peers import nginx
from loadtests.rig import sidecar
from loadtests.rig.command import stage
from loadtests.rig.load import Load, Point, take_turns
from loadtests.rig.report import Table
from loadtests.rig.traffic import PATH, Traffic

COUNTS: Final = (1, 8, 32, 128, 512, 1000)


def measure(chosen: argparse.Namespace) -> Curve:
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet)
        subject = sidecar.start(fleet, "sidecar", sidecar.split_route(upstream)).subject("sidecar")
        script = Traffic().script(fleet.home, "inference")
        points = [
            Point(
                f"{count:,}",
                subject,
                Load(script=script, path=PATH, connections=count, seconds=chosen.seconds),
            )
            for count in COUNTS
        ]
        rounds = take_turns(points, chosen.rounds)
    return Curve(
        heading="Busy connections",
        text=(
            "Canary and shadow on. wrk keeps every connection busy, so that beyond a few of them "
            "p50 is their number divided by the throughput: a queue, not work. The row of 1 shows "
            "the latency of an unloaded sidecar."
        ),
        table=Table(
            ("connections", *COLUMNS),
            [[point.name, *figures(rounds, point.name)] for point in points],
        ),
        rounds=rounds,
    )
