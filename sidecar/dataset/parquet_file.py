"""Parquet, with pyarrow (the extra `parquet`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sidecar.baseline.counting import Values
from sidecar.dataset.reader import CHUNK_ROWS, Advance, Columns, unreadable
from sidecar.errors import ConfigError


class ParquetFile:
    """A `Reader` of Parquet; progress is told by row groups."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to load
            import pyarrow.parquet  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                "reading Parquet needs pyarrow: pip install 'model-sidecar[parquet]'",
                path=str(path),
            ) from error
        self._arrow = pa

    def names(self) -> tuple[str, ...]:
        """The columns of the schema, each once and none nested."""
        with self._open() as file:
            schema = file.schema_arrow
        twice = [name for name, times in Counter(schema.names).items() if times > 1]
        if twice:
            raise ConfigError(
                f"two columns have the same name: {', '.join(twice)}", path=str(self.path)
            )
        for field in schema:
            if self._arrow.types.is_nested(field.type):
                raise ConfigError(
                    f"{field.name} holds {field.type}; columns hold single values",
                    path=str(self.path),
                )
        return tuple(schema.names)

    def chunks(self, advance: Advance) -> Iterator[tuple[int, Columns]]:
        """The rows."""
        self.names()
        size = self.path.stat().st_size
        with self._open() as file:
            total, rows, told = max(file.metadata.num_rows, 1), 0, 0
            for batch in self._batches(file):
                names = batch.schema.names
                columns = zip(names, batch.columns, strict=True)
                yield batch.num_rows, {name: self._values(column) for name, column in columns}
                rows += batch.num_rows
                advance(size * rows // total - told)
                told = size * rows // total

    def _open(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        try:
            return self._arrow.parquet.ParquetFile(self.path)
        except (OSError, self._arrow.ArrowException) as error:
            raise self._refused(error) from error

    def _batches(self, file: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
        """Damage inside of a file is found when its pages are read."""
        batches = file.iter_batches(batch_size=CHUNK_ROWS)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, self._arrow.ArrowException) as error:
                raise self._refused(error) from error
            if batch is None:
                return
            yield batch

    def _refused(self, error: Exception) -> ConfigError:
        """In words; damage is an OSError of pyarrow too, one without a number."""
        if isinstance(error, OSError) and error.errno is not None:
            return unreadable(self.path, error)
        return ConfigError(f"not Parquet, or damaged: {error}", path=str(self.path))

    def _values(self, column: Any) -> Values:  # noqa: ANN401 - pyarrow has no types
        types = self._arrow.types
        if types.is_integer(column.type) or types.is_floating(column.type):
            numbers = column.cast(self._arrow.float64(), safe=False)
            return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
        if types.is_decimal(column.type):
            return [None if value is None else float(value) for value in column.to_pylist()]
        plain: list[Any] = column.to_pylist()
        if types.is_boolean(column.type):
            return plain
        return [None if value is None else str(value) for value in plain]
