"""One column of one model in full: both histograms, its verdict, and which of its values fail."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.control.drift.judgements import SegmentValue
from sidecar.control.drift.judging import Limits, judge_block
from sidecar.control.drift.models import windows
from sidecar.control.drift.question import Question
from sidecar.control.drift.sampler import Sampler, Unavailable
from sidecar.drift import Verdict
from sidecar.errors import ClientError
from sidecar.model import CellKey
from sidecar.sketch import Block, BlockCounter, Column, Distribution, Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentOutcome:
    """How the rows of one segment value fared. `latency_ns` is a sum over them."""

    segment: SegmentValue
    rows: int
    failed: int
    latency_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDetail:
    """One column in a window, against a reference; see `Outcomes` for what is known per bin."""

    key: CellKey
    window: str
    reference: str
    segment: SegmentValue | None
    provisional: bool
    rows: int
    reference_rows: int
    verdict: Verdict
    expected: Distribution
    found: Distribution
    outcomes: Outcomes
    segments: tuple[SegmentOutcome, ...]


def detail(sampler: Sampler, limits: Limits, question: Question, feature: str) -> FeatureDetail:
    """A column of the first window and reference that are meant.

    Raises ClientError: no such column, or one side of the comparison is not there (it says why).
    """
    watched = sampler.watched
    places: dict[str, int] = {}
    for place, column in enumerate(watched.columns):
        places.setdefault(column.name, place)
    if watched.columns and feature not in places:
        raise ClientError(
            f"{watched.key.model!r} has no column {feature!r}; it has: {', '.join(places)}",
            status=404,
            code="unknown_feature",
        )
    name, current = next(iter(windows(sampler, limits, question).items()))
    if isinstance(current, Unavailable):
        raise _not_there(current)
    reference = question.references(limits.settings)[0]
    against = sampler.reference(reference, current)
    if isinstance(against, Unavailable):
        raise _not_there(against)
    blocks = question.blocks(watched)
    if not blocks:
        raise ClientError(
            f"Route {watched.key.route!r} has no segment key {question.segment!r}",
            status=404,
            code="unknown_segment",
        )
    segment, block = next(iter(blocks.items()))
    verdicts = judge_block(current, against, limits, block=block, evidence_for=frozenset({feature}))
    place = places[feature]
    return FeatureDetail(
        key=watched.key,
        window=name,
        reference=reference,
        segment=segment,
        provisional=watched.provisional and reference == "baseline",
        rows=current.rows(block),
        reference_rows=against.rows(block),
        verdict=verdicts[place],
        expected=against.distributions(block)[place],
        found=current.distributions(block)[place],
        outcomes=current.counted(block).outcomes(watched.columns[place]),
        segments=tuple(
            _outcome(
                SegmentValue(key=key.name, value=value), current.counted(at), watched.columns[place]
            )
            for key in watched.segments
            for value, at in watched.blocks(key.name).items()
        ),
    )


def _outcome(segment: SegmentValue, block: Block, column: Column) -> SegmentOutcome:
    return SegmentOutcome(
        segment=segment,
        rows=block.counter(BlockCounter.ROWS),
        failed=block.counter(BlockCounter.FAILED_ROWS),
        latency_ns=int(block.outcomes(column).latency_ns.sum()),
    )


def _not_there(side: Unavailable) -> ClientError:
    return ClientError(side.why[:1].upper() + side.why[1:], status=409, code="insufficient_data")
