"""What the API shows of drift. Pure.

Every figure stands beside its n, its window and its reference; what could not be judged says why. A
value that does not exist is null. Times are texts in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from sidecar.control.drift import (
    Figures,
    Judgement,
    Round,
    SegmentJudgement,
    SegmentValue,
    WatchJudgements,
)
from sidecar.control.observation import OTHER
from sidecar.drift import Absence, Evidence, Finding, FindingKind, Span, Status, Verdict
from sidecar.model import ColumnKind, ColumnPart, Role

_NS = 1_000_000_000


class SideView(Struct, frozen=True, kw_only=True):
    """One side of a comparison: its rows, and from when to when; a baseline may not know that."""

    name: str
    start: str | None
    end: str | None
    rows: int


class SegmentView(Struct, frozen=True, kw_only=True):
    """A value of a segment key; `other` are all that are not told apart."""

    key: str
    value: str


class VerdictView(Struct, frozen=True, kw_only=True):
    """One column. `psi` is what other tools show, `judged_psi` what is judged; see `Verdict`."""

    feature: str
    part: ColumnPart
    kind: ColumnKind
    status: Status
    psi: float | None
    judged_psi: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    n: int
    reference_n: int
    phi: float
    reference_phi: float
    drift: float
    major: float
    ignored: bool
    missing: Absence | None
    evidence: Evidence | None
    why: str


class SegmentSummaryView(Struct, frozen=True, kw_only=True):
    """How many columns of a segment value have which status; see `SegmentJudgement`."""

    segment: SegmentView
    status: Status
    rows: int
    counts: dict[Status, int]
    feature: str | None
    psi: float | None
    stands_in: bool


class ComparisonView(Struct, frozen=True, kw_only=True):
    """A window against a reference, of everything or of one segment value.

    `stands_in`: the baseline does not know the value, and is compared as a whole.
    """

    window: str
    reference: str
    segment: SegmentView | None
    status: Status
    provisional: bool
    stands_in: bool
    current: SideView | None
    against: SideView | None
    why: str
    verdicts: list[VerdictView]
    segments: list[SegmentSummaryView]


class FindingView(Struct, frozen=True, kw_only=True):
    """What several verdicts of a window say together."""

    kind: FindingKind
    window: str
    reference: str
    features: tuple[str, ...]
    p: float | None
    why: str


class FiguresView(Struct, frozen=True, kw_only=True):
    """What is said of a window by itself; `missing` are shares of its rows, by column."""

    rows: int
    positive_rate: float | None
    confidence: float | None
    missing: dict[str, float]


class DriftOfModelView(Struct, frozen=True, kw_only=True):
    """A model in its role on a route."""

    route: str
    model: str
    role: Role
    provisional: bool
    status: Status
    comparisons: list[ComparisonView]
    findings: list[FindingView]
    figures: dict[str, FiguresView]


class DriftView(Struct, frozen=True, kw_only=True):
    """The answer of `/api/v1/drift`: as of which snapshot, and what judging it took."""

    status: Status
    as_of: str | None
    judged_in_ms: float
    watches: list[DriftOfModelView]


def drift_view(found: Round) -> DriftView:
    """A round."""
    return DriftView(
        status=found.status,
        as_of=as_text(found.taken_ns or None),
        judged_in_ms=round(found.duration_s * 1000, 3),
        watches=[_model(watch) for watch in found.watches],
    )


def verdict_view(verdict: Verdict) -> VerdictView:
    """One verdict."""
    return VerdictView(
        feature=verdict.feature,
        part=verdict.part,
        kind=verdict.kind,
        status=verdict.status,
        psi=verdict.psi,
        judged_psi=verdict.judged_psi,
        interval=verdict.interval,
        p=verdict.p,
        p_adjusted=verdict.p_adjusted,
        n=verdict.n,
        reference_n=verdict.m,
        phi=verdict.phi,
        reference_phi=verdict.reference_phi,
        drift=verdict.thresholds.drift,
        major=verdict.thresholds.major,
        ignored=verdict.ignored,
        missing=verdict.missing,
        evidence=verdict.evidence,
        why=verdict.why,
    )


def side_view(span: Span | None, rows: int) -> SideView | None:
    """One side; None when it is not there."""
    if span is None:
        return None
    return SideView(
        name=span.name, start=as_text(span.start_ns), end=as_text(span.end_ns), rows=rows
    )


def segment_view(segment: SegmentValue | None) -> SegmentView | None:
    """A segment value; None for everything."""
    if segment is None:
        return None
    return SegmentView(key=segment.key, value=value_text(segment.value))


def value_text(value: str | None) -> str:
    """The value of a segment, as it is shown."""
    return OTHER if value is None else value


def as_text(stamp_ns: int | None) -> str | None:
    """A time in UTC, to the millisecond."""
    if stamp_ns is None:
        return None
    text = datetime.fromtimestamp(stamp_ns / _NS, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _model(watch: WatchJudgements) -> DriftOfModelView:
    return DriftOfModelView(
        route=watch.key.route,
        model=watch.key.model,
        role=watch.key.role,
        provisional=watch.provisional,
        status=watch.status,
        comparisons=[_comparison(judgement) for judgement in watch.judgements],
        findings=[
            _finding(window, finding)
            for window, findings in watch.findings.items()
            for finding in findings
        ],
        figures={window: _figures(figures) for window, figures in watch.figures.items()},
    )


def _comparison(judgement: Judgement) -> ComparisonView:
    return ComparisonView(
        window=judgement.window,
        reference=judgement.reference,
        segment=segment_view(judgement.segment),
        status=judgement.status,
        provisional=judgement.provisional,
        stands_in=judgement.stands_in,
        current=side_view(judgement.current, judgement.rows),
        against=side_view(judgement.against, judgement.reference_rows),
        why=judgement.why,
        verdicts=[verdict_view(verdict) for verdict in judgement.verdicts],
        segments=[_summary(summary) for summary in judgement.segments],
    )


def _summary(summary: SegmentJudgement) -> SegmentSummaryView:
    segment = summary.segment
    return SegmentSummaryView(
        segment=SegmentView(key=segment.key, value=value_text(segment.value)),
        status=summary.status,
        rows=summary.rows,
        counts=summary.counts,
        feature=summary.feature,
        psi=summary.psi,
        stands_in=summary.stands_in,
    )


def _finding(window: str, finding: Finding) -> FindingView:
    return FindingView(
        kind=finding.kind,
        window=window,
        reference=finding.reference.name,
        features=finding.features,
        p=finding.p,
        why=finding.why,
    )


def _figures(figures: Figures) -> FiguresView:
    return FiguresView(
        rows=figures.rows,
        positive_rate=figures.positive_rate,
        confidence=figures.confidence,
        missing=figures.missing,
    )
