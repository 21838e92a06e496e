"""What a codec finds in a request and in its answer, as a report for `sidecar inspect`.

The report is plain values, ready for JSON; the same is shown to people as tables.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer
from msgspec import Struct

from sidecar.cli import output
from sidecar.config.monitoring import MonitorSettings, Segment
from sidecar.model.categories import category_of
from sidecar.payload import (
    Body,
    Inputs,
    Outputs,
    PayloadSettings,
    Protocol,
    Undecodable,
    Value,
    codec_for,
    detect,
)
from sidecar.payload.bodies import protocol_of

_ROWS_SHOWN: Final = 3
_CHARACTERS_SHOWN: Final = 60


class Reading(Struct, frozen=True, kw_only=True):
    """How a payload is to be read, and by whose word."""

    payload: PayloadSettings
    segments: tuple[Segment, ...] = ()
    names: tuple[str, ...] = ()
    max_body: int = MonitorSettings().max_body


def report(
    reading: Reading, request: Body, answer: Body | None, fields: Mapping[str, str]
) -> dict[str, Any]:
    """What is seen in a request and its answer; a body that cannot be read has an `error`.

    `fields` are the header fields of the request, by their names in lower case.
    """
    sources = tuple(segment.source for segment in reading.segments)
    codec = codec_for(reading.payload, sources, max_bytes=reading.max_body, names=reading.names)
    inputs: Inputs | None = None
    asked: dict[str, Any] = {"bytes": len(request.data)}
    try:
        asked |= _protocol(reading, request, answer=False)
        inputs = codec.read_request(request)
        asked |= _inputs_shown(inputs, reading.segments, fields)
    except Undecodable as error:
        asked["error"] = {"reason": error.reason.value, "detail": error.detail}
    answered: dict[str, Any] | None = None
    if answer is not None:
        answered = {"bytes": len(answer.data)}
        try:
            answered |= _protocol(reading, answer, answer=True)
            answered |= _outputs_shown(codec.read_response(answer, inputs))
        except Undecodable as error:
            answered["error"] = {"reason": error.reason.value, "detail": error.detail}
    return {"request": asked, "response": answered}


def _protocol(reading: Reading, body: Body, *, answer: bool) -> dict[str, str]:
    if reading.payload.codec is not Protocol.AUTO:
        return {"protocol": reading.payload.codec.value, "known_by": "the configuration"}
    protocol = protocol_of(body, reading.max_body, answer=answer)
    known_by = "its form"
    if detect.by_path(body.path) is not None:
        known_by = "its path"
    elif detect.by_media_type(body.content_type) is not None:
        known_by = "its media type"
    return {"protocol": protocol.value, "known_by": known_by}


def _inputs_shown(
    inputs: Inputs, segments: Sequence[Segment], fields: Mapping[str, str]
) -> dict[str, Any]:
    features = []
    for place, name in enumerate(inputs.names):
        values = [row[place] for row in inputs.rows]
        features.append(
            {"name": name, "kind": _kind(values), "values": [_plain(value) for value in values]}
        )
    return {
        "rows": len(inputs.rows),
        "features": features,
        "segments": [
            _segment_shown(segment, found, fields)
            for segment, found in zip(segments, inputs.sourced, strict=False)
        ],
    }


def _segment_shown(segment: Segment, found: Value, fields: Mapping[str, str]) -> dict[str, Any]:
    if segment.source.header is not None:
        found = fields.get(segment.source.header.lower())
    value = None if found is None else category_of(found)
    is_other = value is None or (segment.values and value not in segment.values)
    return {
        "name": segment.name,
        "value": value,
        "counted_as": "other" if is_other else value,
        "learned": not segment.values,
    }


def _outputs_shown(outputs: Outputs) -> dict[str, Any]:
    return {
        "predictions": [_plain(value) for value in outputs.predictions],
        "scores": [_plain(value) for value in outputs.scores],
        "confidences": [_plain(value) for value in outputs.confidences],
        "measures": {name: _plain(value) for name, value in outputs.measures.items()},
    }


def _kind(values: Sequence[Value]) -> str:
    """What the values of a column are by themselves; a baseline may know better."""
    kinds = {_kind_of(value) for value in values} - {"missing"}
    return "missing" if not kinds else kinds.pop() if len(kinds) == 1 else "mixed"


def _kind_of(value: Value) -> str:
    if value is None:
        return "missing"
    return "categorical" if isinstance(value, bool | str) else "numeric"


def _plain(value: Value) -> Value:
    """A value as JSON has it: NaN is no value, infinities are texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def show(found: dict[str, Any]) -> None:
    """A report as tables on stdout, and on stderr why a body could not be read."""
    _show_request(found["request"])
    if found["response"] is not None:
        typer.echo()
        _show_response(found["response"])


def _show_request(request: dict[str, Any]) -> None:
    if "error" in request:
        _say_why("request", request)
        return
    rows = request["rows"]
    typer.echo(f"request   {request['protocol']}, known by {request['known_by']}")
    typer.echo(f"rows      {rows}" + (f", {_ROWS_SHOWN} shown" if rows > _ROWS_SHOWN else ""))
    for segment in request["segments"]:
        counted_as = _shown(segment["counted_as"])
        if segment["learned"] and counted_as != "other":
            counted_as += " if that is among the most frequent"
        typer.echo(
            f"segment   {segment['name']} = {_shown(segment['value'])}, counted as {counted_as}"
        )
    shown = range(min(rows, _ROWS_SHOWN))
    columns = ["feature", "kind", *("value" if rows == 1 else f"row {row}" for row in shown)]
    output.table(
        columns,
        [
            [_shown(one["name"]), one["kind"], *(_shown(one["values"][row]) for row in shown)]
            for one in request["features"]
        ],
    )


def _show_response(response: dict[str, Any]) -> None:
    if "error" in response:
        _say_why("response", response)
        return
    typer.echo(f"response  {response['protocol']}, known by {response['known_by']}")
    for name, value in response["measures"].items():
        typer.echo(f"measure   {name} = {_shown(value)}")
    columns = [key for key in ("predictions", "scores", "confidences") if response[key]]
    count = max((len(response[key]) for key in columns), default=0)
    typer.echo(f"rows      {count}" + (f", {_ROWS_SHOWN} shown" if count > _ROWS_SHOWN else ""))
    if columns:
        shown = zip(*(response[key][:_ROWS_SHOWN] for key in columns), strict=False)
        output.table(
            [key.removesuffix("s") for key in columns],
            [[_shown(value) for value in row] for row in shown],
        )


def _say_why(what: str, part: dict[str, Any]) -> None:
    error = part["error"]
    output.say(f"the {what} cannot be read: {error['reason']}: {error['detail']}")


def _shown(value: Value) -> str:
    """A value on one line: what would move the cursor is escaped, what is long is cut."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value)
    if not text.isprintable():
        text = json.dumps(text)
    return text if len(text) <= _CHARACTERS_SHOWN else f"{text[: _CHARACTERS_SHOWN - 3]}..."
