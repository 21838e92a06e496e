"""How long from the command to readiness, with kernels compiled before and without.

Cold: an empty cache of compiled kernels each time, as on the first start after an installation.
Warm: the cache of the start before, as in the container image. The clock starts before the process
is made and stops with the first 200 of `/readyz`, which is given once every worker has its routes;
it is asked every 5 ms. The file cache of the operating system is warm in both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtests.rig import sidecar
from loadtests.rig.addresses import await_ok, free_ports
from loadtests.rig.command import options, run, stage
from loadtests.rig.machine import Surroundings
from loadtests.rig.processes import Fleet
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report, Table

LIMITS_S: Final = {"warm": 2.0, "cold": 4.0}


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    times: dict[str, list[float]] = {"warm": [], "cold": []}
    with stage() as fleet:
        (nobody,) = free_ports(1)  # models need not be there for a sidecar to be ready
        warm = fleet.home / "kernels"
        time_start(fleet, "fill", nobody, warm)
        for number in range(chosen.rounds):
            # In turns, so that a drift of the machine hits both.
            times["warm"].append(time_start(fleet, f"warm-{number}", nobody, warm))
            cold = fleet.home / f"kernels-{number}"
            times["cold"].append(time_start(fleet, f"cold-{number}", nobody, cold))
            say(
                f"start {number + 1}/{chosen.rounds}: "
                + ", ".join(f"{kind} {taken[-1]:.2f} s" for kind, taken in times.items())
            )
    medians = {kind: statistics.median(taken) for kind, taken in times.items()}
    return Report(
        name="startup",
        parts=[
            surroundings.describe() + f" {chosen.rounds} starts of each kind, in turns.",
            Table(
                ("seconds until ready", "median", "fastest", "slowest"),
                [
                    [f"{kind} cache of kernels", f"{medians[kind]:.2f}", f"{min(taken):.2f}",
                     f"{max(taken):.2f}"]
                    for kind, taken in times.items()
                ],
            ),
        ],
        data={"seconds": times},
        bars=[
            Bar(
                what=f"seconds until ready, {kind} cache of kernels",
                measured=medians[kind],
                limit=limit,
                unit=" s",
            )
            for kind, limit in LIMITS_S.items()
        ],
    )  # fmt: skip


def time_start(fleet: Fleet, name: str, upstream: int, kernels: Path) -> float:
    """Start a sidecar, wait until it is ready, end it; returns the seconds until ready."""
    with Fleet(fleet.home) as alone:
        before = time.perf_counter()
        running = sidecar.launch(
            alone,
            name,
            sidecar.split_route(upstream),
            environ={"NUMBA_CACHE_DIR": str(kernels)},
        )
        await_ok(running.started, running.admin_port, "/readyz")
        return time.perf_counter() - before


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.startup", __doc__ or "", rounds=9, seconds=None)
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
