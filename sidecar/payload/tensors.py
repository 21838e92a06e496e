"""Tensors of the Open Inference Protocol, in the three ways in which they are sent.

What nearly all requests and answers are (JSON with flat data, or with rows in a list) is decoded
straight into `Tensor`s, which checks names, shapes and values on the way, in compiled code, at the
price of decoding alone. The rest (deeper nesting, binary tensors, what only a lenient parser takes)
goes through a document. All ways give the same tensors; the last is the oracle of the others in
tests.
"""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from sidecar.payload.binary_tensors import BinaryTensors
from sidecar.payload.columns import SCALARS
from sidecar.payload.extract import Undecodable, Value
from sidecar.payload.names import Reason

_MOST_DIMENSIONS: Final = 32  # as many as NumPy long had; no server of this protocol has more

_Scalar = float | int | bool | str | None
_Length = Annotated[int, Meta(ge=0)]
_Shape = Annotated[list[_Length], Meta(max_length=_MOST_DIMENSIONS)]
_SomeOf = Meta(min_length=1)


class Tensor(Struct, gc=False):
    """`data` are the values in row-major order; whether they fit the shape is not checked yet."""

    name: str
    shape: _Shape
    data: list[_Scalar]


class _NestedTensor(Struct, gc=False):
    name: str
    shape: _Shape
    data: list[list[_Scalar]]


class _Request(Struct, gc=False):
    inputs: Annotated[list[Tensor], _SomeOf]


class _NestedRequest(Struct, gc=False):
    inputs: Annotated[list[_NestedTensor], _SomeOf]


class _Answer(Struct, gc=False):
    outputs: Annotated[list[Tensor], _SomeOf]


_REQUESTS: Final = msgspec.json.Decoder(_Request)
_NESTED_REQUESTS: Final = msgspec.json.Decoder(_NestedRequest)
_ANSWERS: Final = msgspec.json.Decoder(_Answer)
# Besides what is no JSON or no such message, texts may be no UTF-8, and what is skipped is nested.
_NOT_SO: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def flat_request(data: bytes | memoryview) -> list[Tensor] | None:
    """The tensors of a request whose data are flat JSON; None for every other body."""
    try:
        return _REQUESTS.decode(data).inputs
    except _NOT_SO:
        return None


def nested_request(data: bytes | memoryview) -> list[Tensor] | None:
    """The tensors of a request whose data are lists in a list; None for every other body."""
    try:
        tensors = _NESTED_REQUESTS.decode(data).inputs
    except _NOT_SO:
        return None
    return [
        Tensor(tensor.name, tensor.shape, list(chain.from_iterable(tensor.data)))
        for tensor in tensors
    ]


def flat_answer(data: bytes | memoryview) -> list[Tensor] | None:
    """The tensors of an answer whose data are flat JSON; None for every other body."""
    try:
        return _ANSWERS.decode(data).outputs
    except _NOT_SO:
        return None


def tensors_of(document: object, key: str, tail: bytes | memoryview) -> list[Tensor]:
    """The tensors under a key of a document, some maybe in the tail. Raises Undecodable."""
    tensors = document.get(key) if type(document) is dict else None
    if type(tensors) is not list or not tensors:
        raise Undecodable(Reason.SHAPE, f"no list of `{key}`")
    binary = BinaryTensors(tail)
    return [_tensor_of(tensor, binary) for tensor in tensors]


def _tensor_of(tensor: object, binary: BinaryTensors) -> Tensor:
    if type(tensor) is not dict:
        raise Undecodable(Reason.SHAPE, "a tensor that is no object")
    name, shape, data = tensor.get("name"), tensor.get("shape"), tensor.get("data")
    if type(name) is not str:
        raise Undecodable(Reason.SHAPE, "a tensor without a name")
    if type(shape) is not list or len(shape) > _MOST_DIMENSIONS:
        raise Undecodable(Reason.SHAPE, "a tensor without a shape")
    if any(type(length) is not int or length < 0 for length in shape):
        raise Undecodable(Reason.SHAPE, "a shape of other than lengths")
    if type(data) is list:
        return Tensor(name, shape, _flat(data))
    if data is None:
        return Tensor(name, shape, binary.take(tensor.get("datatype"), shape, _size(tensor)))
    raise Undecodable(Reason.SHAPE, "a tensor whose data are no list")


def _flat(data: list[Any]) -> list[Value]:
    """Nested data in row-major order; what is neither list nor value is missing."""
    values: list[Value] = []
    waiting: list[Any] = [data]
    while waiting:
        part = waiting.pop()
        if type(part) is not list:
            values.append(part if type(part) in SCALARS else None)
        elif SCALARS.issuperset(map(type, part)):
            values += part
        else:
            waiting += reversed(part)
    return values


def _size(tensor: dict[str, Any]) -> object:
    parameters = tensor.get("parameters")
    return parameters.get("binary_data_size") if type(parameters) is dict else None
