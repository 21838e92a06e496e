"""Whether a sink that is down, hangs, refuses or is slow moves the primary's latency.

One sidecar with a journal and an `http` sink, and receivers that take everything (`taking`), refuse
connections (`down`), accept and never answer (`hanging`), answer 503 (`refusing`), or take each
batch half a second late (`slow`). They take turns, round by round and in alternating order: the
sink's URL stands in a file, in which another receiver's is written before each turn. Requests come
at a fixed rate. A kind's p99 is divided by that of `taking` in the same round; the medians of these
ratios are what counts. A receiver that takes everything has a second turn in each round: its ratio
is 1 but for what the machine adds. After each turn the receiver takes all, until nothing waits.

The sink is less patient than by default, so that in the seconds of a turn it tries, fails and tries
again. Beside it stands what the books say: records logged during a turn, taken until its end, and
attempts that failed; what the controller took of a CPU meanwhile; and by how much the resident
memory of all the sidecar's processes grew in the turn in which it grew most.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.rig import bad_models, sidecar
from loadtests.rig.addresses import HOST
from loadtests.rig.bad_models import ABSENT
from loadtests.rig.command import options, run, stage
from loadtests.rig.machine import Surroundings
from loadtests.rig.paced import Paced, run_paced
from loadtests.rig.processes import Fleet, ProcessFailedError, by_role, cpu_time, tree_rss_mib
from loadtests.rig.report import Bar, Report, Table
from loadtests.rig.traffic import PATH
from loadtests.rig.turns import COLUMNS, Turns, take_turns

TAKING: Final = "taking"
AGAIN: Final = "taking, again"
RECEIVERS: Final[Mapping[str, str]] = {
    TAKING: "good",
    AGAIN: "good",
    "down": ABSENT,
    "hanging": "hang",
    "refusing": "refuse",
    "slow": "late",
}
"""Each kind, and which of the rig's models behaves like it."""

IMPATIENT: Final = {
    "batch_age": "200ms",
    "timeout": "1s",
    "retry": {"first": "100ms", "longest": "1s"},
}
CAPTURED: Final = 0.1  # share of the exchanges whose bodies are recorded
LIMIT: Final = 1.10
MOST_GROWTH_MIB: Final = 20
WARM_UP_S: Final = 3
REST_S: Final = 30.0  # until nothing waits
MISSING: Final = ("pending", "dead_lettered", "expired")

Json = Any


@dataclass(slots=True)
class Beside:
    """What was seen of the sidecar in all turns of a kind, but for latency."""

    logged: int = 0
    taken: int = 0  # until the end of each turn
    failed: int = 0  # attempts
    controller_cpu_s: float = 0.0
    grown_mib: float = 0.0  # in the turn in which it grew most


class Stage:
    """A sidecar, and the receivers that its sink can be led to."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._ports = bad_models.start(fleet, *(one for one in RECEIVERS.values() if one != ABSENT))
        self._url_file: Path = fleet.home / "url"
        self.lead_to(TAKING)
        self.sidecar = sidecar.start(
            fleet, "sidecar", recorded_route(self._ports["good"], self._url_file)
        )
        self._controller = by_role(self.sidecar.pid)["sidecar-control"]

    def lead_to(self, kind: str) -> None:
        """From its next attempt on the sink talks to this receiver."""
        new = self._url_file.with_suffix(".new")
        new.write_text(f"http://{HOST}:{self._ports[RECEIVERS[kind]]}/")
        new.replace(self._url_file)

    def turn(self, kind: str, beside: Beside, *, rate: int, seconds: int) -> Paced:
        """Load while the receiver is of this kind, and a rest while it takes everything."""
        logged, taken, failed = self._counts()
        memory_mib = tree_rss_mib(self.sidecar.pid)
        cpu = cpu_time(self._controller)
        self.lead_to(kind)
        done = run_paced(self._fleet, self.sidecar.port, PATH, rate=rate, seconds=seconds)
        beside.controller_cpu_s += (cpu_time(self._controller) - cpu).total_s
        beside.grown_mib = max(beside.grown_mib, tree_rss_mib(self.sidecar.pid) - memory_mib)
        counted = self._counts()
        self.lead_to(TAKING)
        self.rest()
        beside.taken += counted[1] - taken
        beside.failed += counted[2] - failed
        beside.logged += self._counts()[0] - logged
        return done

    def rest(self) -> Json:
        """Wait until nothing waits; returns the books. Raises ProcessFailedError."""
        end = time.monotonic() + REST_S
        while True:
            books = self.sidecar.call("GET", "/api/v1/log/books")
            if at_rest(books):
                return books
            if time.monotonic() > end:
                raise ProcessFailedError(f"the books do not come to rest: {books}")
            time.sleep(0.2)

    def _counts(self) -> tuple[int, int, int]:
        """Records logged, records that the sink has taken, and attempts that failed."""
        books = self.sidecar.call("GET", "/api/v1/log/books")
        logged = sum(one["logged"] for one in books["requests"])
        return (
            logged,
            self._delivery("sidecar_delivery_total", "delivered"),
            self._delivery("sidecar_delivery_attempts_total", "failed"),
        )

    def _delivery(self, name: str, outcome: str) -> int:
        return sum(
            count for labels, count in self.sidecar.metric(name) if labels["outcome"] == outcome
        )


def recorded_route(upstream: int, url_file: Path) -> dict[str, Any]:
    """One model, one route, everything recorded, and a sink whose URL is in a file."""
    routing = sidecar.plain_route(upstream)
    routing["routes"][0]["capture"] = {"bodies": CAPTURED}
    sink = {"name": "events", "type": "http", "url_file": str(url_file), **IMPATIENT}
    return {**routing, "journal": {"enabled": True}, "sinks": [sink]}


def at_rest(books: Json) -> bool:
    """Whether all that happened is logged, and all that is logged was taken."""
    return all(one["requests"] == one["logged"] for one in books["requests"]) and not any(
        one[part] for one in books["sinks"] for part in MISSING
    )


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    with stage() as fleet:
        staged = Stage(fleet)
        for kind in RECEIVERS:
            staged.turn(kind, Beside(), rate=chosen.rate, seconds=WARM_UP_S)
        memory_mib = tree_rss_mib(staged.sidecar.pid)
        beside = {kind: Beside() for kind in RECEIVERS}
        turns = take_turns(
            list(RECEIVERS),
            chosen.rounds,
            lambda kind: staged.turn(kind, beside[kind], rate=chosen.rate, seconds=chosen.seconds),
        )
        books = staged.rest()
        grown_mib = tree_rss_mib(staged.sidecar.pid) - memory_mib
    offered = (chosen.rounds * chosen.seconds + WARM_UP_S) * chosen.rate * len(RECEIVERS)
    require_balance(books, offered)
    return report(surroundings, chosen, turns, beside, grown_mib)


def require_balance(books: Json, offered: int) -> None:
    """Raises ProcessFailedError unless each request was logged once, and each record taken once."""
    logged = sum(one["logged"] for one in books["requests"])
    delivered = sum(one["delivered"] for one in books["sinks"])
    if not offered == logged == delivered:
        raise ProcessFailedError(
            f"{offered} requests were sent, {logged} logged, {delivered} taken: {books}"
        )


def report(
    surroundings: Surroundings,
    chosen: argparse.Namespace,
    turns: Turns,
    beside: Mapping[str, Beside],
    grown_mib: float,
) -> Report:
    rows = [
        [
            kind,
            *turns.row(kind),
            f"{seen.logged:,}",
            f"{seen.taken:,}",
            f"{seen.failed:,}",
            f"{seen.controller_cpu_s / (chosen.rounds * chosen.seconds):.1%}",
            f"{seen.grown_mib:.1f}",
        ]
        for kind, seen in beside.items()
    ]
    return Report(
        name="sink-outages",
        parts=[
            surroundings.describe()
            + f" {chosen.rate} requests a second, {chosen.rounds} rounds of {chosen.seconds} s, "
            f"bodies of {CAPTURED:.0%} recorded.",
            Table(
                (
                    *("receiver", *COLUMNS, "logged", "taken by then", "attempts failed"),
                    *("controller's CPU", "grown MiB"),
                ),
                rows,
            ),
        ],
        data={
            **turns.data(),
            "beside": {kind: asdict(seen) for kind, seen in beside.items()},
            "grown_mib": grown_mib,
        },
        bars=[
            *(
                Bar(
                    what=f"p99 with a receiver that is `{kind}`, to p99 with one that takes all",
                    measured=turns.ratio(kind, 0.99),
                    limit=LIMIT,
                )
                for kind in turns.others
                if kind != AGAIN
            ),
            Bar(
                what="growth of resident memory from the first turn to the last, all processes",
                measured=grown_mib,
                limit=MOST_GROWTH_MIB,
                unit=" MiB",
            ),
        ],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.sink_outages", __doc__ or "", rounds=7, seconds=3)
    parser.add_argument("--rate", type=int, default=500, help="requests a second; default 500")
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
