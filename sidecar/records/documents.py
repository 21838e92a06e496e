"""Secrets in JSON documents, whatever the protocol: by pointer, and by the name of a column.

A column is found wherever protocols put one:

    {"ssn": ...}                          under its key: instances, records, columns, messages
    {"name": "ssn", "data": [...]}        as a tensor of the Open Inference Protocol
    {"columns": ["ssn"], "data": [[]]}    over a table: MLflow's split, Seldon's names and ndarray
    [[...], ...]                          by its place in rows, where it is known how they are named

Doubt counts against the body. Where rows have no names, and nobody told how their columns are
called or they are of another width, then each value could be the secret, and `Doubtful` says so.
The document is changed in place; what was hidden is gone from it, and with it whatever the text
of the body said besides (a key given twice, say), for only the document is written again.

Must not know: bytes, media types, records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from math import prod
from typing import Any, Final

from msgspec import Struct

from sidecar.records.hiding import Hider, How
from sidecar.records.naming import SecretColumns, SecretPlace, whole_of
from sidecar.records.record import Withheld

ANY_ENTRY: Final = "*"

# What holds columns or rows directly below it, in KServe's, TensorFlow Serving's and MLflow's form.
_NAMED_BELOW: Final = frozenset({"inputs", "instances", "dataframe_records"})
_TABLES: Final = (("columns", "data"), ("names", "ndarray"))
# Lists beside rows and data that are none themselves.
_BESIDE_ROWS: Final = frozenset({"columns", "names", "index", "shape"})

Place = tuple[Any, Any]
"""A list or mapping, and the index or key in it."""


class Names(Struct, frozen=True):
    """What the columns of a row are called, in their order; empty: nobody knows.

    `expected`: so they should be called; nobody has read this very body.
    """

    columns: Sequence[str] = ()
    expected: bool = False


class _Named(Enum):
    """Whether a list that is found in a document has a name, and what that makes of it."""

    NO = 0  # it may be anything: a row, rows, a list of stop words
    AS_COLUMN = 1  # an entry for each row; of several values, if the column is wide
    AS_VALUE = 2  # a value in a row that names its columns


class Doubtful(Exception):  # noqa: N818 - it states a fact about a body; nobody has failed
    """What is secret in a body cannot be told."""

    def __init__(self, reason: Withheld) -> None:
        super().__init__(reason)
        self.reason = reason


def hide_places(document: object, places: Sequence[SecretPlace], hider: Hider) -> tuple[Any, int]:
    """The document without what is secret by its place, and how much that was."""
    root = [document]
    hidden = 0
    for secret in places:
        for place in _found(root, secret.steps):
            _hide(place, secret.how, hider)
            hidden += 1
    return root[0], hidden


def hide_columns(
    document: object,
    columns: SecretColumns,
    hider: Hider,
    *,
    names: Names | None = None,
) -> tuple[Any, int]:
    """The document without what is secret by its name, and how many places that were.

    `names` are those of a request's columns; None for an answer, whose rows without names have none
    of them. Raises Doubtful.
    """
    root = [document]
    search = _Search(columns, hider)
    search.through(root)
    if names is not None:
        search.settle_lists(names)
    search.settle_tensors(names)
    return root[0], search.hidden


class _Search:
    """One walk through one document; `hidden` counts what was found."""

    def __init__(self, columns: SecretColumns, hider: Hider) -> None:
        self.hidden = 0
        self._columns = columns
        self._hider = hider
        self._located: set[str] = set()
        self._tensors: list[dict[str, Any]] = []
        self._lists: list[tuple[list[Any], _Named]] = []

    def through(self, root: list[Any]) -> None:
        """Hide what has a name; note tensors, and lists of values that have none.

        `root` holds the document alone. Without recursion: it may be nested deeper than the
        interpreter goes.
        """
        waiting: list[tuple[Any, _Named, bool]] = [(root[0], _Named.NO, True)]
        while waiting:
            value, named, is_new = waiting.pop()
            if type(value) is dict:
                waiting += reversed(list(self._members(value, named)))
            elif type(value) is list:
                if is_new and any(type(entry) is not dict for entry in value):
                    self._lists.append((value, named))
                waiting += [(entry, _Named.AS_VALUE, False) for entry in reversed(value)]
            elif value is root[0] and value is not None:
                self._lists.append((root, named))

    def _members(self, value: dict[str, Any], named: _Named) -> Iterator[tuple[Any, _Named, bool]]:
        """What is in a mapping and still to be searched, and whether nobody saw yet what it is."""
        passed = set()
        if type(value.get("name")) is str and type(value.get("data")) is list:
            self._tensors.append(value)
            passed |= {"data", *_BESIDE_ROWS}
        for names, rows in _TABLES:
            if _is_header(value.get(names)) and type(value.get(rows)) is list:
                self._table(value[names], value[rows])
                passed |= {rows, *_BESIDE_ROWS}
        for key in list(value):
            how = self._columns.under(key)
            if how is not None:
                self._located.add(key)
                self._hide((value, key), how)
            elif type(value[key]) in (list, dict):
                is_columns = type(value[key]) is dict and key in _NAMED_BELOW
                below = _Named.AS_COLUMN if is_columns and named is _Named.NO else named
                yield value[key], below, key not in passed

    def _table(self, header: list[Any], rows: list[Any]) -> None:
        names = [str(name) for name in header]
        secret = self._columns.by_position(names)
        for row in rows if secret else ():
            places = [(row, i) for i in range(len(row))] if type(row) is list else []
            if len(places) != len(names):
                places = list(_cells(row)) if type(row) is list else []
            self._hide_row(places, names, secret)
        self._located.update(names[index] for index in secret)

    def settle_lists(self, names: Names) -> None:
        """Hide what is secret in rows without names by its place. Raises Doubtful."""
        called = names.columns
        secret = self._columns.by_position(called)
        if called and not secret and not names.expected:
            return  # who read the body knows its columns, and none is secret
        wanted = {called[index] for index in secret} or self._columns.names
        is_located = all(not self._located.isdisjoint({name, whole_of(name)}) for name in wanted)
        for entries, named in self._lists:
            rows = [entry for entry in entries if type(entry) is not dict]
            if any(type(row) is list for row in rows):
                is_other = named is _Named.AS_VALUE or (named is _Named.AS_COLUMN and is_located)
                self._rows(rows, called, secret, may_be_other=is_other)
            elif any(row is not None for row in rows) and (named is _Named.NO or not is_located):
                is_other = named is not _Named.NO or is_located
                self._values(entries, called, secret, may_be_other=is_other)

    def _rows(
        self, rows: list[Any], names: Sequence[str], secret: dict[int, How], *, may_be_other: bool
    ) -> None:
        for row in rows:
            places = list(_cells(row)) if type(row) is list else []
            if len(places) == len(names):
                self._hide_row(places, names, secret)
            elif not may_be_other and (places or type(row) is not list):
                raise Doubtful(Withheld.UNNAMED)

    def _values(
        self, values: list[Any], names: Sequence[str], secret: dict[int, How], *, may_be_other: bool
    ) -> None:
        """A list of values is a row, or a column of rows of one value, or something else."""
        if names and len(values) == len(names):
            self._hide_row([(values, i) for i in range(len(values))], names, secret)
        elif len(names) == 1:
            for index in range(len(values)):
                self._hide((values, index), secret[0])
        elif not may_be_other:
            raise Doubtful(Withheld.UNNAMED)

    def settle_tensors(self, given: Names | None) -> None:
        """Hide what is secret in tensors, by their names or by place. Raises Doubtful."""
        widths = [_width(tensor) for tensor in self._tensors]
        names = given.columns if given is not None else ()
        secret = self._columns.by_position(names)
        is_read = given is None or (names and not secret and not given.expected)
        is_single = len(self._tensors) == 1
        at = 0
        for tensor, width in zip(self._tensors, widths, strict=True):
            cells = list(_cells(tensor["data"]))
            how = self._columns.exactly(tensor["name"])
            if how is None and names and sum(widths) == len(names):
                for index, cell in enumerate(cells):
                    if (place := at + index % width) in secret:
                        self._hide(cell, secret[place])
            elif how is None and is_single and width == 1 and names and len(cells) == len(names):
                self._hide_row(cells, names, secret)  # one row, sent without its batch
            else:
                how = how or self._columns.under(tensor["name"])
                if how is not None:
                    self._hide((tensor, "data"), how)
                elif width > 1 and not is_read and (secret or not names or is_single):
                    raise Doubtful(Withheld.UNNAMED)
            at += width

    def _hide_row(
        self, places: Sequence[Place], names: Sequence[str], secret: dict[int, How]
    ) -> None:
        if len(places) != len(names):
            raise Doubtful(Withheld.UNNAMED)
        for index, how in secret.items():
            self._hide(places[index], how)

    def _hide(self, place: Place, how: How) -> None:
        _hide(place, how, self._hider)
        self.hidden += 1


def _found(root: list[Any], steps: Sequence[tuple[str, int | None]]) -> list[Place]:
    """The places that a pointer leads to, more than one where a step is every entry."""
    places: list[Place] = [(root, 0)]
    for name, index in steps:
        below: list[Place] = []
        for container, key in places:
            value = container[key]
            if type(value) is dict:
                below += [
                    (value, k) for k in (value if name == ANY_ENTRY else (name,)) if k in value
                ]
            elif type(value) is list and name == ANY_ENTRY:
                below += [(value, i) for i in range(len(value))]
            elif type(value) is list and index is not None and index < len(value):
                below.append((value, index))
        places = below
    return places


def _hide(place: Place, how: How, hider: Hider) -> None:
    container, key = place
    if how is How.DROP and type(container) is dict:
        del container[key]
    else:  # an entry left out of a list would move those behind it
        container[key] = hider.value(container[key], how)


def _cells(row: list[Any]) -> Iterator[Place]:
    """The places of all values in nested lists, row-major."""
    waiting: list[Place] = [(row, index) for index in reversed(range(len(row)))]
    while waiting:
        container, index = waiting.pop()
        inner = container[index]
        if type(inner) is list:
            waiting += [(inner, i) for i in reversed(range(len(inner)))]
        else:
            yield container, index


def _width(tensor: dict[str, Any]) -> int:
    """How many values a row of a tensor has: all dimensions but the first."""
    shape = tensor.get("shape")
    if type(shape) is list and all(type(length) is int and length > 0 for length in shape):
        return prod(shape[1:])
    first = tensor["data"][0] if tensor["data"] else None
    return len(list(_cells(first))) or 1 if type(first) is list else 1


def _is_header(names: object) -> bool:
    return type(names) is list and bool(names) and all(type(name) in (str, int) for name in names)
