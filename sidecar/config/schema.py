"""The JSON Schema (draft 2020-12) of the configuration file, made from the structs of `settings`.

Every section is a definition of its own, with descriptions, defaults and bounds. Rules between keys
(sums, names that must exist) are beyond JSON Schema's reach; `sidecar check` knows them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from sidecar.config.keys import Annotation, Key, Shape, keys, sections_below, shape
from sidecar.config.settings import Settings
from sidecar.config.units import (
    BYTES,
    NUMBER,
    SECONDS,
    Duration,
    Size,
    format_duration,
    format_size,
)

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SCALARS: Final = {bool: "boolean", int: "integer", float: "number", str: "string"}
# msgspec's name of a constraint -> JSON Schema's, for scalars, lists and mappings.
_SCALAR_CONSTRAINTS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "pattern": "pattern",
}
_LIST_CONSTRAINTS: Final = {"min_length": "minItems"}
_MAPPING_CONSTRAINTS: Final = {"min_length": "minProperties"}


def json_schema() -> dict[str, Any]:
    """The schema as plain values, ready for JSON."""
    return {
        "$schema": _DIALECT,
        "title": "sidecar.yaml",
        **_section(Settings),
        "$defs": {
            Duration.__name__: _quantity(SECONDS, "A duration: a number and a unit.", "500ms"),
            Size.__name__: _quantity(BYTES, "A size: a number and a unit.", "64KiB"),
            **{section.__name__: _section(section) for section in sections_below(Settings)},
        },
    }


def plain_default(key: Key) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """A key's default as it would stand in the file; a section's is empty, its keys have theirs."""
    return _plain(key.default)


def _plain(value: object) -> Any:  # noqa: ANN401 - whatever YAML can hold
    match value:
        case Struct():
            return {}
        case Duration():
            return format_duration(value)
        case Size():
            return format_size(value)
        case tuple():
            return [_plain(item) for item in value]
        case StrEnum():
            return value.value
        case _:
            return value


def _section(section: type[Struct]) -> dict[str, Any]:
    members = keys(section)
    return {
        "description": inspect.getdoc(section),
        "type": "object",
        "properties": {key.name: _property(key) for key in members},
        "required": [key.name for key in members if key.required],
        "additionalProperties": False,
    }


def _property(key: Key) -> dict[str, Any]:
    described = {**_type(key.annotation), "description": key.description}
    return described if key.required else {**described, "default": plain_default(key)}


def _type(annotation: Annotation) -> dict[str, Any]:
    parts = shape(annotation)
    if parts.choices:
        alternatives = [_type(choice) for choice in parts.choices]
    else:
        alternatives = [_single_type(parts)]
    if parts.optional:
        alternatives.append({"type": "null"})
    return alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}


def _single_type(parts: Shape) -> dict[str, Any]:
    if parts.section is not None or parts.bare in (Duration, Size):
        return {"$ref": f"#/$defs/{parts.bare.__name__}"}
    if parts.key is not None:
        schema = {
            "type": "object",
            "propertyNames": _type(parts.key),
            "additionalProperties": _type(parts.item),
        }
        return schema | _constraints(parts, _MAPPING_CONSTRAINTS)
    if parts.item is not None:
        return {"type": "array", "items": _type(parts.item)} | _constraints(
            parts, _LIST_CONSTRAINTS
        )
    if parts.bare in _SCALARS:
        return {"type": _SCALARS[parts.bare]} | _constraints(parts, _SCALAR_CONSTRAINTS)
    if parts.bare is Any:
        return {}
    return {"enum": list(parts.members)}


def _constraints(parts: Shape, names: dict[str, str]) -> dict[str, Any]:
    found = {theirs: parts.constraint(ours) for ours, theirs in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def _quantity(units: Iterable[str], description: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": "string",
        "pattern": rf"^\s*{NUMBER}\s*({'|'.join(units)})\s*$",
        "examples": [example],
    }
