"""Several files as one set of rows. All have the same columns; the suffix tells how to read one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from sidecar.baseline.records import Source
from sidecar.baseline.roles import Chunk
from sidecar.dataset.csv_file import CsvFile
from sidecar.dataset.jsonl_file import JsonlFile
from sidecar.dataset.parquet_file import ParquetFile
from sidecar.dataset.reader import Advance, Reader, sha256_of
from sidecar.errors import ConfigError

READERS: Final[Mapping[str, type[CsvFile | JsonlFile | ParquetFile]]] = {
    ".csv": CsvFile,
    ".tsv": CsvFile,
    ".jsonl": JsonlFile,
    ".ndjson": JsonlFile,
    ".json": JsonlFile,
    ".parquet": ParquetFile,
    ".pq": ParquetFile,
}


class Dataset:
    """Rows of all files, one after the other."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers
        self._rows = [0] * len(readers)
        self._require_same_columns()

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(reader.path.stat().st_size for reader in self._readers)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The columns, in the order of the first file; None when only reading tells."""
        return next((names for reader in self._readers if (names := reader.names())), None)

    def chunks(self, advance: Advance) -> Iterator[Chunk]:
        """All rows, numbered from 1. Raises ConfigError when there are none."""
        first_row = 1
        for place, reader in enumerate(self._readers):
            before = first_row
            for rows, columns in reader.chunks(advance):
                yield Chunk(first_row, rows, columns)
                first_row += rows
            self._rows[place] = first_row - before
            if first_row == before:
                raise ConfigError("has no rows", path=str(reader.path))

    def sources(self) -> tuple[Source, ...]:
        """The files as a baseline names them, after they have been read."""
        return tuple(
            Source(
                name=reader.path.name,
                sha256=sha256_of(reader.path),
                bytes=reader.path.stat().st_size,
                rows=rows,
            )
            for reader, rows in zip(self._readers, self._rows, strict=True)
        )

    def _require_same_columns(self) -> None:
        named = [(reader.path, names) for reader in self._readers if (names := reader.names())]
        for path, names in named[1:]:
            first_path, first = named[0]
            if set(names) != set(first):
                lacks = ", ".join(sorted(set(first) - set(names)))
                more = ", ".join(sorted(set(names) - set(first)))
                said = [f"lacks {lacks}"] * bool(lacks) + [f"also has {more}"] * bool(more)
                raise ConfigError(f"{' and '.join(said)}, unlike {first_path.name}", path=str(path))


def open_dataset(paths: Sequence[Path]) -> Dataset:
    """The rows of these files. Raises ConfigError: not there, unreadable, or of no known kind."""
    readers = []
    for path in paths:
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            known = ", ".join(READERS)
            raise ConfigError(f"what kind of file is it? Known suffixes: {known}", path=str(path))
        if not path.is_file():
            raise ConfigError("there is no such file", path=str(path))
        readers.append(reader(path))
    return Dataset(readers)
