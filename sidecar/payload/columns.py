"""Lists as JSON nests them, made flat: a column is a value per row, or a vector per row.

A value that is an object or a list itself is taken apart: `{"user": {"age": 3}}` has the leaf
`user.age`, `{"pixel": [1, 2]}` the leaves `pixel[0]` and `pixel[1]`, and a list of one value is
that value. What has no value in it (`{"b64": ...}`, `[]`) is there, and missing.

Nothing here recurses: a document may be nested as deep as its parser allows. And nothing grows
beyond what `MOST_COLUMNS` allows before that is noticed.

Must not know: protocols, what rows are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from sidecar.payload.extract import Undecodable, Value
from sidecar.payload.names import Reason

SCALARS: Final = frozenset({float, int, bool, str, type(None)})
"""The types of a `Value`."""

MOST_COLUMNS: Final = 4096
"""Wider rows are pictures, sound or embeddings, of which no histogram per value tells anything."""

OPAQUE: Final = "b64"
"""The key of an object that stands for bytes, such as a picture; TensorFlow Serving's notation."""

_LONGEST_NAME: Final = 1024  # characters; nesting makes names long, and every leaf has one


class Column(Struct):
    """`values[i]` or, when there are vectors, `vectors[i]` belongs to row `i`; the other is empty.

    Vectors are of one length, two or more.
    """

    values: Sequence[Value]
    vectors: Sequence[Sequence[Value]] = ()


def column_of(entries: list[Any]) -> Column:
    """A list with an entry per row; lists of one value are opened. Raises Undecodable."""
    if SCALARS.issuperset(map(type, entries)):
        return Column(entries)
    if type(entries[0]) is list:
        return column_of_matrix(matrix_of(entries))
    if list in map(type, entries):
        raise Undecodable(Reason.SHAPE, "rows of different kinds")
    return Column([entry if type(entry) in SCALARS else None for entry in entries])


def column_of_matrix(matrix: Sequence[Sequence[Value]]) -> Column:
    """Rows of one width as a column: of width 1 they are values, of width 0 missing ones."""
    width = len(matrix[0]) if matrix else 1
    if width > 1:
        return Column((), matrix)
    return Column([row[0] if row else None for row in matrix])


def matrix_of(rows: list[Any]) -> list[list[Value]]:
    """Rows that are lists, all of one width; each is made flat. Raises Undecodable."""
    flat = rows
    for index, row in enumerate(rows):
        if type(row) is not list:
            raise Undecodable(Reason.SHAPE, "rows of different kinds")
        if not SCALARS.issuperset(map(type, row)):
            if flat is rows:
                flat = list(rows)  # the document stays as it is: pointers are to find their way
            flat[index] = [value for _, value in leaves("", row)]
        if len(flat[index]) != len(flat[0]):
            raise Undecodable(Reason.SHAPE, "rows of different widths")
    return flat


def leaves(name: str, value: object) -> list[tuple[str, Value]]:
    """The values inside a value, named, in the order of the text. Raises Undecodable."""
    found: list[tuple[str, Value]] = []
    waiting: list[tuple[str, Any]] = [(name, value)]
    while waiting:
        name, inner = waiting.pop()
        if (type(inner) is list or type(inner) is dict) and len(inner) > MOST_COLUMNS:
            raise too_wide()
        if type(inner) is list and inner:
            if len(inner) == 1:
                waiting.append((name, inner[0]))
            else:
                waiting += [(f"{name}[{i}]", inner[i]) for i in reversed(range(len(inner)))]
        elif type(inner) is dict and inner and OPAQUE not in inner:
            prefix = f"{name}." if name else ""
            waiting += [(f"{prefix}{key}", inner[key]) for key in reversed(inner)]
        else:
            found.append((name, inner if type(inner) in SCALARS else None))
        # Each that waits becomes a leaf at least, so this is no more than there will be.
        if len(found) + len(waiting) > MOST_COLUMNS:
            raise too_wide()
        if len(name) > _LONGEST_NAME:
            raise Undecodable(Reason.SHAPE, "nested too deep to name its columns")
    return found


def too_wide() -> Undecodable:
    """What is raised for a row that is no row of features."""
    return Undecodable(Reason.SHAPE, f"more than {MOST_COLUMNS} values in a row")
