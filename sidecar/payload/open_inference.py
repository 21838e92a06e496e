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

from sidecar.payload.answers import Answers
from sidecar.payload.bodies import JsonBodies
from sidecar.payload.columns import MOST_COLUMNS, Column, too_wide
from sidecar.payload.extract import Body, Inputs, Outputs, Undecodable, Value
from sidecar.payload.forms import Forms, numbered
from sidecar.payload.names import Reason
from sidecar.payload.tensors import (
    Tensor,
    flat_answer,
    flat_request,
    nested_request,
    tensors_of,
)


class OpenInference:
    """The dialect; see the module's text."""

    def __init__(self, forms: Forms, answers: Answers) -> None:
        self._forms = forms
        self._answers = answers

    def inputs(self, document: object, tail: bytes | memoryview) -> Inputs:
        """The rows of an inference request."""
        return self.rows(tensors_of(document, "inputs", tail), document)

    def outputs(self, document: object, tail: bytes | memoryview, inputs: Inputs | None) -> Outputs:
        """The predictions of an inference response."""
        return self.predictions(tensors_of(document, "outputs", tail), inputs)

    def rows(self, tensors: list[Tensor], document: object = None) -> Inputs:
        """Tensors as rows. Raises Undecodable when their shapes do not fit."""
        if len(tensors) > 1:
            return self._side_by_side(tensors, document)
        tensor = tensors[0]
        width = len(tensor.data)
        if tensor.shape == [1, width]:  # one row, as most requests have
            return self._forms.bare(tensor.name, width, [tensor.data], document)
        count, width = _rows_and_width(tensor)
        if width == 1 and count == self._forms.expected_width:
            # A vector where as many names are known: one row that was sent without its batch.
            count, width = 1, count
        return self._forms.bare(tensor.name, width, _cut(tensor.data, count, width), document)

    def predictions(self, tensors: list[Tensor], inputs: Inputs | None) -> Outputs:
        """Tensors as predictions. Raises Undecodable when their shapes do not fit."""
        if len(tensors) == 1 and inputs is not None and len(inputs.rows) == 1:
            tensor = tensors[0]
            count = len(tensor.data)
            if count and (tensor.shape == [1, count] or tensor.shape == [count]):  # noqa: PLR1714
                return self._answers.read_row(tensor.name, tensor.data)
        choice = self._answers.choose(tuple([tensor.name for tensor in tensors]))
        prediction = score = None
        for tensor in tensors:
            if tensor.name == choice.prediction:
                prediction = _column(tensor)
            elif tensor.name == choice.score:
                score = _column(tensor)
        return self._answers.read(prediction, score, inputs)

    def _side_by_side(self, tensors: list[Tensor], document: object) -> Inputs:
        row = _single_row(tensors)
        if row is not None:
            names = tuple([tensor.name for tensor in tensors])
            return self._forms.named(names, [row], document)
        return self._columns(tensors, document)

    def _columns(self, tensors: list[Tensor], document: object) -> Inputs:
        names: list[str] = []
        columns: list[Sequence[Value]] = []
        for tensor in tensors:
            count, width = _rows_and_width(tensor)
            if width == 1:
                names.append(tensor.name)
                columns.append(tensor.data)
            else:
                names += numbered(tensor.name, width)
                rows = _cut(tensor.data, count, width)
                columns += zip(*rows, strict=True) if rows else [()] * width
            if len(columns) > MOST_COLUMNS:
                raise too_wide()
        for column in columns:
            if len(column) != len(columns[0]):
                raise Undecodable(Reason.SHAPE, "inputs of different numbers of rows")
        named = self._forms.named if len(names) == len(tensors) else self._forms.partly_named
        return named(tuple(names), list(zip(*columns, strict=True)), document)


class OpenInferenceBodies(JsonBodies):
    """The codec: JSON whose data are flat, or lists in a list, goes straight to tensors."""

    def __init__(self, dialect: OpenInference, max_bytes: int, *, needs_documents: bool) -> None:
        """`needs_documents`: pointers are to find sources in requests, and tensors are no place."""
        super().__init__(dialect, max_bytes)
        self._tensors = dialect
        self._needs_documents = needs_documents
        # Clients of a model write alike: what could be read last is tried first.
        self._ways = [flat_request, nested_request]

    def read_request(self, body: Body) -> Inputs:
        """See Codec."""
        if self._is_plain(body) and not self._needs_documents:
            for way in self._ways:
                tensors = way(body.data)
                if tensors is not None:
                    if way is not self._ways[0]:
                        self._ways.reverse()
                    return self._tensors.rows(tensors)
        return super().read_request(body)

    def read_response(self, body: Body, inputs: Inputs | None = None) -> Outputs:
        """See Codec."""
        if self._is_plain(body):
            tensors = flat_answer(body.data)
            if tensors is not None:
                return self._tensors.predictions(tensors, inputs)
        return super().read_response(body, inputs)

    def _is_plain(self, body: Body) -> bool:
        return (
            not body.content_encoding
            and body.json_bytes is None
            and len(body.data) <= self._max_bytes
        )


def _single_row(tensors: list[Tensor]) -> list[Value] | None:
    """The values of tensors that hold one each, as most with named columns do; else None."""
    row: list[Value] = []
    for tensor in tensors:
        shape, data = tensor.shape, tensor.data
        if len(data) != 1 or (shape != [1] and shape != [1, 1]):  # noqa: PLR1714 - in half the time
            return None
        row.append(data[0])
    return row


def _rows_and_width(tensor: Tensor) -> tuple[int, int]:
    """The first dimension, and the product of the others: that much is in one row."""
    shape = tensor.shape
    count = shape[0] if shape else 1  # no dimension is a scalar
    width = 1
    if len(shape) == 2:
        width = shape[1]
    elif len(shape) > 2:
        width = prod(shape[1:])
    if len(tensor.data) != count * width:
        raise Undecodable(Reason.SHAPE, "a shape that does not fit the data")
    return count, width


def _cut(values: list[Value], count: int, width: int) -> list[list[Value]]:
    """Values in row-major order, as rows."""
    if count == 1:
        return [values]
    if width == 1:
        return [[value] for value in values]
    return [values[at : at + width] for at in range(0, len(values), max(width, 1))]


def _column(tensor: Tensor) -> Column:
    count, width = _rows_and_width(tensor)
    if width == 1:
        return Column(tensor.data)
    return Column((), _cut(tensor.data, count, width)) if width else Column([None] * count)
