"""CSV (RFC 4180) with a header line; the delimiter is comma, semicolon or tab."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sidecar.dataset.fields import values_of
from sidecar.dataset.reader import CHUNK_ROWS, Advance, Columns, at_line, lines_of
from sidecar.errors import ConfigError

_DELIMITERS: Final = ",;\t"


class CsvFile:
    """A `Reader` of CSV. The delimiter is the one that occurs most often in the header."""

    def __init__(self, path: Path) -> None:
        self.path = path
        header = next(lines_of(path, lambda _: None), "")
        self._delimiter = max(_DELIMITERS, key=header.count)

    def names(self) -> tuple[str, ...]:
        """The fields of the header, each once."""
        header = next(self._records(lambda _: None), (0, []))[1]
        names = tuple(name.strip() for name in header)
        if not any(names):
            raise ConfigError(
                "has no header line with the names of the columns", path=str(self.path)
            )
        if "" in names:
            raise at_line(self.path, 1, f"column {names.index('') + 1} has no name")
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            raise at_line(self.path, 1, f"two columns have the same name: {', '.join(twice)}")
        return names

    def chunks(self, advance: Advance) -> Iterator[tuple[int, Columns]]:
        """The rows below the header; lines without anything are skipped."""
        names = self.names()
        rows: list[list[str]] = []
        for place, (line, record) in enumerate(self._records(advance)):
            if not place:
                continue
            if len(record) != len(names):
                if not record:
                    continue
                fields = f"{len(record)} field{'s' if len(record) != 1 else ''}"
                raise at_line(self.path, line, f"{fields}, where the header has {len(names)}")
            rows.append(record)
            if len(rows) == CHUNK_ROWS:
                yield len(rows), _columns(names, rows)
                rows = []
        if rows:
            yield len(rows), _columns(names, rows)

    def _records(self, advance: Advance) -> Iterator[tuple[int, list[str]]]:
        """The number of the line where a record ends, and its fields."""
        reader = csv.reader(lines_of(self.path, advance), delimiter=self._delimiter, strict=True)
        try:
            for record in reader:
                yield reader.line_num, record
        except csv.Error as error:
            raise at_line(self.path, reader.line_num, f"not CSV: {error}") from error


def _columns(names: tuple[str, ...], rows: list[list[str]]) -> Columns:
    fields = zip(*rows, strict=True)
    return {name: values_of(column) for name, column in zip(names, fields, strict=True)}
