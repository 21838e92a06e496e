"""1 to 8 models, each with a route of its own; requests go to all of them in turn."""

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

COUNTS: Final = (1, 2, 4, 8)
CONNECTIONS: Final = 32


def measure(chosen: argparse.Namespace) -> Curve:
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet).port
        points = []
        for count in COUNTS:
            name = f"{count}"
            running = sidecar.start(
                fleet, f"sidecar-{count}", sidecar.routes_by_path(upstream, count)
            )
            paths = [f"/{number}{PATH}" for number in range(1, count + 1)]
            script = Traffic(paths=paths).script(fleet.home, f"models-{count}")
            load = Load(
                script=script, path=paths[0], connections=CONNECTIONS, seconds=chosen.seconds
            )
            points.append(Point(name, running.subject(name), load))
        rounds = take_turns(points, chosen.rounds)
    return Curve(
        heading="Models",
        text=(
            f"{CONNECTIONS} connections; a route by path for every model, so that the last of them "
            "is found after all others were compared."
        ),
        table=Table(
            ("models", *COLUMNS),
            [[point.name, *figures(rounds, point.name)] for point in points],
        ),
        rounds=rounds,
    )
