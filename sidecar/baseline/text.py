"""The text of a baseline file: JSON that people can read and git can compare.

    {
      "schema": "sidecar.baseline/1",
      "model": "stable", "rows": 50000, ...
      "columns": {
        "features": {"age": {"kind": ..., "edges": [...], "counts": [...], ...}, ...},
        "predictions": {...}, "scores": {...}, "measures": {...}
      },
      "segments": {"region": {"values": [...], "rows": [...], "counts": {"features": ...}}}
    }

Keys are sorted, a vector is one line, floats are written so that the same bits come back. The same
baseline is always the same text. `order` is the order of the columns in the data, by which rows
without names are read.

What is read is checked completely: a `Baseline` that comes out is as sound as one just learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from sidecar.baseline.baseline import ORDER_OF_PARTS, Baseline, BaselineSegment
from sidecar.baseline.records import BusinessFigure, Performance, Provenance, TimeSpan, Traffic
from sidecar.errors import ConfigError
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch.columns import SPECIALS, Column
from sidecar.sketch.distribution import Distribution

SCHEMA: Final = "sidecar.baseline/1"
_FAMILY: Final = "sidecar.baseline/"
_INDENT: Final = " "

_SECTIONS: Final = {
    ColumnPart.FEATURE: "features",
    ColumnPart.PREDICTION: "predictions",
    ColumnPart.SCORE: "scores",
    ColumnPart.MEASURE: "measures",
}


class _Struct(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class _Counts(_Struct, frozen=True, kw_only=True):
    """The counters of a column; those of values may be many."""

    counts: tuple[int, ...]
    sums: tuple[float, ...] = ()
    missing: int = 0
    nonfinite: int = 0


class _Counted(_Struct, frozen=True, kw_only=True):
    """A column and its counters."""

    kind: ColumnKind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    center: float = 0.0
    summed: tuple[int, ...] = ()
    bins: tuple[int, ...]
    counts: tuple[int, ...]
    sums: tuple[float, ...] = ()
    missing: int = 0
    nonfinite: int = 0


class _Segment(_Struct, frozen=True, kw_only=True):
    """Counters by section, name, and place of the value; the last place is `other`."""

    values: tuple[str, ...]
    rows: tuple[int, ...]
    counts: dict[str, dict[str, tuple[_Counts, ...]]]


class _File(_Struct, frozen=True, kw_only=True):
    schema: str
    model: str
    rows: int
    columns: dict[str, dict[str, _Counted]]
    order: dict[str, tuple[str, ...]]
    segments: dict[str, _Segment] = {}
    segment_order: tuple[str, ...] = ()
    provisional: bool = False
    positive: str | None = None
    performance: Performance | None = None
    business: dict[str, BusinessFigure] = {}
    traffic: Traffic | None = None
    span: TimeSpan | None = None
    provenance: Provenance = Provenance()


def encode(baseline: Baseline) -> str:
    """The text of the file, which ends with a line break."""
    columns: dict[str, dict[str, _Counted]] = {}
    for one in (*baseline.distributions, *baseline.measured):
        column, counters = one.column, _counters(one)
        columns.setdefault(_SECTIONS[column.part], {})[column.name] = _Counted(
            kind=column.kind,
            edges=column.edges,
            categories=column.categories,
            center=column.center,
            summed=column.summed,
            bins=column.bins,
            counts=counters.counts,
            sums=counters.sums,
            missing=counters.missing,
            nonfinite=counters.nonfinite,
        )
    file = _File(
        schema=SCHEMA,
        model=baseline.model,
        rows=baseline.rows,
        columns=columns,
        order={section: tuple(named) for section, named in columns.items()},
        segments={one.name: _segment(one) for one in baseline.segments},
        segment_order=tuple(one.name for one in baseline.segments),
        provisional=baseline.provisional,
        positive=baseline.positive,
        performance=baseline.performance,
        business=baseline.business,
        traffic=baseline.traffic,
        span=baseline.span,
        provenance=baseline.provenance,
    )
    lines: list[str] = []
    _write(msgspec.to_builtins(file), "", lines)
    return "".join(lines) + "\n"


def decode(text: str | bytes) -> Baseline:
    """The baseline that a file holds. Raises ConfigError, with the place in the file."""
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
        if schema != SCHEMA:
            raise ConfigError(_of_another_version(schema), path="$.schema")
        return _baseline(msgspec.json.decode(text, type=_File))
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `")
        raise ConfigError(f"not a baseline file: {what}", path=place.rstrip("`") or "$") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not a baseline file: {error}") from error
    except ValueError as error:
        raise ConfigError(f"the baseline contradicts itself: {error}") from error


class _Schema(Struct):
    schema: str


def _of_another_version(schema: str) -> str:
    if schema.startswith(_FAMILY):
        return (
            f"this sidecar reads {SCHEMA}, not {schema}: upgrade it, or build the baseline again "
            "with this version"
        )
    return f"expected {SCHEMA}, found {schema!r}: this is no baseline file"


def _baseline(file: _File) -> Baseline:
    for section in file.columns:
        if section not in _SECTIONS.values():
            raise ConfigError(f"no such section: {section}", path="$.columns")
    parts = {part: _distributions(file, part) for part in _SECTIONS}
    ordered = [one for part in ORDER_OF_PARTS for one in parts[part]]
    if sorted(file.segment_order) != sorted(file.segments):
        raise ConfigError("names other segments than `segments` has", path="$.segment_order")
    return Baseline(
        model=file.model,
        rows=file.rows,
        distributions=tuple(ordered),
        measured=tuple(parts[ColumnPart.MEASURE]),
        segments=tuple(
            _decoded_segment(name, file.segments[name], [one.column for one in ordered])
            for name in file.segment_order
        ),
        provisional=file.provisional,
        positive=file.positive,
        performance=file.performance,
        business=file.business,
        traffic=file.traffic,
        span=file.span,
        provenance=file.provenance,
    )


def _distributions(file: _File, part: ColumnPart) -> list[Distribution]:
    section = _SECTIONS[part]
    columns = file.columns.get(section, {})
    order = file.order.get(section, ())
    if sorted(order) != sorted(columns):
        raise ConfigError(
            f"names other columns than `columns.{section}`", path=f"$.order.{section}"
        )
    found = []
    for name in order:
        entry = columns[name]
        column = Column(
            name=name,
            part=part,
            kind=entry.kind,
            edges=entry.edges,
            categories=entry.categories,
            center=entry.center,
            summed=entry.summed,
            bins=entry.bins,
        )
        found.append(_distribution(column, entry))
    return found


def _decoded_segment(name: str, entry: _Segment, columns: list[Column]) -> BaselineSegment:
    places = range(len(entry.values) + 1)
    try:
        counted = [
            [
                _distribution(column, entry.counts[_SECTIONS[column.part]][column.name][place])
                for column in columns
            ]
            for place in places
        ]
    except (KeyError, IndexError) as error:
        raise ConfigError(
            "a column has no counts for some value", path=f"$.segments.{name}.counts"
        ) from error
    return BaselineSegment(
        name=name,
        values=entry.values,
        rows=entry.rows,
        distributions=tuple(tuple(one) for one in counted),
    )


def _distribution(column: Column, entry: _Counted | _Counts) -> Distribution:
    counts = [*entry.counts, entry.missing, entry.nonfinite]
    return Distribution(column, counts, entry.sums)  # type: ignore[arg-type]  # it converts


def _counters(distribution: Distribution) -> _Counts:
    *values, missing, nonfinite = distribution.counts.tolist()
    assert len(values) + SPECIALS == distribution.column.width  # noqa: S101 - as columns have it
    return _Counts(
        counts=tuple(values),
        sums=tuple(distribution.sums.tolist()),
        missing=missing,
        nonfinite=nonfinite,
    )


def _segment(segment: BaselineSegment) -> _Segment:
    counts: dict[str, dict[str, tuple[_Counts, ...]]] = {}
    for by_value in zip(*segment.distributions, strict=True):
        column = by_value[0].column
        counts.setdefault(_SECTIONS[column.part], {})[column.name] = tuple(
            _counters(one) for one in by_value
        )
    return _Segment(values=segment.values, rows=segment.rows, counts=counts)


def _write(value: object, indent: str, into: list[str]) -> None:
    """JSON with a key a line; a vector of plain values is one line, as git shows changes."""
    deeper = indent + _INDENT
    match value:
        case dict() if value:
            _write_all(sorted(value.items()), "{}", deeper, into)
        case list() | tuple() if any(isinstance(entry, dict | list) for entry in value):
            _write_all(((None, entry) for entry in value), "[]", deeper, into)
        case _:
            into.append(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _write_all(
    entries: Iterable[tuple[str | None, object]], brackets: str, indent: str, into: list[str]
) -> None:
    into.append(brackets[0])
    for place, (key, entry) in enumerate(entries):
        into.append((",\n" if place else "\n") + indent)
        if key is not None:
            into.append(json.dumps(key, ensure_ascii=False) + ": ")
        _write(entry, indent, into)
    into.append(f"\n{indent.removesuffix(_INDENT)}{brackets[1]}")
