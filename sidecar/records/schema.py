"""The JSON Schema of records, made from the table of their fields.

python -m sidecar.records.schema > docs/record.schema.json
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from sidecar.records.fields import CAPTURED_FIELDS, FIELDS, Field

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a record in JSON. Later versions may add keys."""
    captured = {"anyOf": [_object(CAPTURED_FIELDS), {"type": "null"}]}
    return {
        "$schema": _DIALECT,
        "title": "Record of an exchange with a model",
        "description": "One line of a JSONL file, one event of an HTTP, Kafka or NATS sink.",
        **_object(FIELDS, captured=captured),
    }


def _object(fields: tuple[Field, ...], **others: object) -> dict[str, Any]:
    properties = {one.name: _property(one) for one in fields} | others
    return {"type": "object", "properties": properties, "required": list(properties)}


def _property(field: Field) -> dict[str, Any]:
    schema = {**field.json, "description": field.meaning}
    if field.optional and "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    elif field.optional:
        schema["type"] = [schema["type"], "null"]
    return schema


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
