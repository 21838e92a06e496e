"""All judgements about one model: its windows against its references, and what they say together.

May block for reading snapshots, and computes for a while: for threads.

Must not know: other models, rounds, who asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.control.drift.figures import figures_of
from sidecar.control.drift.judgements import (
    Figures,
    Judgement,
    SegmentValue,
    WatchJudgements,
)
from sidecar.control.drift.judging import Limits, judge_block, judge_segments
from sidecar.control.drift.question import Question
from sidecar.control.drift.sampler import BASELINE, STEPS_BACK_S, Sampler, Unavailable
from sidecar.control.drift.samples import WindowSample
from sidecar.drift import Finding, summarise


def judge_model(sampler: Sampler, limits: Limits, question: Question) -> WatchJudgements:
    """What is asked about a model. Raises ClientError: a window or snapshot that does not exist."""
    judgements: list[Judgement] = []
    findings: dict[str, tuple[Finding, ...]] = {}
    figures: dict[str, Figures] = {}
    for name, current in windows(sampler, limits, question).items():
        found = [
            one
            for reference in question.references(limits.settings)
            for one in _against(sampler, limits, question, name, current, reference)
        ]
        judgements += found
        if isinstance(current, Unavailable):
            continue
        figures[name] = figures_of(current)
        if question.segment is None:
            findings[name] = tuple(_findings(found))
    return WatchJudgements(
        key=sampler.watched.key,
        columns=sampler.watched.columns,
        provisional=sampler.watched.provisional,
        judgements=tuple(judgements),
        findings=findings,
        figures=figures,
    )


def windows(
    sampler: Sampler, limits: Limits, question: Question
) -> dict[str, WindowSample | Unavailable]:
    """The windows that are meant, by name. Raises ClientError: there is no such thing."""
    if question.first is not None and question.last is not None:
        between = f"{question.first}..{question.last}"
        return {between: sampler.between(question.first, question.last)}
    return {
        name: sampler.window(length_s)
        for name, length_s in question.windows(limits.settings).items()
    }


def _against(
    sampler: Sampler,
    limits: Limits,
    question: Question,
    window: str,
    current: WindowSample | Unavailable,
    reference: str,
) -> Sequence[Judgement]:
    """One window against one reference: a judgement, or one for each segment value asked for."""
    blocks = question.blocks(sampler.watched)
    if isinstance(current, Unavailable):
        return [_without(window, reference, segment, current) for segment in blocks]
    against = sampler.reference(reference, current)
    if isinstance(against, Unavailable):
        return [_without(window, reference, segment, against, current) for segment in blocks]
    return [
        Judgement(
            window=window,
            reference=reference,
            segment=segment,
            provisional=reference == BASELINE and sampler.watched.provisional,
            stands_in=block is not None and bool(against.stands_in[block]),
            current=current.span,
            against=against.span,
            rows=current.rows(block),
            reference_rows=against.rows(block),
            verdicts=judge_block(
                current, against, limits, block=block, evidence_for=question.evidence_for
            ),
            segments=tuple(
                judge_segments(sampler.watched, sampler.packing, current, against, limits)
            )
            if block is None
            else (),
        )
        for segment, block in blocks.items()
    ]


def _without(
    window: str,
    reference: str,
    segment: SegmentValue | None,
    missing: Unavailable,
    current: WindowSample | None = None,
) -> Judgement:
    return Judgement(
        window=window,
        reference=reference,
        segment=segment,
        current=None if current is None else current.span,
        rows=0 if current is None else current.rows(None),
        why=missing.why,
    )


def _findings(judgements: Sequence[Judgement]) -> list[Finding]:
    verdicts = {one.reference: one.verdicts for one in judgements if one.verdicts}
    return summarise(verdicts, baseline=BASELINE, seasons=tuple(STEPS_BACK_S))
