"""Whether a shadow that hangs, resets, drips, floods or is absent moves the primary's latency.

One sidecar, one route per kind of shadow, all with the same good primary; `off` has no shadow.
Requests come at a fixed rate, far below what the sidecar can take: at saturation every microsecond
that a copy costs would show as latency, whatever the shadow does with it. The kinds take turns,
round by round and in alternating order, and a kind's p99 is divided by that of `off` in the same
round; the medians of these ratios are what counts. After ten failures the breaker leaves a shadow
alone and spares the primary the rest; `--no-breaker` shows what it spares.

Beside it stands what the sidecar's own books say of each shadow: every copy has an outcome.
"""

from __future__ import annotations

import argparse
import http.client
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtests.rig import sidecar
from loadtests.rig.addresses import HOST, free_ports
from loadtests.rig.bad_models import KINDS, READY
from loadtests.rig.command import options, run, stage
from loadtests.rig.machine import Surroundings
from loadtests.rig.paced import Paced, run_paced
from loadtests.rig.processes import Fleet, ProcessFailedError, await_line
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report, Table

OFF: Final = "off"
GOOD: Final = "good"
ABSENT: Final = "absent"
ORDER: Final = (OFF, GOOD, "hang", "reset", "slow", "flood", ABSENT)
LIMIT: Final = 1.10
WARM_UP_S: Final = 1
DEADLINE: Final = "2s"  # of a copy

Runs = dict[str, list[Paced]]


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    with stage() as fleet:
        routes = routing(start_models(fleet), breaker=chosen.breaker)
        running = sidecar.start(fleet, "sidecar", routes)
        for kind in ORDER:
            run_paced(fleet, running.port, path(kind), rate=chosen.rate, seconds=WARM_UP_S)
        runs: Runs = {kind: [] for kind in ORDER}
        for number in range(chosen.rounds):
            for kind in ORDER if number % 2 == 0 else reversed(ORDER):
                done = run_paced(
                    fleet, running.port, path(kind), rate=chosen.rate, seconds=chosen.seconds
                )
                runs[kind].append(done)
                p50, p99 = done.quantile_us(0.5), done.quantile_us(0.99)
                say(f"round {number + 1}/{chosen.rounds}: {kind}: p50 {p50:.0f}, p99 {p99:.0f} us")
        offered = (chosen.rounds * chosen.seconds + WARM_UP_S) * chosen.rate
        books = settled(running, offered)
    return report(surroundings, chosen, runs, books)


def report(
    surroundings: Surroundings,
    chosen: argparse.Namespace,
    runs: Runs,
    books: Mapping[str, Mapping[str, int]],
) -> Report:
    ratios = {kind: ratio(runs, kind, 0.99) for kind in ORDER if kind != OFF}
    rows = [
        [
            kind,
            f"{middle(runs[kind], 0.5):.0f}",
            f"{middle(runs[kind], 0.99):.0f}",
            "" if kind == OFF else f"{ratio(runs, kind, 0.5):.2f}",
            "" if kind == OFF else f"{ratios[kind]:.2f}",
            str(sum(one.failed for one in runs[kind])),
            ", ".join(f"{outcome} {count}" for outcome, count in books.get(kind, {}).items()),
        ]
        for kind in ORDER
    ]
    return Report(
        name="shadow-faults",
        parts=[
            surroundings.describe()
            + f" {chosen.rate} requests a second, {chosen.rounds} rounds of {chosen.seconds} s; "
            f"copies have {DEADLINE}.",
            Table(
                ("shadow", "p50 us", "p99 us", "p50 ratio", "p99 ratio", "failed", "copies"), rows
            ),
        ],
        data={
            "p99_ratio": ratios,
            "p50_us": {kind: [one.quantile_us(0.5) for one in runs[kind]] for kind in ORDER},
            "p99_us": {kind: [one.quantile_us(0.99) for one in runs[kind]] for kind in ORDER},
            "failed": {kind: sum(one.failed for one in runs[kind]) for kind in ORDER},
            "copies": books,
        },
        bars=[
            Bar(what=f"p99 with a shadow that is `{kind}`, to p99 without", measured=r, limit=LIMIT)
            for kind, r in ratios.items()
            if kind != GOOD
        ],
    )


def middle(runs: Sequence[Paced], share: float) -> float:
    """The median over the rounds of a quantile, in microseconds."""
    return statistics.median(one.quantile_us(share) for one in runs)


def ratio(runs: Runs, kind: str, share: float) -> float:
    """The median of the ratios to `off`, round by round."""
    return statistics.median(
        one.quantile_us(share) / off.quantile_us(share)
        for one, off in zip(runs[kind], runs[OFF], strict=True)
    )


def start_models(fleet: Fleet) -> dict[str, int]:
    """Start a model of each kind; returns their ports. Nobody listens on that of `absent`."""
    kinds = (*KINDS, ABSENT)
    ports = dict(zip(kinds, free_ports(len(kinds)), strict=True))
    places = [f"{kind}={port}" for kind, port in ports.items() if kind != ABSENT]
    started = fleet.start(
        "models", [sys.executable, "-m", "loadtests.rig.bad_models", HOST, *places]
    )
    await_line(started, READY, timeout_s=20)
    return ports


def routing(ports: Mapping[str, int], *, breaker: bool) -> dict[str, Any]:
    """A route per kind: the same primary, a shadow of that kind."""
    models = {
        kind: {"url": f"http://{HOST}:{port}", "breaker": {"failures": 10 if breaker else 0}}
        for kind, port in ports.items()
    }
    routes = []
    for kind in ORDER:
        shadows = [] if kind == OFF else [{"model": kind, "deadline": DEADLINE}]
        routes.append(
            {
                "name": kind,
                "match": {"path_prefix": path(kind)},
                "primary": "primary",
                "shadows": shadows,
            }
        )
    return {"models": {"primary": models[GOOD], **models}, "routes": routes}


def path(kind: str) -> str:
    return f"/{kind}/"


def settled(running: sidecar.Sidecar, offered: int) -> dict[str, dict[str, int]]:
    """The outcomes of all copies, once each has one. Raises when the books do not balance."""
    end = time.monotonic() + 15
    while True:
        found = outcomes(running)
        if all(sum(one.values()) == offered for one in found.values()):
            return found
        if time.monotonic() > end:
            raise ProcessFailedError(f"{offered} copies were offered to each shadow: {found}")
        time.sleep(0.2)


def outcomes(running: sidecar.Sidecar) -> dict[str, dict[str, int]]:
    """What became of the copies so far, by shadow, from the sidecar's metrics."""
    connection = http.client.HTTPConnection(HOST, running.admin_port, timeout=15)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    found: dict[str, dict[str, int]] = {kind: {} for kind in ORDER if kind != OFF}
    for labels, value in re.findall(r"^sidecar_shadow_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if float(value):
            found[named["model"]][named["outcome"]] = int(float(value))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.shadow_faults", __doc__ or "", rounds=7, seconds=4)
    parser.add_argument("--rate", type=int, default=500, help="requests a second; default 500")
    parser.add_argument("--no-breaker", dest="breaker", action="store_false", help="try each copy")
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
