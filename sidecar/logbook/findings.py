"""What the monitor found in an exchange, as a record has it.

Most exchanges are read many at once (`RowAnswers`); what they say is then taken out of the arrays
for all of them in one go, when the first is asked for.

Must not know: how a record is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final

from sidecar.monitor import Observation
from sidecar.payload import Value
from sidecar.payload.row_answers import RowAnswers
from sidecar.records import MOST_PREDICTIONS

LONGEST_PREDICTION: Final = 200
"""Characters of a prediction that is a text: classes have names, and all else is a body."""

Predictions = Sequence[Value]
Scores = Sequence[float | None]
Segments = Mapping[str, str | None]

Found = tuple[int, Predictions, bool, Scores, Segments]
"""Rows, predictions, whether there are more of them, scores, segments."""

NOTHING_FOUND: Final[Found] = (0, (), False, (), {})

_NO_SEGMENTS: Final[Segments] = {}


class Findings:
    """Makes them. What was taken out of arrays is remembered until `forget`."""

    def __init__(self) -> None:
        self._at_once: dict[RowAnswers, tuple[list[Predictions], list[Scores]]] = {}

    def forget(self) -> None:
        """Let go of the arrays: others follow."""
        self._at_once.clear()

    def of(self, observed: Observation) -> Found:
        """What was found in one exchange."""
        said = observed.said
        segments = _segments(observed) if observed.segments else _NO_SEGMENTS
        if isinstance(said, tuple):
            answers, at = said
            known = self._at_once.get(answers)
            if known is None:
                known = self._at_once[answers] = _rows(answers)
            return 1, known[0][at], False, known[1][at], segments
        inputs = observed.finished.request.inputs
        rows = 1 if inputs is None else len(inputs.rows)
        if said is None:
            return rows, (), False, (), segments
        predictions = [_writable(value) for value in said.predictions[:MOST_PREDICTIONS]]
        scores = [value if isfinite(value) else None for value in said.scores[:MOST_PREDICTIONS]]
        count = len(said.predictions)
        return rows or count, predictions, count > MOST_PREDICTIONS, scores, segments


def _rows(answers: RowAnswers) -> tuple[list[Predictions], list[Scores]]:
    """What each of many answers says of its only row."""
    labels = [(_writable(label),) for label in answers.labels]
    predictions: list[Predictions] = [
        () if value != value else labels[int(value)] if labels else (_writable(value),)  # noqa: PLR0124 -- NaN
        for value in answers.predictions.tolist()
    ]
    scores: list[Scores] = [
        (value,) if isfinite(value) else () for value in answers.scores.tolist()
    ]
    return predictions, scores


def _segments(observed: Observation) -> Segments:
    keys = observed.finished.watcher.watch.segments
    return {key.name: text for key, text in zip(keys, observed.segments, strict=True)}


def _writable(value: Value) -> Value:
    """A prediction as a record has it: a text of bounded length, a number that JSON can write."""
    if isinstance(value, str):
        return value[:LONGEST_PREDICTION]
    return None if isinstance(value, float) and not isfinite(value) else value
