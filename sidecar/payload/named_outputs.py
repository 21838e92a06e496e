"""Outputs of an answer as JSON writes them: bare, by row, or by column.

[1, 0]                          one output, called what the protocol calls it
[[0.2, 0.8], [0.9, 0.1]]        the same, a vector per row
[{"label": 1, "score": 0.8}]    several outputs, row by row
{"label": [1], "score": [0.8]}  several outputs, column by column
1                               one output of one row
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from sidecar.payload.answers import Answers
from sidecar.payload.columns import SCALARS, Column, column_of
from sidecar.payload.extract import Inputs, Outputs, Undecodable
from sidecar.payload.names import Reason


def read_named_outputs(
    found: object, default: str, answers: Answers, inputs: Inputs | None
) -> Outputs:
    """What the outputs say; `default` is the name of a bare one. Raises Undecodable."""
    if type(found) in SCALARS and found is not None:
        found = [found]
    if type(found) is list and found and type(found[0]) is dict:
        named = _by_row(found)
    elif type(found) is dict:
        named = found
    elif type(found) is list:
        named = {default: found}
    else:
        raise Undecodable(Reason.SHAPE, "outputs that are neither list nor object")
    choice = answers.choose(tuple(named))
    prediction = None if choice.prediction is None else _column(named[choice.prediction])
    score = None if choice.score is None else _column(named[choice.score])
    return answers.read(prediction, score, inputs)


def _column(entries: object) -> Column:
    return column_of(entries) if type(entries) is list else column_of([entries])


def _by_row(rows: list[Any]) -> dict[str, list[Any]]:
    if any(type(row) is not dict for row in rows):
        raise Undecodable(Reason.SHAPE, "rows of different kinds")
    names = rows[0] if len(rows) == 1 else dict.fromkeys(chain.from_iterable(rows))
    return {name: [row.get(name) for row in rows] for name in names}
