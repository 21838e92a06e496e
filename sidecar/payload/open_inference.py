"""The Open Inference Protocol, version 2: KServe, MLServer, Triton, Seldon.

`data` may be nested or flat and is read by `shape` alone, row-major; the first dimension is the
rows. Every input is a column, or several if its rows are wider than one: then they are called by
the settings or the baseline, else `name[0]`, `name[1]`, ... An answer of shape [n, 1] reads like
one of shape [n]: servers differ for the same call.

Specification: https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

from sidecar.payload.answers import Answers
from sidecar.payload.binary_tensors import BinaryTensors
from sidecar.payload.columns import (
    MOST_COLUMNS,
    SCALARS,
    Column,
    leaves,
    too_wide,
)
from sidecar.payload.extract import Inputs, Outputs, Undecodable, Value
from sidecar.payload.forms import Forms, numbered
from sidecar.payload.names import Reason

_MOST_DIMENSIONS: Final = 32  # as many as NumPy long had; none of these servers has more


class OpenInference:
    """The dialect; see the module's text."""

    def __init__(self, forms: Forms, answers: Answers) -> None:
        self._forms = forms
        self._answers = answers

    def inputs(self, document: object, tail: bytes | memoryview) -> Inputs:
        """The rows of an inference request."""
        tensors = _tensors(document, "inputs")
        binary = BinaryTensors(tail) if tail else None
        if len(tensors) > 1:
            return self._side_by_side(tensors, binary, document)
        name = _name(tensors[0])
        count, width, values = _read(tensors[0], binary)
        if width == 1 and count == self._forms.expected_width:
            # A vector where as many names are known: one row that was sent without its batch.
            count, width = 1, count
        rows = [values] if count == 1 else _rows(values, width)
        return self._forms.bare(name, width, rows, document)

    def outputs(self, document: object, tail: bytes | memoryview, inputs: Inputs | None) -> Outputs:
        """The predictions of an inference response."""
        tensors = _tensors(document, "outputs")
        binary = BinaryTensors(tail) if tail else None
        choice = self._answers.choose(tuple(map(_name, tensors)))
        prediction = score = None
        for tensor in tensors:
            name = tensor["name"]
            if name == choice.prediction:
                prediction = _column(tensor, binary)
            elif name == choice.score:
                score = _column(tensor, binary)
            elif binary is not None:
                _pass_over(tensor, binary)
        return self._answers.read(prediction, score, inputs)

    def _side_by_side(
        self, tensors: list[Any], binary: BinaryTensors | None, document: object
    ) -> Inputs:
        names: list[str] = []
        columns: list[Sequence[Value]] = []
        row = _single_row(tensors)
        if row is not None:
            return self._forms.named(tuple(row), [list(row.values())], document)
        for tensor in tensors:
            name = _name(tensor)
            count, width, values = _read(tensor, binary)
            if width == 1:
                names.append(name)
                columns.append(values)
            else:
                names += numbered(name, width)
                columns += zip(*_rows(values, width), strict=True) if count else [()] * width
            if len(columns) > MOST_COLUMNS:
                raise too_wide()
            if columns and len(columns[-1]) != len(columns[0]):
                raise Undecodable(Reason.SHAPE, "inputs of different numbers of rows")
        rows = list(zip(*columns, strict=True))
        named = self._forms.named if len(names) == len(tensors) else self._forms.partly_named
        return named(tuple(names), rows, document)


def _tensors(document: object, key: str) -> list[Any]:
    tensors = document.get(key) if type(document) is dict else None
    if type(tensors) is not list or not tensors:
        raise Undecodable(Reason.SHAPE, f"no list of `{key}`")
    return tensors


def _name(tensor: object) -> str:
    name = tensor.get("name") if type(tensor) is dict else None
    if type(name) is not str:
        raise Undecodable(Reason.SHAPE, "a tensor without a name")
    return name


def _single_row(tensors: list[Any]) -> dict[str, Value] | None:
    """The one row of tensors that hold one value each, by name; None where they are not like that.

    What most requests with named columns are: worth a way of its own, at a third of the time.
    """
    row: dict[str, Value] = {}
    for tensor in tensors:
        if type(tensor) is not dict:
            return None
        name, shape, data = tensor.get("name"), tensor.get("shape"), tensor.get("data")
        if (shape != [1] and shape != [1, 1]) or type(data) is not list or len(data) != 1:  # noqa: PLR1714 - twice as fast as `in`
            return None
        value = data[0]
        if type(name) is not str or type(value) not in SCALARS:
            return None
        row[name] = value
    return row if len(row) == len(tensors) else None


def _read(tensor: dict[str, Any], binary: BinaryTensors | None) -> tuple[int, int, list[Value]]:
    """How many rows a tensor has, their width, and its values in row-major order."""
    count, width = _rows_and_width(tensor.get("shape"))
    if width > MOST_COLUMNS:
        raise too_wide()
    data = tensor.get("data")
    if type(data) is list:
        values = data if SCALARS.issuperset(map(type, data)) else _flat(data)
    elif data is None and binary is not None:
        values = binary.take(tensor.get("datatype"), count * width, _binary_size(tensor))
    else:
        raise Undecodable(Reason.SHAPE, "a tensor without data")
    if len(values) != count * width:
        raise Undecodable(Reason.SHAPE, "a shape that does not fit the data")
    return count, width, values


def _rows(values: list[Value], width: int) -> list[list[Value]]:
    if width == 1:
        return [[value] for value in values]
    return [values[at : at + width] for at in range(0, len(values), max(width, 1))]


def _column(tensor: dict[str, Any], binary: BinaryTensors | None) -> Column:
    """A tensor of an answer; [n, 1] and [n] are the same."""
    count, width, values = _read(tensor, binary)
    if width == 1:
        return Column(values)
    return Column((), _rows(values, width)) if width else Column([None] * count)


def _pass_over(tensor: dict[str, Any], binary: BinaryTensors) -> None:
    if tensor.get("data") is None:
        count, width = _rows_and_width(tensor.get("shape"))
        binary.skip(tensor.get("datatype"), count * width, _binary_size(tensor))


def _flat(data: list[Any]) -> list[Value]:
    """Nested data in row-major order."""
    values: list[Value] = []
    for part in data:
        if type(part) is list and SCALARS.issuperset(map(type, part)):
            values += part
        else:
            values += [value for _, value in leaves("", part)]
    return values


def _rows_and_width(shape: object) -> tuple[int, int]:
    """The first dimension, and the product of the others: that much is in one row."""
    if type(shape) is not list or len(shape) > _MOST_DIMENSIONS:
        raise Undecodable(Reason.SHAPE, "a tensor without a shape")
    for length in shape:
        if type(length) is not int or length < 0:
            raise Undecodable(Reason.SHAPE, "a shape of other than lengths")
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) == 1:
        return shape[0], 1
    return (shape[0], prod(shape[1:])) if shape else (1, 1)  # the latter is a scalar


def _binary_size(tensor: dict[str, Any]) -> object:
    parameters = tensor.get("parameters")
    return parameters.get("binary_data_size") if type(parameters) is dict else None
