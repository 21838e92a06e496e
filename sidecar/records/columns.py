"""Records as rows of a table: the columns of Parquet files, and what each takes from a record.

What was captured stands beside the rest; of a record without bodies its columns are null. Bodies
are bytes, so their encodings are no columns. A column has one type, so predictions are texts, in
the one spelling of a category (`sidecar.model.categories`): `3` whether a model says 3 or 3.0.
Times end at microseconds: Spark refuses nanoseconds, and DuckDB's functions of time do.

Must not know: Arrow, files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from sidecar.model.categories import category_of
from sidecar.records.codec import UNKNOWN
from sidecar.records.fields import CAPTURED_FIELDS, FIELDS, Kind
from sidecar.records.record import Record

PARQUET: Final = {
    Kind.TEXT: "BYTE_ARRAY, STRING",
    Kind.INTEGER: "INT64",
    Kind.NUMBER: "DOUBLE",
    Kind.TRUTH: "BOOLEAN",
    Kind.TIME: "INT64, TIMESTAMP (UTC, microseconds)",
    Kind.BYTES: "BYTE_ARRAY",
    Kind.TEXTS: "LIST of STRING",
    Kind.NUMBERS: "LIST of DOUBLE",
    Kind.TEXT_BY_NAME: "MAP of STRING to STRING",
    Kind.PAIRS: "LIST of group {name, value}",
}
"""The types of Parquet."""

AVRO: Final = {
    Kind.TEXT: "string",
    Kind.INTEGER: "long",
    Kind.NUMBER: "double",
    Kind.TRUTH: "boolean",
    Kind.TIME: "long, timestamp-micros",
    Kind.BYTES: "bytes",
    Kind.TEXTS: "array of string or null",
    Kind.NUMBERS: "array of double or null",
    Kind.TEXT_BY_NAME: "map of string or null",
    Kind.PAIRS: "array of record {name, value}",
}
"""The types of Avro; what may be missing is a union with null."""

NS_PER_US: Final = 1000

WHY: Final = "captured_why"
"""What the field `why` is called where it stands beside the rest."""


class Column(Struct, frozen=True):
    """A column: its name and type, whether it may be null, and its value in a record.

    Values are str, int, float, bool, bytes or None by kind; of TIME microseconds since 1970, of
    TEXTS and NUMBERS lists, of TEXT_BY_NAME and PAIRS lists of pairs.
    """

    name: str
    kind: Kind
    optional: bool
    meaning: str
    of: Callable[[Record], Any]


def columns() -> tuple[Column, ...]:
    """The columns of a table of records, in their order."""
    return (
        *(Column(one.name, one.kind, one.optional, one.meaning, _read(one.name)) for one in FIELDS),
        *(
            Column(
                WHY if one.name == "why" else one.name,
                one.kind,
                True,
                one.meaning,
                _captured(one.name),
            )
            for one in CAPTURED_FIELDS
            if not one.name.endswith("_encoding")
        ),
    )


def _read(name: str) -> Callable[[Record], Any]:
    special = _SPECIAL.get(name)
    if special is not None:
        return special
    if name.endswith("_ns"):
        return lambda record: _known(getattr(record, name))
    return lambda record: getattr(record, name)


def _captured(name: str) -> Callable[[Record], Any]:
    if name.endswith("_cut"):
        return lambda record: record.captured and _known(getattr(record.captured, name))
    if name.endswith("_headers"):
        return lambda record: record.captured and list(getattr(record.captured, name))
    return lambda record: record.captured and getattr(record.captured, name)


def _known(value: int) -> int | None:
    return None if value == UNKNOWN else value


_SPECIAL: Final[dict[str, Callable[[Record], Any]]] = {
    "at": lambda record: record.at_ns // NS_PER_US,
    "predictions": lambda record: [
        None if value is None else category_of(value) for value in record.predictions
    ],
    "scores": lambda record: list(record.scores),
    "segments": lambda record: list(record.segments.items()),
}
