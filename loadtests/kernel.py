"""What counting the values of payloads costs, beside NumPy and a sketch library.

Everyone counts the same made-up batches in turn: columns with the edges of a baseline, 256 rows of
30 features, as many as a busy worker counts in one call. CPU time of this process per value; before
anything is timed, all NumPy versions are checked to have counted what the kernel did. Curves show
how the kernel's cost and the board's memory grow with features, segments and smaller batches.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

import numpy as np

from loadtests.peers.histograms import (
    Count,
    DdSketches,
    Kernel,
    NumpyCounts,
    NumpyDescent,
    NumpyWhole,
)
from loadtests.rig.columns import Batch, batches, feature_columns, layout_of
from loadtests.rig.command import options, run
from loadtests.rig.machine import Surroundings
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report, Table
from sidecar.sketch import AreaLayout, Column, IntArray

FEATURES: Final = 30
OUTPUTS: Final = 3  # prediction, score, confidence
ROWS: Final = 256
BATCHES: Final = 40

OURS, WHOLE = "sidecar", "NumPy, the same work"
COUNTS, DESCENT = (
    "NumPy, counts only: a column at a time",
    "NumPy, counts only: all columns at once",
)
DDSKETCH = "ddsketch, counts only"

FEATURE_CURVE: Final = (1, 3, 10, 30, 100, 300)
BATCH_CURVE: Final = (1, 4, 16, 64, 256)
SEGMENT_CURVE: Final = (0, 1, 2, 5, 10, 20, 50)

Rounds = Mapping[str, Sequence[float]]


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    columns = feature_columns(FEATURE_CURVE[-1])
    layout = layout_of(columns[:FEATURES])
    usual = batches(FEATURES, ROWS, BATCHES)
    contenders: dict[str, Count] = {
        OURS: Kernel(layout),
        WHOLE: NumpyWhole(layout),
        COUNTS: NumpyCounts(layout),
        DESCENT: NumpyDescent(layout),
    }
    require_equal_counts(
        Kernel(layout), NumpyWhole(layout), [NumpyCounts(layout), NumpyDescent(layout)], usual
    )
    say("the same was counted by all; taking turns")
    if find_spec("ddsketch") is not None:
        contenders[DDSKETCH] = DdSketches(layout)
    beside = take_turns({name: (count, usual) for name, count in contenders.items()}, chosen.rounds)
    curves = {
        "features": feature_curve(columns, chosen.rounds),
        "rows of a batch": batch_curve(layout, chosen.rounds),
        "values of a segment": segment_curve(columns[:FEATURES], chosen.rounds),
    }
    medians = {name: statistics.median(figures) for name, figures in beside.items()}
    block_kib = layout_of(columns[: FEATURES + OUTPUTS]).block_words * 8 / 1024
    return Report(
        name="kernel",
        parts=[
            surroundings.describe() + f" {FEATURES} columns of {cells(layout)} cells, batches of "
            f"{ROWS} rows, 1 % missing, medians of {chosen.rounds} interleaved rounds.",
            Table(
                ("per value", "ns", "to the sidecar"),
                [
                    [name, f"{cost:.1f}", f"{ratio(beside, name, OURS):.1f}"]
                    for name, cost in medians.items()
                ],
            ),
            *curve_parts(curves),
        ],
        data={"ns_per_value": dict(beside), "curves": curves, "block_kib": block_kib},
        bars=bars(beside, medians, block_kib),
    )


def bars(beside: Rounds, medians: Mapping[str, float], block_kib: float) -> list[Bar]:
    fastest = min((name for name in beside if name.startswith("NumPy")), key=medians.__getitem__)
    promised = [
        Bar(what="ns per value", measured=medians[OURS], limit=15, unit=" ns"),
        Bar(
            what=f"ns per value, to the fastest of the NumPy versions ({fastest})",
            measured=ratio(beside, OURS, fastest),
            limit=1,
        ),
        Bar(
            what=f"memory of a block: {FEATURES} features, their outputs and measures",
            measured=block_kib,
            limit=128,
            unit=" KiB",
        ),
    ]
    if DDSKETCH in beside:
        promised.append(
            Bar(
                what="ns per value, to ddsketch's add",
                measured=ratio(beside, OURS, DDSKETCH),
                limit=1 / 30,
            )
        )
    return promised


def require_equal_counts(
    ours: Kernel, whole: NumpyWhole, others: Sequence[NumpyCounts], usual: Sequence[Batch]
) -> None:
    """Raises ValueError unless the versions that are compared, fresh ones, count alike."""
    layout = whole.layout
    for batch in usual:
        if not np.array_equal(ours(batch), whole(batch)):
            raise ValueError("NumPy finds other values outside the reference than the kernel does")
        for other in others:
            other(batch)
    found, expected = layout.blocks_of(ours.words)[0], whole.block
    sums_close = np.allclose(layout.sums_of(found), layout.sums_of(expected), rtol=1e-9)
    layout.sums_of(found)[:] = layout.sums_of(expected)[:] = 0
    counts_equal = all(
        np.array_equal(other.block[layout.counts], found[layout.counts]) for other in others
    )
    if not (sums_close and counts_equal and np.array_equal(found, expected)):
        raise ValueError("NumPy counts otherwise than the kernel does")


def take_turns(
    contenders: Mapping[str, tuple[Count, Sequence[Batch]]], rounds: int
) -> dict[str, list[float]]:
    """Nanoseconds of CPU time per value, in every round; the order turns round each time."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for count, usual in contenders.values():
        count(usual[0])
    for number in range(rounds):
        for name in list(contenders)[:: 1 if number % 2 else -1]:
            count, usual = contenders[name]
            began_ns = time.process_time_ns()
            for batch in usual:
                count(batch)
            values = sum(batch.values.size for batch in usual)
            found[name].append((time.process_time_ns() - began_ns) / values)
    return found


def feature_curve(columns: tuple[Column, ...], rounds: int) -> dict[str, dict[str, float]]:
    layouts = {count: layout_of(columns[:count]) for count in FEATURE_CURVE}
    points = {
        f"{count}": (
            Kernel(layout),
            batches(count, ROWS, BATCHES * FEATURES // max(count, FEATURES)),
        )
        for count, layout in layouts.items()
    }
    costs = take_turns(points, rounds)
    return {
        name: {
            "ns_per_value": statistics.median(costs[name]),
            "us_per_row": statistics.median(costs[name]) * count / 1e3,
            "block_kib": layout.block_words * 8 / 1024,
        }
        for name, (count, layout) in zip(points, layouts.items(), strict=True)
    }


def batch_curve(layout: AreaLayout, rounds: int) -> dict[str, dict[str, float]]:
    points = {
        f"{rows}": (Kernel(layout), batches(FEATURES, rows, BATCHES * 4)) for rows in BATCH_CURVE
    }
    costs = take_turns(points, rounds)
    return {name: by_row(figures, FEATURES, layout) for name, figures in costs.items()}


def segment_curve(columns: tuple[Column, ...], rounds: int) -> dict[str, dict[str, float]]:
    """One key with so many values, rows spread evenly over them and `other`; 0: no key."""
    layouts = {values: layout_of(columns, values + 1) for values in SEGMENT_CURVE}
    usual = batches(FEATURES, ROWS, BATCHES)
    points = {
        f"{values}": (Kernel(layout, spread(layout)), usual) for values, layout in layouts.items()
    }
    costs = take_turns(points, rounds)
    return {
        name: by_row(costs[name], FEATURES, layout)
        for name, layout in zip(points, layouts.values(), strict=True)
    }


def spread(layout: AreaLayout) -> IntArray:
    starts = [layout.block_at(block) for block in range(layout.block_count)]
    return np.random.default_rng(3).choice(starts, (ROWS, 1))


def by_row(costs: Sequence[float], features: int, layout: AreaLayout) -> dict[str, float]:
    cost = statistics.median(costs)
    return {
        "ns_per_value": cost,
        "us_per_row": cost * features / 1e3,
        "area_kib": layout.words * 8 / 1024,
    }


def curve_parts(curves: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Table]:
    units = {"ns_per_value": "ns/value", "us_per_row": "us/row", "block_kib": "KiB of a block",
             "area_kib": "KiB of an area"}  # fmt: skip
    tables = []
    for name, points in curves.items():
        keys = list(next(iter(points.values())))
        rows = [
            [point, *(f"{figures[key]:,.{0 if 'kib' in key else 2}f}" for key in keys)]
            for point, figures in points.items()
        ]
        tables.append(Table((name, *(units[key] for key in keys)), rows))
    return tables


def ratio(rounds: Rounds, one: str, other: str) -> float:
    """The median of the ratios, pair by pair."""
    return statistics.median(a / b for a, b in zip(rounds[one], rounds[other], strict=True))


def cells(layout: AreaLayout) -> str:
    counts = [column.value_buckets for column in layout.columns]
    return f"{min(counts)} to {max(counts)}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.kernel", __doc__ or "", rounds=15, seconds=None)
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
