"""How long a rollback takes under load, until every worker has confirmed it.

Requests go on at full speed while a canary is set to 50 % and taken off again, over and over. What
is timed is the answer of `POST /api/v1/rollback`, as the operator sees it: decided, persisted, sent
to every worker, confirmed by all. After each answer a request on a new connection to each listener
must be answered by the primary: the confirmation is believed only because it was checked.

Needs nginx and wrk. `--rounds` is the number of rollbacks.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from loadtests.peers import nginx
from loadtests.rig import sidecar
from loadtests.rig.addresses import HOST
from loadtests.rig.command import options, run, stage
from loadtests.rig.machine import Surroundings
from loadtests.rig.processes import Fleet, ProcessFailedError, Started
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report, Table
from loadtests.rig.tools import require
from loadtests.rig.traffic import HEADERS, INFERENCE, PATH, Traffic

CANARY: Final = "next"
CANARY_PERCENT: Final = 50
CHECKS: Final = 8  # requests after each rollback: at 50 %, a canary left in place hides from them
# with a chance of 1 in 256 per rollback, and of none over a hundred of them.
BETWEEN_S: Final = 0.05
LIMIT_MS: Final = 100.0


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    told: list[float] = []
    seen: list[float] = []
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet).port
        running = sidecar.start(
            fleet, "sidecar", sidecar.split_route(upstream), workers=chosen.workers
        )
        load = start_load(fleet, running, chosen)
        time.sleep(1.0)
        for number in range(chosen.rounds):
            canary_on(running)
            time.sleep(BETWEEN_S)
            before = time.perf_counter()
            answer = running.call("POST", "/api/v1/rollback")
            seen.append((time.perf_counter() - before) * 1000)
            told.append(confirmed(answer, chosen.workers))
            check_answers(running)
            if (number + 1) % 20 == 0:
                say(f"rollback {number + 1}/{chosen.rounds}: {statistics.median(seen):.1f} ms")
        load.check()
    rows = [
        [name, *(f"{value:.1f}" for value in spread(times))]
        for name, times in (
            ("until the operator has the answer", seen),
            ("until the last worker has confirmed", told),
        )
    ]
    return Report(
        name="rollback",
        parts=[
            surroundings.describe(("nginx", "wrk"))
            + f" {chosen.rounds} rollbacks, {chosen.workers} workers, {chosen.connections} busy "
            "connections.",
            Table(("duration of a rollback, ms", "median", "p99", "max"), rows),
        ],
        data={"answered_ms": seen, "confirmed_ms": told, "workers": chosen.workers},
        bars=[
            Bar(
                what="p99 until the last worker has confirmed a rollback, under load",
                measured=spread(told)[1],
                limit=LIMIT_MS,
                unit=" ms",
            )
        ],
    )


def start_load(fleet: Fleet, running: sidecar.Sidecar, chosen: argparse.Namespace) -> Started:
    """wrk in the background, until it is ended."""
    script = Traffic().script(fleet.home, "inference")
    url = f"http://{HOST}:{running.port}{PATH}"
    command = [
        require("wrk"), "-t1", f"-c{chosen.connections}", "-d1h", "-s", str(script), url,
    ]  # fmt: skip
    return fleet.start("wrk", command)


def canary_on(running: sidecar.Sidecar) -> None:
    answer = running.call(
        "POST", "/api/v1/weights", {"route": "all", "weights": {CANARY: CANARY_PERCENT}}
    )
    if "error" in answer:
        raise ProcessFailedError(f"the sidecar refused the weights: {answer}")


def confirmed(answer: dict[str, Any], workers: int) -> float:
    """How long the sidecar itself says it took. Raises when a worker has not confirmed."""
    acknowledged = answer.get("workers", {}).get("acknowledged", [])
    if len(acknowledged) != workers:
        raise ProcessFailedError(f"not every worker has confirmed: {answer}")
    return float(answer["duration_ms"])


def check_answers(running: sidecar.Sidecar) -> None:
    """Requests that begin after the confirmation are answered by the primary."""
    for _ in range(CHECKS):
        connection = http.client.HTTPConnection(HOST, running.port, timeout=10)
        try:
            connection.request("POST", PATH, INFERENCE, HEADERS)
            model = connection.getresponse().headers["X-Sidecar-Model"]
        finally:
            connection.close()
        if model == CANARY:
            raise ProcessFailedError("the canary answered after the rollback was confirmed")


def spread(times: Sequence[float]) -> tuple[float, float, float]:
    """Median, 99th percentile (nearest rank) and maximum."""
    ordered = sorted(times)
    rank = max(-(-len(ordered) * 99 // 100) - 1, 0)
    return statistics.median(ordered), ordered[rank], ordered[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.rollback", __doc__ or "", rounds=200, seconds=None)
    parser.add_argument("--workers", type=int, default=2, help="default 2")
    parser.add_argument("--connections", type=int, default=32, help="default 32")
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
