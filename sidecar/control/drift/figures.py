"""What is said of a window by itself, without anything to compare it with."""

from __future__ import annotations

from typing import Final

from sidecar.baseline import Baseline
from sidecar.control.drift.judgements import Figures
from sidecar.control.drift.samples import WindowSample
from sidecar.drift import Side, evidence
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch import Distribution

CONFIDENCE: Final = "confidence"
"""The column of highest probabilities, where scores are probabilities."""


def figures_of(sample: WindowSample) -> Figures:
    """The figures of everything in a window."""
    distributions = sample.distributions()
    predictions = [one for one in distributions if one.column.part is ColumnPart.PREDICTION]
    confidences = [
        one
        for one in distributions
        if one.column.part is ColumnPart.SCORE and one.column.name == CONFIDENCE
    ]
    return Figures(
        rows=sample.rows(),
        missing={one.column.name: one.missing / one.rows for one in distributions if one.rows},
        positive_rate=_positives(predictions[0], sample.watched.baseline) if predictions else None,
        confidence=_side(confidences[0]).mean if confidences else None,
    )


def _positives(predictions: Distribution, baseline: Baseline | None) -> float | None:
    """The share of the class that the baseline calls positive, else of the usual one of two."""
    column, count = predictions.column, predictions.count
    positive = None if baseline is None else baseline.positive
    if count and column.kind is ColumnKind.CATEGORICAL and positive in column.categories:
        return int(predictions.values[column.categories.index(positive)]) / count
    return _side(predictions).positive_rate


def _side(distribution: Distribution) -> Side:
    """What a distribution says of itself: one side of a comparison, here with itself."""
    return evidence(distribution, distribution).current
