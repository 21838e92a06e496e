"""JSON Lines: an object a line, a column for each key; a key that a row lacks is missing there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from sidecar.baseline.counting import Values
from sidecar.dataset.reader import CHUNK_ROWS, Advance, Columns, at_line, lines_of

_NUMBERS: Final = {float, int, type(None)}
_PLAIN: Final = {*_NUMBERS, str, bool}


class JsonlFile:
    """A `Reader` of JSON Lines. `NaN` and `Infinity` are read as well, as Python writes them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> None:
        """Rows may differ."""

    def chunks(self, advance: Advance) -> Iterator[tuple[int, Columns]]:
        """The rows; blank lines are skipped."""
        rows: list[dict[str, Any]] = []
        first_line = 1
        for number, line in enumerate(lines_of(self.path, advance), start=1):
            if not line.strip():
                continue
            rows.append(self._row(number, line, first=not rows and first_line == 1))
            if len(rows) == CHUNK_ROWS:
                yield len(rows), self._columns(rows)
                rows, first_line = [], number + 1
        if rows:
            yield len(rows), self._columns(rows)

    def _row(self, number: int, line: str, *, first: bool) -> dict[str, Any]:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = self._leniently(number, line)
        if not isinstance(row, dict):
            hint = "; a list of objects is no JSON Lines: one object a line" * (number == 1)
            raise at_line(self.path, number, f"no JSON object{hint}")
        if not _PLAIN.issuperset(map(type, row.values())):
            name = next(key for key, value in row.items() if type(value) not in _PLAIN)
            raise at_line(
                self.path, number, f"{name} holds a list or an object; columns hold single values"
            )
        if first:
            self._require_distinct_keys(number, line)
        return row

    def _leniently(self, number: int, line: str) -> Any:  # noqa: ANN401 - whatever the line holds
        try:
            return json.loads(line)
        except (ValueError, RecursionError) as error:
            raise at_line(self.path, number, f"not JSON: {error}") from error

    def _require_distinct_keys(self, number: int, line: str) -> None:
        """Raise ConfigError when a key stands twice; looked for in the first row only."""
        pairs = json.loads(line, object_pairs_hook=list)
        twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
        if twice:
            raise at_line(self.path, number, f"two columns have the same name: {', '.join(twice)}")

    def _columns(self, rows: list[dict[str, Any]]) -> Columns:
        names = dict.fromkeys(key for row in rows for key in row)
        return {name: _values([row.get(name) for row in rows]) for name in names}


def _values(values: list[Any]) -> Values:
    """`float64[n]` when there are only numbers that it can hold."""
    if _NUMBERS.issuperset(map(type, values)):
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:  # an integer of hundreds of digits
            return values
    return values
