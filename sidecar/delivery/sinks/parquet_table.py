"""Records as a Parquet file, with the columns that `sidecar.records.columns` declares.

`model` is no column of the file: it stands in the path, as `date` does, and readers that know
Hive's partitions (DuckDB, Spark, pyarrow, Ray) make columns of both. pyarrow refuses a column that
is in both places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from sidecar.config.sinks import ParquetCompression
from sidecar.delivery.sinks.libraries import library
from sidecar.records import SCHEMA_VERSION, Record, columns
from sidecar.records.fields import Kind

PARTITIONED_BY: Final = ("date", "model")

VERSION_KEY: Final = "sidecar.record.version"
"""In the file's metadata: the version of the records' schema."""


class Unwritable(Exception):  # noqa: N818 - an outcome
    """A value that its column cannot hold."""


class ParquetTable:
    """Writes records as Parquet. Blocking: some 20 us of CPU a record."""

    def __init__(self, compression: ParquetCompression) -> None:
        self._arrow = library("pyarrow", "parquet")
        self._parquet = library("pyarrow.parquet", "parquet")
        self._columns = [one for one in columns() if one.name not in PARTITIONED_BY]
        self._compression = compression.value
        pa = self._arrow
        self._schema = pa.schema(
            [
                pa.field(one.name, _TYPES[one.kind](pa), nullable=one.optional)
                for one in self._columns
            ],
            metadata={VERSION_KEY: str(SCHEMA_VERSION)},
        )

    def file_of(self, records: Sequence[Record]) -> bytes:
        """A whole file with one row group. Raises Unwritable."""
        pa = self._arrow
        try:
            arrays = [
                pa.array([column.of(record) for record in records], type=field.type)
                for column, field in zip(self._columns, self._schema, strict=True)
            ]
        except (pa.ArrowException, OverflowError, UnicodeError) as error:
            raise Unwritable(f"no Parquet can be made of it: {type(error).__name__}") from None
        table = pa.table(arrays, schema=self._schema)
        content = pa.BufferOutputStream()
        self._parquet.write_table(
            table, content, compression=self._compression, row_group_size=len(records)
        )
        written: bytes = content.getvalue().to_pybytes()
        return written

    def release(self) -> None:
        """Give memory back that Arrow keeps for the next table."""
        self._arrow.default_memory_pool().release_unused()


_TYPES: Final[Mapping[Kind, Callable[[Any], Any]]] = MappingProxyType(
    {
        Kind.TEXT: lambda pa: pa.string(),
        Kind.INTEGER: lambda pa: pa.int64(),
        Kind.NUMBER: lambda pa: pa.float64(),
        Kind.TRUTH: lambda pa: pa.bool_(),
        Kind.TIME: lambda pa: pa.timestamp("us", "UTC"),
        Kind.BYTES: lambda pa: pa.binary(),
        Kind.TEXTS: lambda pa: pa.list_(pa.string()),
        Kind.NUMBERS: lambda pa: pa.list_(pa.float64()),
        Kind.TEXT_BY_NAME: lambda pa: pa.map_(pa.string(), pa.string()),
        Kind.PAIRS: lambda pa: pa.list_(pa.struct({"name": pa.string(), "value": pa.string()})),
    }
)
