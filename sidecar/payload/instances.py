"""Rows of a request as JSON writes them: lists, objects, bare values, columns beside each other.

Several protocols share these forms under names of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from sidecar.payload.columns import (
    MOST_COLUMNS,
    OPAQUE,
    SCALARS,
    column_of,
    leaves,
    matrix_of,
    too_wide,
)
from sidecar.payload.extract import Inputs, Undecodable, Value
from sidecar.payload.forms import Forms
from sidecar.payload.names import Reason

INPUT: Final = "input"
"""What bare rows are called: `input[0]`, `input[1]`, ..."""


def rows_in_lists(rows: object, forms: Forms, document: object) -> Inputs:
    """`[[1, 2], ...]`, `[{"a": 1}, ...]` or `[1, 2]`, each entry a row. Raises Undecodable."""
    if type(rows) is not list:
        raise Undecodable(Reason.SHAPE, "rows that are no list")
    if not rows:
        return Inputs((), [])
    if type(rows[0]) is dict and OPAQUE not in rows[0]:
        return _records(rows, forms, document)
    if type(rows[0]) is list:
        matrix = matrix_of(rows)
        return forms.bare(INPUT, len(matrix[0]), matrix, document)
    return forms.bare(INPUT, 1, [[value] for value in column_of(rows).values], document)


def rows_in_columns(columns: dict[str, Any], forms: Forms, document: object) -> Inputs:
    """`{"a": [1, 2], "b": [3, 4]}`: each entry a column, all of one length. Raises Undecodable."""
    names: list[str] = []
    vectors: list[Sequence[Value]] = []
    for name, entries in columns.items():
        column = column_of(entries if type(entries) is list else [entries])
        if column.vectors:
            names += [f"{name}[{index}]" for index in range(len(column.vectors[0]))]
            vectors += zip(*column.vectors, strict=True)
        else:
            names.append(name)
            vectors.append(column.values)
        if len(names) > MOST_COLUMNS:
            raise too_wide()
    if any(len(vector) != len(vectors[0]) for vector in vectors):
        raise Undecodable(Reason.SHAPE, "columns of different lengths")
    rows = list(zip(*vectors, strict=True))
    named = forms.named if len(names) == len(columns) else forms.partly_named
    return named(tuple(names), rows, document)


def rows_under(columns: object, data: object, forms: Forms, document: object) -> Inputs:
    """Lists of values under a list of names, which may be absent. Raises Undecodable."""
    if columns is None:
        return rows_in_lists(data, forms, document)
    if type(columns) is not list or type(data) is not list:
        raise Undecodable(Reason.SHAPE, "columns or data that are no list")
    names = tuple(columns)
    kinds = set(map(type, columns))
    if kinds != {str}:
        if not kinds <= {str, int}:
            raise Undecodable(Reason.SHAPE, "names of columns that are neither text nor integers")
        names = tuple(map(str, columns))
    matrix = matrix_of(data)
    if matrix and len(matrix[0]) != len(names):
        raise Undecodable(Reason.SHAPE, f"{len(names)} columns, {len(matrix[0])} values in a row")
    return forms.named(names, matrix, document)


def _records(rows: list[Any], forms: Forms, document: object) -> Inputs:
    first = rows[0]
    if len(rows) == 1 and SCALARS.issuperset(map(type, first.values())):
        return forms.named(tuple(first), [list(first.values())], document)
    flat = [_flat_record(row) for row in rows]
    first = flat[0]
    columns = tuple(first)
    if any(row.keys() != first.keys() for row in flat):
        columns = tuple(dict.fromkeys(chain.from_iterable(flat)))
    if len(columns) > MOST_COLUMNS:
        raise too_wide()
    return forms.named(columns, [[row.get(name) for name in columns] for row in flat], document)


def _flat_record(row: object) -> dict[str, Value]:
    if type(row) is not dict:
        raise Undecodable(Reason.SHAPE, "rows of different kinds")
    return row if SCALARS.issuperset(map(type, row.values())) else dict(leaves("", row))
