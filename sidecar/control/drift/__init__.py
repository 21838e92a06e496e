"""Watches for drift: after each snapshot, every window of every model against every reference."""

from sidecar.control.drift.detail import FeatureDetail, SegmentOutcome
from sidecar.control.drift.judgements import (
    Figures,
    Judgement,
    Round,
    SegmentJudgement,
    SegmentValue,
    WatchJudgements,
)
from sidecar.control.drift.question import Question
from sidecar.control.drift.watch import DriftWatch, Observed

__all__ = [
    "DriftWatch",
    "FeatureDetail",
    "Figures",
    "Judgement",
    "Observed",
    "Question",
    "Round",
    "SegmentJudgement",
    "SegmentOutcome",
    "SegmentValue",
    "WatchJudgements",
]
