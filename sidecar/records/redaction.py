"""What of a record is secret, and what becomes of it: rules by name, applied before it is written."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct


def _doc(text: str) -> Meta:
    return Meta(description=text)


SECRET_HEADERS: Final = (
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key",
)  # fmt: skip


class How(StrEnum):
    """What is done with a secret."""

    DROP = "drop"
    MASK = "mask"
    HASH = "hash"


class PointerRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place in JSON bodies, and what is done with what is there."""

    pointer: Annotated[str, _doc("A JSON Pointer (RFC 6901); `*` as a step is every entry.")]
    how: Annotated[How | None, _doc("If other than `redact.how`.")] = None


class ColumnRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column, and what is done with its values."""

    name: Annotated[str, _doc("Of a feature, prediction, score or segment.")]
    how: Annotated[How | None, _doc("If other than `redact.how`.")] = None
