"""What many answers of one shape say, each to a single row: `Answers.read`, column by column.

The rules are those of `answers`; the tests hold both against each other. What only the other way
can tell is left to it: then an answer is not `readable` here.

Must not know: protocols, bodies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sidecar.payload.answers import SUM_TOLERANCE, Answers
from sidecar.payload.extract import Outputs, Value
from sidecar.sketch.distribution import FloatArray
from sidecar.sketch.kernels import IntArray

BoolArray = npt.NDArray[np.bool_]

# Numbers may be added up in another order here: who is so near the tolerance is looked at twice.
_NEAR: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class RowAnswers:
    """Answers to single rows, one per entry; NaN where there is none.

    With `complete` there is a prediction in each.

    predictions: float64[answer]   a number, or its place in `labels` unless that is empty
    scores:      float64[answer]
    confidences: float64[answer]
    """

    predictions: FloatArray
    scores: FloatArray
    confidences: FloatArray
    labels: tuple[Value, ...] = ()
    complete: bool = True

    def of(self, which: BoolArray | IntArray) -> RowAnswers:
        """Some of them."""
        return RowAnswers(
            self.predictions[which],
            self.scores[which],
            self.confidences[which],
            self.labels,
            self.complete,
        )

    def outputs(self, at: int) -> Outputs:
        """One of them, as a codec gives it."""
        prediction = float(self.predictions[at])
        score, confidence = float(self.scores[at]), float(self.confidences[at])
        said: Value = prediction
        if self.labels and not np.isnan(prediction):
            said = self.labels[int(prediction)]
        return Outputs(
            () if np.isnan(prediction) else [said],
            () if np.isnan(score) else [score],
            () if np.isnan(confidence) else [confidence],
        )


def joined(parts: Sequence[RowAnswers]) -> RowAnswers:
    """One after the other; all have the same labels."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return RowAnswers(
        np.concatenate([part.predictions for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.confidences for part in parts]),
        first.labels,
        all(part.complete for part in parts),
    )


def read_rows(
    answers: Answers,
    prediction: FloatArray,
    score: FloatArray,
    texts: Sequence[str] = (),
) -> tuple[RowAnswers, BoolArray | None]:
    """What answers say, and which of them are readable here; None: all.

    prediction: float64[answer, value]   the values of the prediction, perhaps none; with `texts`
                                         one, its place among these
    score:      float64[answer, value]   those of the score

    Nothing is missing among the values.
    """
    values, classes = prediction.shape[1], score.shape[1]
    readable = None
    predictions: FloatArray | None = None
    labels: tuple[Value, ...] = tuple(texts)
    if values == 1:
        predictions = prediction[:, 0]
    elif values > 1 and not classes:
        score, classes = prediction, values
        away = np.abs(score.sum(axis=1) - 1.0)
        readable = (score.min(axis=1) >= 0) & (score.max(axis=1) <= 1)
        readable &= away <= SUM_TOLERANCE - _NEAR
    if classes == 0:
        nothing = np.full(len(prediction), np.nan)
        if predictions is None:
            return RowAnswers(nothing, nothing, nothing, complete=False), None
        return RowAnswers(predictions, nothing, nothing, labels), None
    if classes == 1:
        scores = score[:, 0]
        within = (scores >= 0.0) & (scores <= 1.0)
        confidences = np.where(within, np.maximum(scores, 1.0 - scores), np.nan)
        if predictions is not None:
            return RowAnswers(predictions, scores, confidences, labels), None
        if len(answers.labels) == 2:
            predictions, labels = np.where(within, scores >= 0.5, np.nan), answers.labels
        else:
            predictions = np.full(len(scores), np.nan)
        return RowAnswers(predictions, scores, confidences, labels, complete=False), None
    highest = score.argmax(axis=1)
    confidences = score.max(axis=1)
    place = answers.positive
    if place is None or place >= classes:
        scores = score[:, 1] if classes == 2 else confidences
    else:
        scores = score[:, place]
    if predictions is None:
        predictions = highest.astype(np.float64)
        labels = answers.labels if len(answers.labels) == classes else tuple(range(classes))
    return RowAnswers(predictions, scores, confidences, labels), readable
