"""Records as bytes: MessagePack for the journal, JSON for people and other programs.

MessagePack by position, as `sidecar.records.record` declares the fields: 0.3 us and 240 bytes
for a record without bodies. JSON by name, one line; docs/record.schema.json describes it. There

- `at` is the time as RFC 3339 writes it, in UTC with nine digits, because the nanoseconds in a
  number would be more than JSON's numbers hold exactly;
- a body is text where it is UTF-8 and base64 where it is not, as `..._encoding` beside it says;
- what is not known is null, not -1, so that nobody takes it for a number; and so is a number that
  JSON cannot write.

Must not know: files, sinks.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from sidecar.records.record import Captured, Record, RecordError

UTF_8: Final = "utf-8"
BASE64: Final = "base64"

UNKNOWN: Final = -1
# Fields that say so of what is not known; null in JSON. `_line` has them, too.
_MAY_BE_UNKNOWN: Final = ("duration_ns", "upstream_ns", "first_byte_ns")
_RECORDS: Final = msgspec.msgpack.Decoder(Record)
_LAST_NS: Final = 2**63 - 1  # in the year 2262
_NS_PER_S: Final = 1_000_000_000
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z", re.ASCII)

# Texts that hold half a surrogate pair, integers beyond 64 bits.
_NOT_WRITABLE: Final = (UnicodeEncodeError, OverflowError)

RECORD_NAMES: Final = tuple("at" if n == "at_ns" else n for n in Record.__struct_fields__)
"""The keys of a record in JSON, in their order."""

# Written half as fast from a dict: a struct's keys are encoded once and for all.
_LINE: Final[Any] = msgspec.defstruct("_LINE", [(name, Any) for name in RECORD_NAMES], gc=False)
_JSON: Final = msgspec.json.Encoder()

CAPTURED_NAMES: Final = tuple(
    key
    for name in Captured.__struct_fields__
    for key in ((name, f"{name}_encoding") if name.endswith("_body") else (name,))
)
"""The keys of what was captured in JSON, in their order."""


def encode(record: Record) -> bytes:
    """A record as MessagePack. Raises RecordError for values that have no such form."""
    try:
        return msgspec.msgpack.encode(record)
    except _NOT_WRITABLE as error:
        raise RecordError(f"a record that cannot be written: {type(error).__name__}") from error


def decode(data: bytes | memoryview) -> Record:
    """The record in these bytes. Raises RecordError when they hold none."""
    try:
        return _RECORDS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"no record: {error}") from error


def to_json(record: Record) -> bytes:
    """A record as one line of JSON, without the line's end. Raises RecordError as `encode`."""
    try:
        return _JSON.encode(_line(record, time_text(record.at_ns)))
    except _NOT_WRITABLE as error:
        raise RecordError(f"a record that cannot be written: {type(error).__name__}") from error


def to_json_lines(records: Sequence[Record]) -> bytes:
    """Many records as lines, each with its end, in half the time. Raises RecordError as `encode`:
    one of them, whichever, cannot be written.
    """
    try:
        at = time_texts([record.at_ns for record in records])
        return _JSON.encode_lines(list(map(_line, records, at)))
    except _NOT_WRITABLE as error:
        raise RecordError(f"a record that cannot be written: {type(error).__name__}") from error


def from_json(line: bytes | str) -> Record:
    """The record that a line of JSON is. Raises RecordError when it is none."""
    try:
        document = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RecordError(f"no record: {error}") from error
    return from_document(document)


def to_document(record: Record) -> dict[str, Any]:
    """What the JSON of a record says, as plain values."""
    return msgspec.structs.asdict(_line(record, time_text(record.at_ns)))


def from_document(document: object) -> Record:
    """The inverse of `to_document`; keys that are not known are skipped. Raises RecordError."""
    if not isinstance(document, dict):
        raise RecordError("no record: not an object")
    fields = dict(document)
    try:
        fields["at_ns"] = time_ns(fields.get("at"))
        fields |= {name: UNKNOWN for name in _MAY_BE_UNKNOWN if fields.get(name) is None}
        if isinstance(fields.get("captured"), dict):
            fields["captured"] = _captured_fields(fields["captured"])
        return msgspec.convert(_in_order(Record, fields), Record)
    except (msgspec.ValidationError, ValueError) as error:
        raise RecordError(f"no record: {error}") from error


def time_text(at_ns: int) -> str:
    """RFC 3339 in UTC: `2025-01-31T12:00:00.123456789Z`. Raises RecordError beyond 1970-2262."""
    if not 0 <= at_ns <= _LAST_NS:
        raise RecordError(f"no time between 1970 and 2262: {at_ns}")
    seconds, nanoseconds = divmod(at_ns, _NS_PER_S)
    return f"{_second_text(seconds)}.{nanoseconds:09d}Z"


def time_texts(times_ns: Iterable[int]) -> list[str]:
    """`time_text` of each; quick where one second follows another, as with records of a batch."""
    texts: list[str] = []
    add = texts.append
    begin_ns = end_ns = shift_ns = 0
    second = ""
    for at_ns in times_ns:
        if not begin_ns <= at_ns < end_ns:
            second = time_text(at_ns)[: -len("000000000Z")]
            begin_ns = at_ns - at_ns % _NS_PER_S
            end_ns = min(begin_ns + _NS_PER_S, _LAST_NS + 1)
            shift_ns = _NS_PER_S - begin_ns  # a digit in front, and so all nine behind it
        add(f"{second}{str(at_ns + shift_ns)[1:]}Z")
    return texts


def time_ns(text: object) -> int:
    """The inverse of `time_text`. Raises ValueError."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("no time such as `2025-01-31T12:00:00.5Z`")
    at_ns = int(np.datetime64(found[0][:-1], "ns").astype(np.int64))
    if at_ns < 0 or not time_text(at_ns).startswith(found[1]):  # NumPy wraps around, silently
        raise ValueError("a time before 1970 or after 2262")
    return at_ns


@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    """A second as RFC 3339 has it; records come by the thousand in one and the same."""
    return str(np.datetime64(seconds, "s"))


def _line(record: Record, at: str) -> Any:  # noqa: ANN401 -- a type made at run time
    """What the JSON of a record says, as one value of which msgspec makes an object."""
    line = _LINE(*msgspec.structs.astuple(record))
    line.at = at
    if line.duration_ns == UNKNOWN:
        line.duration_ns = None
    if line.upstream_ns == UNKNOWN:
        line.upstream_ns = None
    if line.first_byte_ns == UNKNOWN:
        line.first_byte_ns = None
    if line.captured is not None:
        line.captured = _captured_document(line.captured)
    return line


def _captured_document(captured: Captured) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name in Captured.__struct_fields__:
        value = getattr(captured, name)
        if name.endswith("_body"):
            document[name], document[f"{name}_encoding"] = _body_text(value)
        elif name.endswith("_cut"):
            document[name] = None if value == UNKNOWN else value
        else:
            document[name] = value
    return document


def _body_text(body: bytes | None) -> tuple[str | None, str | None]:
    if body is None:
        return None, None
    try:
        return body.decode(), UTF_8
    except UnicodeDecodeError:
        return binascii.b2a_base64(body, newline=False).decode(), BASE64


def _captured_fields(document: dict[str, Any]) -> list[object]:
    fields = dict(document)
    for side in ("request", "response"):
        body = f"{side}_body"
        fields[body] = _body(fields.get(body), fields.get(f"{body}_encoding"))
        if fields.get(f"{side}_cut") is None:
            fields[f"{side}_cut"] = UNKNOWN
    return _in_order(Captured, fields)


def _body(text: object, encoding: object) -> bytes | None:
    if text is None:
        return None
    if not isinstance(text, str) or encoding not in (UTF_8, BASE64):
        raise ValueError("a body that is no text, or in an unknown encoding")
    if encoding == BASE64:
        return binascii.a2b_base64(text, strict_mode=True)
    return text.encode()


def _in_order(kind: type[Struct], fields: dict[str, Any]) -> list[object]:
    """Values by position, as structs that are written so are read from; defaults for the others.

    Raises ValueError.
    """
    values = []
    for name, default in _DEFAULTS[kind].items():
        value = fields.get(name, default)
        if value is _REQUIRED:
            raise ValueError(f"`{name}` is missing")
        values.append(value)
    return values


def _defaults(kind: type[Struct]) -> dict[str, object]:
    return {
        field.name: _REQUIRED
        if field.required
        else field.default
        if field.default_factory is msgspec.NODEFAULT
        else field.default_factory()
        for field in msgspec.structs.fields(kind)
    }


_REQUIRED: Final = object()
_DEFAULTS: Final[dict[type[Struct], dict[str, object]]] = {
    kind: _defaults(kind) for kind in (Record, Captured)
}
