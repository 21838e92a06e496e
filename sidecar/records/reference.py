"""The page docs/record.md, made from the table of fields.

    python -m sidecar.records.reference > docs/record.md

A test fails when the page in the repository is not what this makes.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from sidecar.records.columns import AVRO, PARQUET, columns
from sidecar.records.fields import CAPTURED_FIELDS, FIELDS, Field
from sidecar.records.record import SCHEMA_VERSION

_INTRODUCTION: Final = f"""\
<!-- Made by `python -m sidecar.records.reference > docs/record.md`; edit `sidecar.records`. -->

# The record of an exchange

Every exchange with a model gives one record, a shadow's copy too, unless it is
[sampled out](logging.md#capture): what was asked of whom, how it ended, how long it took, what was
predicted, and, where [capture](logging.md#capture) says so, heads and bodies without their
[secrets](logging.md#redaction). This is version {SCHEMA_VERSION} of its schema;
[record.schema.json](record.schema.json) is the same for machines.

## What stays

- Keys are added, never removed, renamed or given another meaning. Readers skip keys that they do
  not know. Anything else would be a new version, said by `v`.
- A record may be delivered more than once, always with the same `id`: keep one of each.
- Records of one request share `request_id`. Clients choose it, and may repeat it.
- Texts of the wire (`path`, `query`, values of header fields) are its bytes read as Latin-1.
- What is not known is null, and never a number.

## In JSON

One object a line, with all of these keys, in this order. A body is text where it is UTF-8, else
base64, as its `..._encoding` says. Infinities and NaN, which JSON does not have, are null.
"""

_IN_COLUMNS: Final = """\

## In columns

What the `parquet` sink writes, and what to declare elsewhere. What was captured stands beside the
rest, null in records without bodies. Predictions are texts here, since a column has one type: `3`
whether a model says `3` or `3.0`; `TRY_CAST(predictions[1] AS DOUBLE)` makes them numbers.
Times end at microseconds: Spark and the functions of DuckDB take no nanoseconds.
"""


def reference_page() -> str:
    """The page as Markdown."""
    lines = [_INTRODUCTION, "| key | type | meaning |", "|---|---|---|"]
    lines += [_row(field) for field in FIELDS]
    lines += ["| `captured` | object or null | Heads and bodies, where they were kept. |", ""]
    lines += ["In `captured`:", "", "| key | type | meaning |", "|---|---|---|"]
    lines += [_row(field) for field in CAPTURED_FIELDS]
    lines += [_IN_COLUMNS, "| column | null | Arrow | Parquet | Avro |", "|---|---|---|---|---|"]
    lines += [
        f"| `{column.name}` | {'yes' if column.optional else ''} | `{column.kind}` "
        f"| {PARQUET[column.kind]} | {AVRO[column.kind]} |"
        for column in columns()
    ]
    return "\n".join(lines) + "\n"


def _row(field: Field) -> str:
    words = _type(field.json) + (" or null" if field.optional else "")
    return f"| `{field.name}` | {words} | {field.meaning} |"


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if schema["type"] == "array":
        items = schema["items"]
        return "list of pairs" if "prefixItems" in items else f"list of {_types(items['type'])}"
    if "additionalProperties" in schema:
        return f"object of {_types(schema['additionalProperties']['type'])}"
    return _types([schema["type"]])


def _types(names: list[str]) -> str:
    return ", ".join("text" if name == "string" else name for name in names)


if __name__ == "__main__":
    sys.stdout.write(reference_page())
