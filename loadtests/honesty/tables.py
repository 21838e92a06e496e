"""What the studies found, as tables for docs/drift.md."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from statistics import median
from typing import Final

from loadtests.honesty.false_alarms import BANDS, KINDS, REFERENCES, UNDECLARED, Outcome
from loadtests.honesty.power import Found
from loadtests.rig.report import Table

Parts = list[str | Table]

_UNDECLARED_KEY: Final = "undeclared"


def independent(quiet: Outcome) -> Parts:
    """Windows of independent rows: the gate beside other rules."""
    tallies = {f"against `{name}`": quiet.by_reference[name] for name in REFERENCES}
    for least, most in itertools.pairwise(BANDS):
        if least in quiet.by_rows:
            tallies[f"n from {least:,} to {most:,}"] = quiet.by_rows[least]
    rows = [
        [
            name,
            f"{tally.comparisons:,}",
            f"{tally.judged / tally.comparisons:.1%}",
            f"{tally.alarms / tally.comparisons:.2%}",
            f"{tally.by_threshold / tally.comparisons:.1%}",
            f"{tally.by_difference / tally.comparisons:.1%}",
        ]
        for name, tally in tallies.items()
    ]
    return [
        "### False alarms: independent rows",
        (
            f"{quiet.windows:,} windows of 30 features without drift, 500 to 50,000 rows each, "
            f"against every kind of reference: {quiet.alarmed} of them alarmed. Beside the gate "
            "stands what other rules say of the same numbers: that some PSI is 0.1 or more, and "
            "that some feature differs at all (Benjamini-Hochberg at 0.05)."
        ),
        Table(("", "comparisons", "judged", "the gate", "PSI ≥ 0.1", "differs"), rows),
    ]


def dependent(outcomes: Mapping[str, Outcome]) -> Parts:
    """Windows of rows that depend on each other."""
    kinds = {**KINDS, _UNDECLARED_KEY: UNDECLARED}
    rows = [
        [
            kinds[name].title,
            f"{kinds[name].least:,}",
            f"{outcome.windows:,}",
            f"{median(outcome.phi):.2g}",
            f"{_share_judged(outcome):.0%}",
            f"{outcome.alarmed / outcome.windows:.1%}",
            f"{outcome.uncorrected / outcome.windows:.1%}",
        ]
        for name, outcome in outcomes.items()
    ]
    return [
        "### False alarms: rows that depend on each other",
        (
            "Share of windows that alarmed against any reference; in the last column as if phi "
            "were 1 and nothing were declared. Windows have up to 50,000 rows; `judged` are the "
            "comparisons with the baseline for which there was enough data."
        ),
        Table(
            ("traffic", "rows from", "windows", "median phi", "judged", "alarms", "without phi"),
            rows,
        ),
    ]


def power(curves: Mapping[int, Mapping[tuple[float, int], Found]], windows: int) -> Parts:
    """Shares found, by true PSI and rows; `curves` by rows of the reference, 0: as many as n."""
    parts: Parts = [
        "### Power",
        (
            f"One of 30 features has shifted: the share found, over {windows:,} windows a cell. A "
            "PSI of 0.1 is not to be found: it is the largest that does not matter."
        ),
    ]
    for m, curve in curves.items():
        sizes = sorted({n for _, n in curve})
        rows = [
            [f"{psi:g}", *(f"{curve[psi, n].found:.2f}" for n in sizes)]
            for psi in sorted({psi for psi, _ in curve})
        ]
        parts += [
            f"Against {f'{m:,} rows' if m else 'a window of equal size'}:",
            Table(("true PSI", *(f"n = {n:,}" for n in sizes)), rows),
        ]
    return parts


def bar(found: Mapping[int, Found], windows: int) -> Parts:
    """The promised power, and what setting columns aside adds to it."""
    rows = [
        [f"{m:,}", f"{one.found:.3f}", f"{one.plain:.3f}", f"{one.others:.2%}"]
        for m, one in found.items()
    ]
    return [
        (
            f"A PSI of 0.24 at n = 1,000 ({windows:,} windows), with certain columns set aside and "
            "by Benjamini-Hochberg over all 30; and windows in which another feature alarmed:"
        ),
        Table(("rows of the reference", "found", "over all 30", "others"), rows),
    ]


def major(found: Mapping[tuple[float, int], Found]) -> Parts:
    """How often a shift is called major."""
    sizes = sorted({n for _, n in found})
    rows = [
        [
            f"{psi:g}",
            *(
                f"{share:.2f}"
                for n in sizes
                for share in (found[psi, n].major, found[psi, n].major_sure)
            ),
        ]
        for psi in sorted({psi for psi, _ in found})
    ]
    heads = [head for n in sizes for head in (f"n = {n:,}", "if tested too")]
    return [
        "### Drift or major",
        (
            "One feature has shifted, 50,000 rows in the reference: the share called `major`, and "
            "the share that would be if a PSI of at most 0.25 had to be rejected at 0.05 as well."
        ),
        Table(("true PSI", *heads), rows),
    ]


def compound(found: Mapping[tuple[float, int, int], float]) -> Parts:
    """How often many small shifts are noticed."""
    counts = sorted({shifted for _, _, shifted in found})
    rows = [
        [f"{psi:g}", f"{n:,}", *(f"{found[psi, n, shifted]:.2f}" for shifted in counts)]
        for psi, n in sorted({(psi, n) for psi, n, _ in found})
    ]
    return [
        "### Many small shifts",
        (
            "Some of 30 features have shifted by as much each, 50,000 rows in the reference: the "
            "share of windows with a `compound` finding and no feature that alarms by itself."
        ),
        Table(("true PSI of each", "n", *(f"{shifted} shifted" for shifted in counts)), rows),
    ]


def _share_judged(outcome: Outcome) -> float:
    tally = outcome.by_reference["baseline"]
    return tally.judged / tally.comparisons
