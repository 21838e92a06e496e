"""1 to 1,000 busy connections, each with one request at a time."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Final

from loadtests.curves.outcome import COLUMNS, Curve, figures
from loadtests.peers import nginx
from loadtests.rig import sidecar
from loadtests.rig.command import stage
from loadtests.rig.load import Load, Point, take_turns
from loadtests.rig.report import Table
from loadtests.rig.traffic import PATH, Traffic

DIRECT: Final = "1, without the sidecar"
COUNTS: Final = (1, 8, 32, 128, 512, 1000)


def measure(chosen: argparse.Namespace) -> Curve:
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet)
        routing = sidecar.split_route(upstream.port)
        subject = sidecar.start(fleet, "sidecar", routing).subject(sidecar.SPLIT)
        script = Traffic().script(fleet.home, "inference")
        load = Load(script=script, path=PATH, connections=1, seconds=chosen.seconds)
        points = [Point(DIRECT, upstream, load)]
        points += [
            Point(f"{count:,}", subject, replace(load, connections=count)) for count in COUNTS
        ]
        rounds = take_turns(points, chosen.rounds)
    return Curve(
        heading="Busy connections",
        text=(
            "Canary and shadow on. wrk keeps every connection busy, so that beyond a few of them "
            "p50 is their number divided by the throughput: a queue, not work. What an unloaded "
            "sidecar adds to the latency is the difference of the first two rows; the CPU of the "
            "first is the upstream's own."
        ),
        table=Table(
            ("connections", *COLUMNS),
            [[point.name, *figures(rounds, point.name)] for point in points],
        ),
        rounds=rounds,
    )
