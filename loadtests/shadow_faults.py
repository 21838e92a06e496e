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
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtests.rig import bad_models, sidecar
from loadtests.rig.addresses import HOST
from loadtests.rig.bad_models import ABSENT
from loadtests.rig.command import options, run, stage
from loadtests.rig.machine import Surroundings
from loadtests.rig.paced import run_paced
from loadtests.rig.processes import ProcessFailedError
from loadtests.rig.report import Bar, Report, Table
from loadtests.rig.turns import COLUMNS, Turns, take_turns

OFF: Final = "off"
GOOD: Final = "good"
SHADOWS: Final = (GOOD, "hang", "reset", "slow", "flood")
ORDER: Final = (OFF, *SHADOWS, ABSENT)
LIMIT: Final = 1.10
WARM_UP_S: Final = 1
DEADLINE: Final = "2s"  # of a copy


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    with stage() as fleet:
        routes = routing(bad_models.start(fleet, *SHADOWS), breaker=chosen.breaker)
        running = sidecar.start(fleet, "sidecar", routes)
        for kind in ORDER:
            run_paced(fleet, running.port, path(kind), rate=chosen.rate, seconds=WARM_UP_S)
        turns = take_turns(
            ORDER,
            chosen.rounds,
            lambda kind: run_paced(
                fleet, running.port, path(kind), rate=chosen.rate, seconds=chosen.seconds
            ),
        )
        offered = (chosen.rounds * chosen.seconds + WARM_UP_S) * chosen.rate
        books = settled(running, offered)
    return report(surroundings, chosen, turns, books)


def report(
    surroundings: Surroundings,
    chosen: argparse.Namespace,
    turns: Turns,
    books: Mapping[str, Mapping[str, int]],
) -> Report:
    rows = [
        [
            kind,
            *turns.row(kind),
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
            Table(("shadow", *COLUMNS, "copies"), rows),
        ],
        data={**turns.data(), "copies": books},
        bars=[
            Bar(
                what=f"p99 with a shadow that is `{kind}`, to p99 without",
                measured=turns.ratio(kind, 0.99),
                limit=LIMIT,
            )
            for kind in turns.others
            if kind != GOOD
        ],
    )


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
    found: dict[str, dict[str, int]] = {kind: {} for kind in ORDER if kind != OFF}
    for labels, count in running.metric("sidecar_shadow_total"):
        if count:
            found[labels["model"]][labels["outcome"]] = count
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.shadow_faults", __doc__ or "", rounds=7, seconds=4)
    parser.add_argument("--rate", type=int, default=500, help="requests a second; default 500")
    parser.add_argument("--no-breaker", dest="breaker", action="store_false", help="try each copy")
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
