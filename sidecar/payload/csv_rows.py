"""CSV: a row a line, as MLflow takes it with a header and SageMaker's containers without.

A cell is a number where it reads like one, missing where it is empty or `NaN`, else a category. An
answer's columns are called by its header, else `0`, `1`, ...; where the settings name none of them,
the first is the prediction, one more its score, several more the probabilities of the classes, and
lines that are distributions as a whole are all probabilities.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from sidecar.payload.answers import Answers, is_distribution
from sidecar.payload.columns import Column, column_of_matrix
from sidecar.payload.decode import content_of
from sidecar.payload.extract import Body, Inputs, Outputs, Undecodable, Value
from sidecar.payload.forms import Forms
from sidecar.payload.instances import INPUT
from sidecar.payload.names import Reason

_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none"})
_LONGEST_INTEGER: Final = 20  # characters; as in JSON: beyond 64 bits a number is a float


class CsvBodies:
    """A codec of CSV.

    `header` says whether the first line holds names; None: it does if none of its cells is a
    number, and more lines follow. `by_name`: the settings name an output.
    """

    def __init__(
        self,
        forms: Forms,
        answers: Answers,
        max_bytes: int,
        *,
        header: bool | None,
        by_name: bool = False,
    ) -> None:
        self._forms = forms
        self._answers = answers
        self._max_bytes = max_bytes
        self._header = header
        self._by_name = by_name

    def read_request(self, body: Body) -> Inputs:
        """See Codec."""
        lines = self._lines(body)
        if self._has_header(lines):
            names = tuple(cell.strip() for cell in lines[0])
            return self._forms.named(names, _values(lines[1:], len(names)))
        width = len(lines[0])
        return self._forms.bare(INPUT, width, _values(lines, width))

    def read_response(self, body: Body, inputs: Inputs | None = None) -> Outputs:
        """See Codec."""
        lines = self._lines(body)
        if self._has_header(lines):
            names = tuple(cell.strip() for cell in lines[0])
            return self._named(names, _values(lines[1:], len(names)), inputs)
        width = len(lines[0])
        rows = _values(lines, width)
        if self._by_name:
            return self._named(tuple(map(str, range(width))), rows, inputs)
        if all(map(is_distribution, rows)):
            return self._answers.read(None, column_of_matrix(rows), inputs)
        rest = column_of_matrix([row[1:] for row in rows]) if width > 1 else None
        return self._answers.read(Column([row[0] for row in rows]), rest, inputs)

    def _named(
        self, names: tuple[str, ...], rows: list[list[Value]], inputs: Inputs | None
    ) -> Outputs:
        choice = self._answers.choose(names)
        prediction, score = (
            None if name is None else Column([row[names.index(name)] for row in rows])
            for name in (choice.prediction, choice.score)
        )
        return self._answers.read(prediction, score, inputs)

    def _lines(self, body: Body) -> list[list[str]]:
        try:
            text = str(content_of(body, self._max_bytes), "utf-8-sig")
            lines = [line for line in csv.reader(io.StringIO(text, newline="")) if line]
        except UnicodeDecodeError:
            raise Undecodable(Reason.SHAPE, "CSV that is not UTF-8") from None
        except csv.Error:
            raise Undecodable(Reason.SHAPE, "no CSV") from None
        if not lines:
            raise Undecodable(Reason.SHAPE, "CSV without a line")
        return lines

    def _has_header(self, lines: list[list[str]]) -> bool:
        if self._header is not None:
            return self._header
        return len(lines) > 1 and all(isinstance(_value(cell), str) for cell in lines[0])


def _values(lines: list[list[str]], width: int) -> list[list[Value]]:
    if any(len(line) != width for line in lines):
        raise Undecodable(Reason.SHAPE, "lines of different widths")
    return [list(map(_value, line)) for line in lines]


def _value(cell: str) -> Value:
    text = cell.strip()
    try:
        number = float(text)
    except ValueError:
        return None if text.lower() in _MISSING else text
    if number != number:  # noqa: PLR0124 - NaN
        return None
    if "_" in text:  # which only Python's own literals allow
        return text
    whole = text.lstrip("+-").isdecimal() and len(text) < _LONGEST_INTEGER
    return int(text) if whole else number
