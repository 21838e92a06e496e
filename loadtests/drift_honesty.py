"""Does the drift gate cry wolf, and does it see the wolf? Simulated traffic whose truth is known.

Windows without drift (of independent rows, and of traffic that depends on itself) go through the
product's own code: sub-snapshots, phi, gate, findings. Then features shift by a known PSI. No
server runs. The seed is fixed; another one gives other figures, within their noise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import Final

import numpy as np

from loadtests.honesty import false_alarms, power, tables
from loadtests.honesty.false_alarms import INDEPENDENT, KINDS, UNDECLARED, Outcome
from loadtests.honesty.power import Found, Setting
from loadtests.rig.command import options, positive, run
from loadtests.rig.machine import Surroundings
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report

POWER_PSI: Final = (0.1, 0.12, 0.15, 0.2, 0.24, 0.3)
POWER_ROWS: Final = (500, 1_000, 2_000, 5_000, 20_000)
MAJOR_PSI: Final = (0.1, 0.15, 0.2, 0.24, 0.3, 0.4)
MAJOR_ROWS: Final = (1_000, 20_000)
SMALL_PSI: Final = (0.02, 0.03, 0.05)
SMALL_ROWS: Final = (1_000, 5_000, 50_000)
BASELINE_ROWS: Final = 50_000

_FEWER: Final = 10
"""Dependent traffic, and each cell of a curve, gets a window for so many of independent rows."""


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    rng = np.random.default_rng(chosen.seed)
    windows, fewer = chosen.windows, max(chosen.windows // _FEWER, 1)
    say(f"{INDEPENDENT.title}: {windows:,} windows")
    quiet = false_alarms.study(INDEPENDENT, windows, rng)
    dependent: dict[str, Outcome] = {}
    for name, kind in [*KINDS.items(), ("undeclared", UNDECLARED)]:
        say(f"{kind.title}: {fewer:,} windows")
        dependent[name] = false_alarms.study(kind, fewer, rng, uncorrected=True)
    say("power")
    bar = {m: power.study(Setting(0.24, 1_000, m), windows, rng) for m in (1_000, BASELINE_ROWS)}
    curves = {
        m: {
            (psi, n): power.study(Setting(psi, n, m or n), fewer, rng)
            for psi, n in product(POWER_PSI, POWER_ROWS)
        }
        for m in (BASELINE_ROWS, 0)
    }
    major = {
        (psi, n): power.study(Setting(psi, n, BASELINE_ROWS), fewer, rng)
        for psi, n in product(MAJOR_PSI, MAJOR_ROWS)
    }
    compound = {
        (psi, n, shifted): power.compound(Setting(psi, n, BASELINE_ROWS, shifted), fewer, rng)
        for psi, n, shifted in product(SMALL_PSI, SMALL_ROWS, (3, 10, 30))
    }
    return Report(
        name="drift-honesty",
        parts=[
            f"{surroundings.describe()} Seed {chosen.seed}.",
            *tables.independent(quiet),
            *tables.dependent(dependent),
            *tables.power(curves, fewer),
            *tables.bar(bar, windows),
            *tables.major(major),
            *tables.compound(compound),
            "### Bars",
        ],
        data={
            "independent": asdict(quiet),
            "dependent": {name: asdict(outcome) for name, outcome in dependent.items()},
            "power": [
                {"psi": psi, "n": n, "m": m or n, **asdict(found)}
                for m, curve in curves.items()
                for (psi, n), found in curve.items()
            ],
        },
        bars=_bars(quiet, dependent, bar),
    )


def _bars(quiet: Outcome, dependent: Mapping[str, Outcome], bar: Mapping[int, Found]) -> list[Bar]:
    limits = {
        f"windows that alarm: {INDEPENDENT.title}": (quiet.alarmed / quiet.windows, 0.1),
        **{
            f"windows that alarm: {kind.title}": (
                dependent[name].alarmed / dependent[name].windows,
                1.0,
            )
            for name, kind in KINDS.items()
        },
        **{
            f"missed: PSI 0.24, n = 1,000 against {m:,}": (1 - found.found, 5.0)
            for m, found in bar.items()
        },
    }
    return [
        Bar(what=what, measured=100 * share, limit=limit, unit=" %")
        for what, (share, limit) in limits.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.drift_honesty", __doc__ or "", rounds=None, seconds=None)
    parser.add_argument(
        "--windows", type=positive, default=5_000, help="of independent rows; default 5,000"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the simulation; default 1")
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
