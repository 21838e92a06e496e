"""What looking into bodies costs: CPU per request with the monitor on and off, and latency.

Two sidecars stand in front of the same nginx: a canary of 5 %, a shadow of everything, and
histograms of latency both have; one of them reads every body besides, over the columns of a
baseline with 30 features. They take turns, round by round and in alternating order, and differences
and ratios are taken pair by pair.

Latency is that of a fixed rate, half of what the sidecar with the monitor took in a closed loop:
at saturation every microsecond of CPU would show as time in a queue.

Growth is measured in one process, without sockets: the same exchanges are read over watches with
more and more features and segments. There, cost is CPU time and not affected by neighbours'
latencies; still, only ratios within one run compare.

Needs nginx and wrk.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from loadtests.peers import nginx
from loadtests.rig import sidecar, traffic
from loadtests.rig.command import options, run, stage
from loadtests.rig.load import Load, Point, Rounds, median_of, take_turns
from loadtests.rig.machine import Surroundings
from loadtests.rig.paced import Paced, run_paced
from loadtests.rig.processes import Fleet
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report, Table
from loadtests.rig.traffic import PATH, Traffic, inference, population
from sidecar.baseline import measure_columns
from sidecar.baseline.edges import numeric_column
from sidecar.board import Board, BoardLayout
from sidecar.config.monitoring import MonitorSettings
from sidecar.config.observation import ObservationPlan, SegmentPlan, Watch
from sidecar.model import CellKey, ColumnPart, Role
from sidecar.monitor import Ended, Monitor, Request
from sidecar.payload import PayloadSettings, Source
from sidecar.proxy.chunked import payload_of
from sidecar.sketch import AreaLayout

BODIES: Final = 64  # different rows that take turns
CONNECTIONS: Final = 32
MOST_PACED: Final = 3_000  # requests a second that the generator of paced load keeps up with
FEATURES: Final = (1, 3, 10, 30, 100, 300)
SEGMENTS: Final = (0, 1, 5, 20, 50)
USUAL_FEATURES: Final = 30
READINGS: Final = 512  # exchanges of one round of growth
GROWTH_ROUNDS: Final = 15

CPU_LIMIT_US: Final = 12
P99_LIMIT: Final = 1.10
BLOCK_LIMIT_KB: Final = 128


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    features = {count: reading_cost(count, 0) for count in FEATURES}
    segments = {count: reading_cost(USUAL_FEATURES, count) for count in SEGMENTS}
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet).port
        baseline = fleet.home / "baseline.json"
        sidecar.write_baseline(baseline)
        routings = {
            sidecar.SPLIT: sidecar.split_route(upstream),
            sidecar.MONITORED: sidecar.monitored_route(upstream, baseline),
        }
        running = {
            name: sidecar.start(fleet, f"sidecar-{number}", routing)
            for number, (name, routing) in enumerate(routings.items())
        }
        bodies = [inference(row) for row in population(BODIES, seed=2)]
        load = Load(
            script=Traffic(bodies=bodies).script(fleet.home, "inference"),
            path=PATH,
            connections=CONNECTIONS,
            seconds=chosen.seconds,
        )
        points = [Point(name, one.subject(name), load) for name, one in running.items()]
        rounds = take_turns(points, chosen.rounds)
        rate = min(int(median_of(rounds[sidecar.MONITORED]).rate / 2), MOST_PACED)
        paced = take_turns_paced(fleet, running, rate, chosen)
    return report(surroundings, chosen, rounds, paced, rate, features, segments)


def take_turns_paced(
    fleet: Fleet, running: dict[str, sidecar.Sidecar], rate: int, chosen: argparse.Namespace
) -> dict[str, list[Paced]]:
    """Rounds at a fixed rate, interleaved, every second time in reverse."""
    runs: dict[str, list[Paced]] = {name: [] for name in running}
    for number in range(chosen.rounds):
        for name in list(running) if number % 2 == 0 else list(reversed(running)):
            done = run_paced(fleet, running[name].port, PATH, rate=rate, seconds=chosen.seconds)
            runs[name].append(done)
            say(f"round {number + 1}/{chosen.rounds}: {name}: p99 {done.quantile_us(0.99):.0f} us")
    return runs


# -- growth ----------------------------------------------------------------------------------------


def reading_cost(features: int, segments: int) -> tuple[float, float]:
    """Microseconds of CPU to read and count one exchange, and KB of the board per block."""
    layout, watch = watch_of(features, segments)
    board = Board.allocate(
        BoardLayout(workers=1, cells=1, model_rows=1, arena_words=layout.words, watch_slots=1)
    )
    monitor = Monitor(
        board.recorder(0),
        dechunk=payload_of,
        clock_ns=time.perf_counter_ns,
        wall_ns=time.time_ns,
        random=lambda: 0.5,
        soon=lambda _: None,
        later=lambda _, __: None,
    )
    plan = ObservationPlan(version=1, settings=MonitorSettings(), watches=(watch,))
    monitor.install(plan, [watch.key])
    wires = [wire_of(row, number) for number, row in enumerate(rows_of(features, BODIES))]
    answer = traffic.PREDICTION.encode()
    best_s = float("inf")
    for _ in range(GROWTH_ROUNDS):
        for number in range(READINGS):
            wire, body_at = wires[number % BODIES]
            watcher = monitor.watchers[0]
            assert watcher is not None
            request = Request(wire, body_at, PATH.encode())
            monitor.offer(Ended(request, watcher, 0, 1, 200, b"", answer, 0, 1_000_000 + number))
        began_s = time.process_time()
        monitor.catch_up()
        best_s = min(best_s, time.process_time() - began_s)
    return best_s / READINGS * 1e6, layout.block_words * 8 / 1024


def watch_of(features: int, segments: int) -> tuple[AreaLayout, Watch]:
    """A watch of so many features, and blocks for so many values of a segment key and `other`."""
    names = tuple(f"f{number}" for number in range(features))
    values = np.array(rows_of(features, 4_000)).T
    shares = np.random.default_rng(1).beta(2, 5, 4_000)
    columns = tuple(
        numeric_column(name, ColumnPart.FEATURE, column)
        for name, column in zip(names, values, strict=True)
    )
    outputs = (
        numeric_column("score", ColumnPart.SCORE, shares),
        numeric_column("confidence", ColumnPart.SCORE, np.maximum(shares, 1 - shares)),
    )
    plan = SegmentPlan(
        name="region",
        source=Source(header="x-region"),
        values=tuple(str(number) for number in range(segments)),
    )
    watch = Watch(
        key=CellKey(route="r", model="stable", role=Role.PRIMARY),
        slot=0,
        at=0,
        owner="stable",
        payload=PayloadSettings(),
        features=names,
        segments=(plan,) if segments else (),
        columns=(*columns, *outputs),
        measures=measure_columns(openai=False),
    )
    return AreaLayout(watch.columns, watch.measures, watch.block_count), watch


def rows_of(features: int, count: int) -> list[list[float]]:
    """Rows of the usual population, repeated or cut to so many features."""
    times = -(-features // len(traffic.FEATURES))
    return [(row * times)[:features] for row in population(count)]


def wire_of(row: Sequence[float], number: int) -> tuple[bytes, int]:
    """A request as it goes to a model, and where its head ends."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in traffic.HEADERS.items())
    fields = fields.replace("eu-west-1", str(number))
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()
    return head + inference(row), len(head)


# -- what was found --------------------------------------------------------------------------------


def report(
    surroundings: Surroundings,
    chosen: argparse.Namespace,
    rounds: Rounds,
    paced: dict[str, list[Paced]],
    rate: int,
    features: dict[int, tuple[float, float]],
    segments: dict[int, tuple[float, float]],
) -> Report:
    off, on = rounds[sidecar.SPLIT], rounds[sidecar.MONITORED]
    added_us = statistics.median(
        one.cpu_us - other.cpu_us for one, other in zip(on, off, strict=True)
    )
    p99_ratio = statistics.median(
        one.quantile_us(0.99) / other.quantile_us(0.99)
        for one, other in zip(paced[sidecar.MONITORED], paced[sidecar.SPLIT], strict=True)
    )
    rows = []
    for name in (sidecar.SPLIT, sidecar.MONITORED):
        middle = median_of(rounds[name])
        p50, p99 = (
            statistics.median(one.quantile_us(share) for one in paced[name])
            for share in (0.5, 0.99)
        )
        rows.append(
            [name, f"{middle.cpu_us:.1f}", f"{middle.rate:,.0f}", f"{p50:.0f}", f"{p99:.0f}",
             str(middle.errors + sum(one.failed for one in paced[name]))]
        )  # fmt: skip
    data: dict[str, Any] = {
        "cpu_us": {name: [one.cpu_us for one in taken] for name, taken in rounds.items()},
        "added_us": added_us,
        "paced_rate": rate,
        "p99_us": {name: [one.quantile_us(0.99) for one in taken] for name, taken in paced.items()},
        "p99_ratio": p99_ratio,
        "features": features,
        "segments": segments,
    }
    method = (
        f"{surroundings.describe(('nginx', 'wrk'))} Medians of {chosen.rounds} interleaved rounds "
        f"of {chosen.seconds} s with {CONNECTIONS} connections; latency at {rate:,} requests a "
        "second."
    )
    return Report(
        name="monitor-cost",
        parts=[
            method,
            Table(
                ("", "CPU us/request", "requests/s", "p50 us", "p99 us", "errors"),
                rows,
            ),
            growth_table("features", features),
            growth_table(f"segments ({USUAL_FEATURES} features)", segments),
        ],
        data=data,
        bars=[
            Bar(what="what the monitor adds to a request with a shadow", measured=added_us,
                limit=CPU_LIMIT_US, unit=" us"),
            Bar(what="p99 with the monitor on, to p99 with it off", measured=p99_ratio,
                limit=P99_LIMIT),
            Bar(what="board per model and segment at 30 features", unit=" KB",
                measured=features[USUAL_FEATURES][1], limit=BLOCK_LIMIT_KB),
        ],
    )  # fmt: skip


def growth_table(what: str, figures: dict[int, tuple[float, float]]) -> Table:
    """A row per size: what reading costs and what the board needs."""
    return Table(
        (what, "us to read and count", "KB of the board per block"),
        [[str(count), f"{us:.1f}", f"{kb:.0f}"] for count, (us, kb) in figures.items()],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.monitor_cost", __doc__ or "", rounds=7, seconds=4)
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
