"""What was found about drift: values that the API, metrics and alerts show.

A round judges every watched model: each window against each reference is one `Judgement`, and every
one of them is there, also when it could not be made; then it says why.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from typing import Self

from sidecar.drift import Finding, Span, Status, Verdict
from sidecar.model import CellKey
from sidecar.sketch import Column

WORST_FIRST = (Status.MAJOR, Status.DRIFT, Status.OK, Status.INSUFFICIENT_DATA)


def worst(statuses: Iterable[Status]) -> Status:
    """The one that matters most; without any, too little is known."""
    found = set(statuses)
    return next((status for status in WORST_FIRST if status in found), Status.INSUFFICIENT_DATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentValue:
    """One value of a segment key; None as value is `other`, all that are not told apart."""

    key: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentJudgement:
    """How many columns of one segment value have which status, and which one shifted most.

    `stands_in`: the reference does not know the value, and is compared as a whole.
    """

    segment: SegmentValue
    rows: int
    counts: dict[Status, int]
    feature: str | None
    psi: float | None
    stands_in: bool

    @property
    def status(self) -> Status:
        """The worst."""
        return worst(status for status, count in self.counts.items() if count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One window against one reference, of everything or of one segment value.

    window:      its name: the configured length (`5m`), or two snapshots (`a..b`)
    current:     the window as it was cut, with its `rows`; None: there is none yet
    against:     the reference likewise
    why:         why there are no verdicts; empty when there are
    segments:    summaries of all segment values; empty when this is one itself
    """

    window: str
    reference: str
    segment: SegmentValue | None = None
    provisional: bool = False
    stands_in: bool = False
    current: Span | None = None
    against: Span | None = None
    rows: int = 0
    reference_rows: int = 0
    verdicts: tuple[Verdict, ...] = ()
    segments: tuple[SegmentJudgement, ...] = ()
    why: str = ""

    @property
    def status(self) -> Status:
        """The worst of its verdicts."""
        return worst(verdict.status for verdict in self.verdicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is shown of a window without any reference, by column name.

    missing: share of rows without a value
    """

    rows: int
    missing: dict[str, float]
    positive_rate: float | None
    confidence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchJudgements:
    """All about one model in its role on a route. `figures` and `findings` are by window.

    provisional: its baseline was learned from the first rows that came
    columns:     what is judged, also where there is no verdict yet
    """

    key: CellKey
    columns: tuple[Column, ...]
    provisional: bool
    judgements: tuple[Judgement, ...]
    findings: dict[str, tuple[Finding, ...]]
    figures: dict[str, Figures]

    @property
    def status(self) -> Status:
        """The worst of all windows and references."""
        return worst(judgement.status for judgement in self.judgements)

    def within(self, windows: Container[str], references: Container[str]) -> Self:
        """What is said of these windows and references."""
        return replace(
            self,
            judgements=tuple(
                one
                for one in self.judgements
                if one.window in windows and one.reference in references
            ),
            findings={name: found for name, found in self.findings.items() if name in windows},
            figures={name: found for name, found in self.figures.items() if name in windows},
        )

    def of(self, feature: str) -> Self:
        """What is said of one column; segments are left out, as they are summed over columns."""
        return replace(
            self,
            columns=tuple(one for one in self.columns if one.name == feature),
            judgements=tuple(
                replace(
                    judgement,
                    verdicts=tuple(v for v in judgement.verdicts if v.feature == feature),
                    segments=(),
                )
                for judgement in self.judgements
            ),
            findings={
                window: tuple(one for one in findings if feature in one.features)
                for window, findings in self.findings.items()
            },
            figures={
                window: replace(
                    figures, missing={k: v for k, v in figures.missing.items() if k == feature}
                )
                for window, figures in self.figures.items()
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Everything judged as of one snapshot; `taken_ns` is its stamp, 0: there was none yet."""

    taken_ns: int = 0
    duration_s: float = 0.0
    watches: tuple[WatchJudgements, ...] = ()

    @property
    def status(self) -> Status:
        """The worst of all."""
        return worst(watch.status for watch in self.watches)
