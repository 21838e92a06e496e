"""Every field of a record: its name in JSON, what it says there, what its column holds.

The one table from which the JSON Schema, the columns of Parquet files and docs/record.md are made.
A test holds it to `Record`.

Must not know: how anything of it is written.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from sidecar.model import Role, StatusClass
from sidecar.records.codec import BASE64, UTF_8
from sidecar.records.record import MOST_PREDICTIONS, SCHEMA_VERSION, Why, Withheld

_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"


class Kind(StrEnum):
    """What a column holds; the values are the types as Arrow writes them."""

    TEXT = "string"
    INTEGER = "int64"
    NUMBER = "double"
    TRUTH = "bool"
    TIME = "timestamp[us, tz=UTC]"
    BYTES = "binary"
    TEXTS = "list<string>"
    NUMBERS = "list<double>"
    TEXT_BY_NAME = "map<string, string>"
    PAIRS = "list<struct<name: string, value: string>>"


class Field(Struct, frozen=True):
    """A field. `json` is its schema without null, which an `optional` one may be."""

    name: str
    kind: Kind
    json: dict[str, Any]
    meaning: str
    optional: bool = False


def _text(name: str, meaning: str, *, optional: bool = False) -> Field:
    return Field(name, Kind.TEXT, {"type": "string"}, meaning, optional)


def _count(name: str, meaning: str, *, optional: bool = False) -> Field:
    return Field(name, Kind.INTEGER, {"type": "integer", "minimum": 0}, meaning, optional)


def _truth(name: str, meaning: str) -> Field:
    return Field(name, Kind.TRUTH, {"type": "boolean"}, meaning)


def _one_of(
    name: str, values: type[StrEnum] | list[str], meaning: str, *, optional: bool = False
) -> Field:
    return Field(name, Kind.TEXT, {"enum": [str(one) for one in values]}, meaning, optional)


def _list(name: str, kind: Kind, types: list[str], meaning: str) -> Field:
    return Field(name, kind, {"type": "array", "items": {"type": types}}, meaning)


def _pairs(name: str, meaning: str) -> Field:
    text = {"type": "string"}
    pair = {"type": "array", "prefixItems": [text, text], "minItems": 2, "maxItems": 2}
    return Field(name, Kind.PAIRS, {"type": "array", "items": pair}, meaning)


def _body(name: str, meaning: str) -> Field:
    return Field(name, Kind.BYTES, {"type": "string"}, meaning, optional=True)


FIELDS: Final = (
    Field("v", Kind.INTEGER, {"const": SCHEMA_VERSION}, "Version of this schema."),
    _text("id", "The record's own, a UUIDv7: the same however often it is delivered."),
    _text("request_id", "The client's `X-Request-Id`, else ours; shadows share it."),
    Field(
        "at",
        Kind.TIME,
        {"type": "string", "format": "date-time", "pattern": _TIME},
        "When the request began, by the wall clock, in UTC.",
    ),
    _text("route", "The route it took."),
    _text("model", "The model that was asked."),
    _one_of("role", Role, "What the model was to the request."),
    _count("status", "Status of the answer; 0: there was no whole answer."),
    _one_of("outcome", StatusClass, "How it ended, as `sidecar_requests_total` counts it."),
    _text(
        "failure",
        "The code of an error, such as `upstream_timeout`; of a shadow, what became of the copy.",
        optional=True,
    ),
    _text("method", "Method of the request."),
    _text("path", "Path of the request as it was sent, without its query."),
    _count("request_bytes", "Length of the request's body."),
    _count("response_bytes", "Length of the answer's body."),
    _count("duration_ns", "From the request's head to the answer's end.", optional=True),
    _count("upstream_ns", "The part of that which the model took.", optional=True),
    _count("first_byte_ns", "From the request's head to the answer's first byte.", optional=True),
    _count("rows", "Rows in the request; 0 where nobody read it."),
    _list(
        "predictions",
        Kind.TEXTS,
        ["number", "string", "boolean", "null"],
        f"What was predicted, of the first {MOST_PREDICTIONS} rows.",
    ),
    _truth("predictions_cut", "Whether there were more."),
    _list("scores", Kind.NUMBERS, ["number", "null"], "Their scores, where the model gives any."),
    Field(
        "segments",
        Kind.TEXT_BY_NAME,
        {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        "Values of the route's segments, by name.",
    ),
    Field(
        "unusual",
        Kind.NUMBER,
        {"type": "number", "minimum": 0, "maximum": 1},
        "How unusual it is: values outside of the reference, little confidence, slowness.",
        optional=True,
    ),
    _text("unread", "Why the bodies could not be read.", optional=True),
    _count("routing_version", "Version of the routing table that chose the model."),
    _text("trace_id", "Trace id of the request's `traceparent`; empty without one."),
    _count("worker", "The worker that saw it."),
    _text("shadow_of", "Of a shadow: the model that answered the client.", optional=True),
)
"""Every field of a record but `captured`, in their order."""

CAPTURED_FIELDS: Final = (
    _one_of("why", Why, "Why bodies were kept: the exchange failed, or was one of a sample."),
    _pairs("request_headers", "Header fields of the request that were kept, names and values."),
    _text("query", "Query of the URL.", optional=True),
    _body("request_body", "Body of the request."),
    _one_of("request_body_encoding", [UTF_8, BASE64], "What it is in JSON.", optional=True),
    _count("request_cut", "Its length, where only the beginning was kept.", optional=True),
    _one_of(
        "request_withheld",
        Withheld,
        "Why it was not kept: what is secret in it could not be told.",
        optional=True,
    ),
    _pairs("response_headers", "Header fields of the answer that were kept."),
    _body("response_body", "Body of the answer."),
    _one_of("response_body_encoding", [UTF_8, BASE64], "What it is in JSON.", optional=True),
    _count("response_cut", "Its length, where only the beginning was kept.", optional=True),
    _one_of("response_withheld", Withheld, "Why it was not kept.", optional=True),
    _truth(
        "redacted",
        "Whether something was masked, hashed or left out of a body. What is secret of a head is "
        "hidden as a rule, and not told.",
    ),
    _truth("request_redacted", "Whether that was the request's body."),
)
"""Every field of what was captured, in their order."""
