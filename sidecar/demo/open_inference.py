"""The Open Inference Protocol's JSON messages, read and written. Pure: bytes in, values out.

Source: the protocol's "Inference Request JSON Object" and "Inference Response JSON Object". Tensor
data arrives flat or nested, always row-major, so the shape alone says how it is meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

_LARGEST_TENSOR = 1_000_000
_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "BOOL": bool,
    "BYTES": str,
    "FP16": (int, float), "FP32": (int, float), "FP64": (int, float),
    **{f"{sign}INT{bits}": int for sign in ("", "U") for bits in (8, 16, 32, 64)},
}  # fmt: skip


class Tensor(Struct, kw_only=True, omit_defaults=True):
    """A named array; `data` may be nested as long as it holds as many values as `shape` says."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = {}

    def values(self) -> list[Any]:
        """Return the values flat, in row-major order.

        Raises ValueError when their number or type is not what shape and datatype say.
        """
        expected = _PYTHON_TYPES.get(self.datatype)
        if expected is None:
            raise ValueError(f"input {self.name}: datatype {self.datatype!r} is not known")
        count = math.prod(self.shape)
        if any(side < 0 for side in self.shape) or count > _LARGEST_TENSOR:
            raise ValueError(f"input {self.name}: shape {list(self.shape)} is out of range")
        flat = list(_flatten(self.data))
        if len(flat) != count:
            raise ValueError(
                f"input {self.name}: shape {list(self.shape)} needs {count} values, got {len(flat)}"
            )
        if not all(_is(value, expected) for value in flat):
            raise ValueError(f"input {self.name}: not all values are {self.datatype}")
        return flat


class Wanted(Struct, kw_only=True):
    """An output that the client asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(Struct, kw_only=True):
    """What a client asks: tensors in, and perhaps which tensors it wants out."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] | None = None


class InferResponse(Struct, kw_only=True, omit_defaults=True):
    """What the model answers; `id` echoes the request's."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


class Failure(Struct, kw_only=True):
    """The protocol's "Inference Response JSON Error Object"."""

    error: str


_decoder = msgspec.json.Decoder(InferRequest)
_encoder = msgspec.json.Encoder()


def read_request(body: bytes) -> InferRequest:
    """Decode a request; raises ValueError that says where it is wrong."""
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"not an inference request: {error}") from None


def write(message: InferRequest | InferResponse | Failure | dict[str, Any]) -> bytes:
    """Encode a message."""
    return _encoder.encode(message)


def chosen(outputs: Sequence[Tensor], wanted: Sequence[Wanted] | None) -> list[Tensor]:
    """Return the outputs that were asked for, in that order; all of them when none were named.

    Raises ValueError for an output the model does not have.
    """
    if not wanted:
        return list(outputs)
    by_name = {tensor.name: tensor for tensor in outputs}
    unknown = [output.name for output in wanted if output.name not in by_name]
    if unknown:
        raise ValueError(f"there is no output {unknown[0]!r}; there are {', '.join(by_name)}")
    return [by_name[output.name] for output in wanted]


def _flatten(data: list[Any]) -> Iterator[Any]:
    stack = [iter(data)]
    while stack:
        for value in stack[-1]:
            if isinstance(value, list):
                stack.append(iter(value))
                break
            yield value
        else:
            stack.pop()


def _is(value: object, expected: type | tuple[type, ...]) -> bool:
    # In Python True is an int; in the protocol a BOOL is no number.
    return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
