"""Which of a model's outputs is the prediction and which holds probabilities, and what they say.

Protocols name outputs and give no name a meaning, so these are the defaults, in this order; the
settings `prediction` and `score` outrank them:

    prediction   predict, prediction, predictions, predicted_label, label, labels, class, classes,
                 output_label, y_pred, else the only output besides the score
    score        predict_proba, probabilities, probability, proba, output_probability, scores,
                 score, y_pred_proba

An output is a value per row, or a vector per row. A vector of the score holds the probabilities of
the classes: its row's score is that of the class `positive`, by default the last of two, and with
more classes the highest. A value is taken as the probability of the positive class. An output that
nobody named and whose vectors are distributions (within [0, 1], sum 1) is a score, too.

Where there is no prediction, it is the most probable class: its label, or its place.

Must not know: protocols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.payload.columns import Column
from sidecar.payload.extract import Inputs, Outputs, Undecodable, Value
from sidecar.payload.names import Reason
from sidecar.payload.settings import PayloadSettings

PREDICTION_NAMES: Final = (
    "predict", "prediction", "predictions", "predicted_label", "label", "labels", "class",
    "classes", "output_label", "y_pred",
)  # fmt: skip
"""Outputs that are the prediction unless the settings name another; the first that is there."""

SCORE_NAMES: Final = (
    "predict_proba", "probabilities", "probability", "proba", "output_probability", "scores",
    "score", "y_pred_proba",
)  # fmt: skip
"""Outputs that hold scores or probabilities, likewise."""

_NUMBERS: Final = frozenset({float, int})
_NAN: Final = float("nan")
# Half precision and softmax in float32 leave sums a little beside 1; two votes of three do not.
SUM_TOLERANCE: Final = 0.01
_LONGEST_PLACE: Final = 4  # digits
_MOST_CHOICES: Final = 64  # sets of output names remembered; a model has one or two


@dataclass(frozen=True, slots=True)
class Choice:
    """The names of the outputs that are read; at least one."""

    prediction: str | None
    score: str | None


class Answers:
    """Reads outputs by name as the settings, or the defaults, say.

    `labels` are those of the classes, `positive` is the place of the positive one, where said.
    """

    def __init__(self, settings: PayloadSettings) -> None:
        self._prediction = settings.prediction
        self._score = settings.score
        self.labels = settings.labels
        self.positive = _place_of(settings.positive, settings.labels)
        self._choices: dict[tuple[str, ...], Choice] = {}

    def choose(self, names: tuple[str, ...]) -> Choice:
        """Which of the outputs are read. Raises Undecodable when none is known to be anything."""
        return self._choices.get(names) or self._choose(names)

    def read(
        self, prediction: Column | None, score: Column | None, inputs: Inputs | None
    ) -> Outputs:
        """What the chosen outputs say in answer to `inputs`. Raises Undecodable."""
        predictions: Sequence[Value] = ()
        if inputs is not None and len(inputs.rows) == 1:
            prediction, score = _one_row(prediction), _one_row(score)
        if prediction is not None:
            predictions = prediction.values
            if prediction.vectors and score is None:
                score = prediction
                if not all(map(is_distribution, score.vectors)):
                    raise Undecodable(
                        Reason.SHAPE,
                        "several values per row that are no probabilities: if they are scores of "
                        "classes, name the output in `payload.score`",
                    )
        if score is None:
            return Outputs(predictions)
        if score.vectors:
            return self._of_vectors(predictions, score.vectors)
        return self._of_values(predictions, score.values)

    def read_row(self, name: str, values: Sequence[Value]) -> Outputs:
        """What the only output says in answer to a single row. Raises Undecodable.

        The same as `read` would find, which is the usual answer's longer way.
        """
        choice = self.choose((name,))
        if choice.score != name:
            return self.read(*_one_column(values), None)
        if len(values) > 1:
            return self._of_vectors((), (values,))
        return self._of_values((), values)

    def _choose(self, names: tuple[str, ...]) -> Choice:
        score = self._score if self._score in names else None
        if self._score is None:
            score = _first(SCORE_NAMES, names, besides=self._prediction)
        prediction = self._prediction if self._prediction in names else None
        if self._prediction is None:
            prediction = _first(PREDICTION_NAMES, names, besides=score)
            others = [name for name in names if name != score]
            if prediction is None and len(others) == 1:
                prediction = others[0]
        if prediction is None and score is None:
            raise Undecodable(
                Reason.SHAPE,
                f"{len(names)} outputs, none of them known to be the prediction: name it in "
                "`payload.prediction`",
            )
        choice = Choice(prediction, score)
        if len(self._choices) < _MOST_CHOICES:
            self._choices[names] = choice
        return choice

    def _of_vectors(
        self, predictions: Sequence[Value], vectors: Sequence[Sequence[Value]]
    ) -> Outputs:
        scores: list[float] = []
        confidences: list[float] = []
        likeliest: list[Value] = []
        for vector in vectors:
            numbers = _numbers(vector)
            if numbers is None:
                scores.append(_NAN)
                confidences.append(_NAN)
                likeliest.append(None)
                continue
            classes = len(numbers)
            highest = max(numbers)
            place = self.positive
            if place is None or place >= classes:
                place = 1 if classes == 2 else numbers.index(highest)
            scores.append(float(numbers[place]))
            confidences.append(float(highest))
            if not predictions:
                likeliest.append(self._label(numbers.index(highest), classes))
        return Outputs(predictions or likeliest, scores, confidences)

    def _of_values(self, predictions: Sequence[Value], values: Sequence[Value]) -> Outputs:
        scores = [float(v) if isinstance(v, float | int) else _NAN for v in values]
        if not all(0.0 <= score <= 1.0 or score != score for score in scores):  # noqa: PLR0124 - NaN
            return Outputs(predictions, scores)  # a margin or a rank: nothing says how sure it is
        confidences = [max(score, 1.0 - score) for score in scores]
        if not predictions and len(self.labels) == 2:
            predictions = [
                None if score != score else self._label(int(score >= 0.5), 2)  # noqa: PLR0124 - NaN
                for score in scores
            ]
        return Outputs(predictions, scores, confidences)

    def _label(self, place: int, classes: int) -> Value:
        return self.labels[place] if len(self.labels) == classes else place


def _place_of(positive: str | None, labels: tuple[str, ...]) -> int | None:
    """Where the positive class stands among the probabilities; None where nobody said."""
    if positive is None:
        return None
    if positive in labels:
        return labels.index(positive)
    return int(positive) if positive.isdecimal() and len(positive) <= _LONGEST_PLACE else None


def _first(known: tuple[str, ...], names: tuple[str, ...], besides: str | None) -> str | None:
    return next((name for name in known if name in names and name != besides), None)


def _one_row(column: Column | None) -> Column | None:
    """Several values in answer to one row are that row's vector."""
    if column is not None and len(column.values) > 1:
        return Column((), [column.values])
    return column


def _one_column(values: Sequence[Value]) -> tuple[Column, None]:
    """The prediction of a single row, and no score."""
    return (Column(values) if len(values) == 1 else Column((), [values])), None


def is_distribution(vector: Sequence[Value]) -> bool:
    """Whether these can be the probabilities of two classes or more."""
    numbers = _numbers(vector)
    return (
        numbers is not None
        and len(numbers) >= 2
        and min(numbers) >= 0.0
        and max(numbers) <= 1.0
        and abs(sum(numbers) - 1.0) <= SUM_TOLERANCE
    )


def _numbers(vector: Sequence[Value]) -> Sequence[float] | None:
    """The vector, if it holds nothing but numbers."""
    return vector if _NUMBERS.issuperset(map(type, vector)) else None  # type: ignore[return-value]
