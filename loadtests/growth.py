"""What a request costs as bodies, connections, models and workers grow.

Each curve is measured on its own, its points in turns. Needs nginx and wrk; with envoy installed,
the curve of bodies shows it beside. 10,000 idle connections need as many file descriptors
(`ulimit -Hn`) in two processes; with fewer, as many as allowed are held.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

from loadtests.curves import bodies, connections, idle, models, workers
from loadtests.curves.outcome import Curve
from loadtests.rig.command import options, run
from loadtests.rig.machine import Surroundings
from loadtests.rig.progress import say
from loadtests.rig.report import Report, Table

CURVES: Final[dict[str, Callable[[argparse.Namespace], Curve]]] = {
    "bodies": bodies.measure,
    "connections": connections.measure,
    "idle": idle.measure,
    "models": models.measure,
    "workers": workers.measure,
}


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    curves: dict[str, Curve] = {}
    for name in chosen.curves:
        say(f"curve: {name}")
        curves[name] = CURVES[name](chosen)
    described = surroundings.describe(("nginx", "envoy", "wrk"))
    parts: list[str | Table] = [
        f"{described} Medians of {chosen.rounds} interleaved rounds of {chosen.seconds} s."
    ]
    for curve in curves.values():
        parts += [f"### {curve.heading}", curve.text, curve.table]
    return Report(
        name="growth",
        parts=parts,
        data={name: curve.data() for name, curve in curves.items()},
        bars=[bar for curve in curves.values() for bar in curve.bars],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.growth", __doc__ or "", rounds=5, seconds=3)
    parser.add_argument(
        "--curves", nargs="+", choices=CURVES, default=list(CURVES), help="default: all"
    )
    parser.add_argument("--idle", type=int, default=10_000, help="default 10,000")
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
