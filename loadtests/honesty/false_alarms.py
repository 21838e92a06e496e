"""A/A: windows without drift, and how many of them alarm.

One stream of windows, each judged against every kind of reference: a baseline of 50,000 independent
rows, the window before, the one a day and the one a week ago (here 3 and 7 windows back: nothing
changes with time), and a pinned one. An alarm is any feature that is `drift` or `major`, and any
finding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from loadtests.honesty import traffic
from loadtests.honesty.windows import Sample, baseline, findings, verdicts, window
from sidecar.drift import Status, Thresholds, Verdict
from sidecar.drift.special import ncx2_sf_screened

BANDS: Final = (500, 1_000, 2_000, 5_000, 10_000, 50_000)
REFERENCES: Final = ("baseline", "previous", "day", "week", "pinned")
_BACK: Final = {"previous": 1, "day": 3, "week": 7}
_BASELINE_ROWS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of traffic, from how many rows on it is looked at, and what is declared of it."""

    title: str
    process: traffic.Process
    least: int = BANDS[0]
    floor: float = 1.0


KINDS: Final = {
    "repeated": Kind("every row 50 times in a row", traffic.repeated, least=5_000),
    "bursts": Kind("half in bursts of one row, some 50 times", traffic.bursts, least=5_000),
    "sessions": Kind("half of the features fixed for 50 rows", traffic.sessions, least=5_000),
    "autoregressive": Kind("AR(0.9) order", traffic.autoregressive),
    "entities": Kind("entities, declared, counted once a window", traffic.entities(1)),
    "entities-5": Kind(
        "entities, declared, counted 5 times a window", traffic.entities(5), floor=5.0
    ),
}
INDEPENDENT: Final = Kind("independent rows", traffic.independent)
UNDECLARED: Final = Kind("the same entities, not declared", traffic.undeclared_entities)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was said of one comparison.

    judged:        share of the features of which there was enough data
    alarm, found:  whether a feature alarmed, and whether there was a finding
    by_threshold:  whether any PSI is 0.1 or more, whatever n: the rule of thumb
    by_difference: whether "nothing changed" is rejected (Benjamini and Hochberg at 0.05)
    """

    judged: float
    alarm: bool
    found: bool
    by_threshold: bool
    by_difference: bool

    @classmethod
    def of(cls, judged: Sequence[Verdict]) -> Seen:
        """Ask all rules about the same numbers."""
        known = sum(verdict.status is not Status.INSUFFICIENT_DATA for verdict in judged)
        return cls(
            judged=known / len(judged),
            alarm=any(verdict.alarms for verdict in judged),
            found=bool(findings(judged)),
            by_threshold=any((one.psi or 0.0) >= one.threshold for one in judged),
            by_difference=_differs(judged),
        )


@dataclass(slots=True)
class Tally:
    """Comparisons, and how many of them were what `Seen` says."""

    comparisons: int = 0
    judged: float = 0.0
    alarms: int = 0
    by_threshold: int = 0
    by_difference: int = 0

    def add(self, seen: Seen) -> None:
        """Count one."""
        self.comparisons += 1
        self.judged += seen.judged
        self.alarms += seen.alarm or seen.found
        self.by_threshold += seen.by_threshold
        self.by_difference += seen.by_difference


@dataclass(slots=True)
class Outcome:
    """What became of the windows of one kind of traffic."""

    by_reference: dict[str, Tally] = field(default_factory=dict)
    by_rows: dict[int, Tally] = field(default_factory=dict)
    windows: int = 0
    alarmed: int = 0
    uncorrected: int = 0
    phi: list[float] = field(default_factory=list)


def study(
    kind: Kind, windows: int, rng: np.random.Generator, *, uncorrected: bool = False
) -> Outcome:
    """Judge that many windows against every kind of reference.

    uncorrected: also judge them as if rows were independent, and nothing were declared.
    """
    outcome, thresholds = Outcome(), Thresholds()
    for rows, current, references in _stream(kind, windows, rng):
        alarmed = bare = False
        band = max(least for least in BANDS if least <= rows)
        for name, reference in references:
            seen = Seen.of(verdicts(current, reference, thresholds))
            outcome.by_reference.setdefault(name, Tally()).add(seen)
            outcome.by_rows.setdefault(band, Tally()).add(seen)
            alarmed |= seen.alarm or seen.found
            if uncorrected:
                plain = verdicts(_independent(current), _independent(reference), thresholds)
                bare |= any(verdict.alarms for verdict in plain)
        outcome.windows += 1
        outcome.alarmed += alarmed
        outcome.uncorrected += bare
        outcome.phi.append(float(np.median(current.phi)))
    return outcome


def _stream(
    kind: Kind, windows: int, rng: np.random.Generator
) -> Iterator[tuple[int, Sample, list[tuple[str, Sample]]]]:
    """Windows with their rows and references; sizes wander from window to window."""
    learned = baseline(traffic.independent(rng, _BASELINE_ROWS))
    pinned = window(kind.process(rng, BANDS[-1] // 2), floor=kind.floor)
    past: deque[Sample] = deque(maxlen=max(_BACK.values()))
    least, most = np.log(kind.least), np.log(BANDS[-1])
    size = rng.uniform(least, most)
    for _ in range(windows + max(_BACK.values())):
        # A random walk that is reflected at the ends: neighbours differ by a factor of about 1.5.
        size += rng.normal(0, 0.4)
        size = least + abs(size - least)
        size = most - abs(most - size)
        rows = int(np.exp(min(max(size, least), most)))
        current = window(kind.process(rng, rows), floor=kind.floor)
        if len(past) == past.maxlen:
            earlier = [(name, past[-back]) for name, back in _BACK.items()]
            yield rows, current, [("baseline", learned), *earlier, ("pinned", pinned)]
        past.append(current)


def _independent(sample: Sample) -> Sample:
    return Sample(sample.distributions, np.ones_like(sample.phi))


def _differs(judged: Sequence[Verdict]) -> bool:
    """Whether the usual test, of no difference at all, rejects for any feature."""
    psi = np.array([verdict.judged_psi or 0.0 for verdict in judged])
    rows = np.array([1 / (1 / max(one.n, 1) + 1 / max(one.m, 1)) for one in judged])
    p = np.sort(ncx2_sf_screened(psi * rows, [verdict.df for verdict in judged], 0.0))
    return bool((p * len(p) / np.arange(1, len(p) + 1) <= 0.05).any())
