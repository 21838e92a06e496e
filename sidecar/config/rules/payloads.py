"""Payloads and segments: names that tell values apart, pointers that point, sources that exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sidecar.config.monitoring import Segment
from sidecar.config.problems import Finding, Problem, Remark, shown
from sidecar.config.rules.fields import examine_read_field
from sidecar.config.settings import RouteSettings, Settings
from sidecar.payload import PayloadSettings, Protocol, Source
from sidecar.payload.columns import MOST_COLUMNS
from sidecar.payload.pointer import Pointer
from sidecar.records.naming import SECRET_HEADERS

MOST_VALUES: Final = 200
"""Values of a segment: each has counters of its own for every column, and series in metrics."""

_OTHER: Final = "other"  # what the values that are not listed are counted as
# Values of a segment appear in metrics and the API.
_SECRETS: Final = frozenset(SECRET_HEADERS)


def examine_payloads(settings: Settings) -> Iterator[Finding]:
    """Findings about `payload` and `segments` of the routes, and about the source of entities."""
    for index, route in enumerate(settings.routes):
        path = f"$.routes[{index}]"
        yield from _payload(route.payload, f"{path}.payload")
        yield from _segments(route, path)
    if settings.drift.entity is not None:
        yield from _source(settings.drift.entity.source, "$.drift.entity.from")


def _payload(payload: PayloadSettings, path: str) -> Iterator[Finding]:
    yield from _each_once(payload.features, f"{path}.features")
    yield from _each_once(payload.labels, f"{path}.labels")
    if len(payload.features) > MOST_COLUMNS:
        yield Problem(
            path=f"{path}.features",
            expected=f"at most {MOST_COLUMNS}",
            found=str(len(payload.features)),
        )
    if payload.prediction is not None and payload.prediction == payload.score:
        yield Problem(
            path=f"{path}.score",
            expected="another output than `prediction`",
            found=shown(payload.score),
        )
    if payload.labels and payload.positive is not None and payload.positive not in payload.labels:
        yield Problem(
            path=f"{path}.positive", expected="one of `labels`", found=shown(payload.positive)
        )
    yield from _pointers(payload, path)
    if payload.codec is Protocol.NONE and payload != PayloadSettings(codec=Protocol.NONE):
        yield Remark(path=path, text="no effect: with `codec: none` bodies are not looked at")
    if payload.csv_header and payload.codec not in (Protocol.CSV, Protocol.AUTO):
        yield Remark(path=f"{path}.csv_header", text="no effect but with `codec: csv`")


def _pointers(payload: PayloadSettings, path: str) -> Iterator[Finding]:
    """Names of outputs may begin with `/` in other protocols; ONNX models have such."""
    if payload.instances is not None:
        if payload.codec is not Protocol.JSON:
            yield Problem(
                path=f"{path}.instances",
                expected="`codec: json` beside it",
                found=f"`codec: {payload.codec}`, whose rows are where the protocol has them",
            )
        yield from _pointer(payload.instances, f"{path}.instances")
    if payload.codec is Protocol.JSON:
        for key, text in (("prediction", payload.prediction), ("score", payload.score)):
            if text is not None and text.startswith("/"):
                yield from _pointer(text, f"{path}.{key}")


def _segments(route: RouteSettings, path: str) -> Iterator[Finding]:
    yield from _each_once([segment.name for segment in route.segments], f"{path}.segments", ".name")
    for index, segment in enumerate(route.segments):
        place = f"{path}.segments[{index}]"
        yield from _source(segment.source, f"{place}.from")
        yield from _reachable(segment.source, route.payload.codec, f"{place}.from")
        yield from _values(segment, f"{place}.values")


def _values(segment: Segment, path: str) -> Iterator[Finding]:
    yield from _each_once(segment.values, path)
    if len(segment.values) > MOST_VALUES:
        yield Problem(path=path, expected=f"at most {MOST_VALUES}", found=str(len(segment.values)))
    if _OTHER in segment.values:
        yield Problem(
            path=f"{path}[{segment.values.index(_OTHER)}]",
            expected="a value besides `other`, which stands for all that are not listed",
            found="`other`",
        )
    header = segment.source.header
    if header is not None and header.lower() in _SECRETS:
        yield Problem(
            path=f"{path.removesuffix('.values')}.from.header",
            expected="a field without secrets: values appear in metrics and the API",
            found=f"`{header}`",
        )


def _source(source: Source, path: str) -> Iterator[Finding]:
    given = [
        name
        for name, value in (
            ("header", source.header),
            ("feature", source.feature),
            ("pointer", source.pointer),
        )
        if value is not None
    ]
    if len(given) != 1:
        yield Problem(
            path=path,
            expected="exactly one of `header`, `feature` and `pointer`",
            found=" and ".join(f"`{name}`" for name in given) or "none",
        )
    if source.header is not None:
        yield from examine_read_field(source.header, f"{path}.header")
    if source.feature == "":
        yield Problem(path=f"{path}.feature", expected="the name of a feature", found='""')
    if source.pointer is not None:
        yield from _pointer(source.pointer, f"{path}.pointer")


def _reachable(source: Source, codec: Protocol, path: str) -> Iterator[Finding]:
    """A codec that does not look at bodies, or finds no JSON in them, cannot find these."""
    if codec is Protocol.NONE and source.header is None:
        yield Problem(
            path=path,
            expected="`header`: with `codec: none` bodies are not looked at",
            found="`feature`" if source.pointer is None else "`pointer`",
        )
    elif codec is Protocol.CSV and source.pointer is not None:
        yield Problem(
            path=path,
            expected="`feature` or `header`: a JSON Pointer finds nothing in CSV",
            found="`pointer`",
        )


def _pointer(text: str, path: str) -> Iterator[Finding]:
    try:
        Pointer.parse(text)
    except ValueError as error:
        yield Problem(
            path=path,
            expected="a JSON Pointer (RFC 6901) such as `/rows/0/region`",
            found=f"{shown(text)}: {error}",
        )


def _each_once(names: Sequence[str], path: str, suffix: str = "") -> Iterator[Finding]:
    for index, name in enumerate(names):
        place = f"{path}[{index}]{suffix}"
        if not name:
            yield Problem(path=place, expected="a name", found='""')
        elif name in names[:index]:
            first = f"{path}[{names.index(name)}]{suffix}"
            yield Problem(path=place, expected="each once", found=f"{shown(name)}, as in {first}")
