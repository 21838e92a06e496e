"""What the monitor found, as records have it.

Most exchanges are read many at once (`RowAnswers`); what they say is taken out of the arrays for
all of them in one go.

Must not know: how a record is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from math import isfinite
from typing import Final

from sidecar.monitor import Ended, Findings, Found
from sidecar.payload import Outputs, Value
from sidecar.payload.row_answers import RowAnswers
from sidecar.records import MOST_PREDICTIONS

LONGEST_PREDICTION: Final = 200
"""Characters of a prediction that is a text: classes have names, and all else is a body."""

NOTHING_FOUND: Final[Found] = (0, (), False, (), {}, None)

Segments = dict[str, str | None]

_NO_SEGMENTS: Final[Segments] = {}


def notes(findings: Findings) -> Iterable[Found]:
    """What was found in each exchange, as its record has it."""
    said = findings.said
    segments = _segments(findings)
    if isinstance(said, RowAnswers):
        return zip(
            repeat(1),
            _predictions(said),
            repeat(False),
            _scores(said),
            segments,
            findings.unusual,
            strict=False,  # segments may never end
        )
    return [
        _of_outputs(said, _rows_of(one), of_one, unusual)
        for one, of_one, unusual in zip(
            findings.exchanges, segments, findings.unusual, strict=False
        )
    ]


def _rows_of(ended: Ended) -> int:
    inputs = ended.request.inputs
    return 1 if inputs is None else len(inputs.rows)


def _of_outputs(said: Outputs | None, rows: int, segments: Segments, unusual: float) -> Found:
    if said is None:
        return rows, (), False, (), segments, unusual
    predictions = [_writable(value) for value in said.predictions[:MOST_PREDICTIONS]]
    scores = [value if isfinite(value) else None for value in said.scores[:MOST_PREDICTIONS]]
    count = len(said.predictions)
    return rows or count, predictions, count > MOST_PREDICTIONS, scores, segments, unusual


def _predictions(answers: RowAnswers) -> list[tuple[Value, ...]]:
    """What each of many answers predicts for its only row."""
    labels = [(_writable(label),) for label in answers.labels]
    values = answers.predictions.tolist()
    if labels and answers.complete:
        return [labels[int(value)] for value in values]
    return [
        () if value != value else labels[int(value)] if labels else (_writable(value),)  # noqa: PLR0124 -- NaN
        for value in values
    ]


def _scores(answers: RowAnswers) -> list[tuple[float, ...]]:
    return [(value,) if isfinite(value) else () for value in answers.scores.tolist()]


def _segments(findings: Findings) -> Iterable[Segments]:
    """The segments of each exchange, by the names of their keys."""
    if not findings.segments:
        return repeat(_NO_SEGMENTS)
    names = findings.names
    return [dict(zip(names, texts, strict=True)) for texts in findings.segments]


def _writable(value: Value) -> Value:
    """A prediction as a record has it: a text of bounded length, a number that JSON can write."""
    if isinstance(value, str):
        return value[:LONGEST_PREDICTION]
    return None if isinstance(value, float) and not isfinite(value) else value
