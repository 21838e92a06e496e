"""Tensors in binary, as the Open Inference Protocol's binary extension has them.

A body is JSON of a length that its head gives, then the bytes of each tensor in the order of the
JSON, row-major and little endian; a text is a uint32 length and as many bytes. Each tensor says how
many bytes are its own in `parameters.binary_data_size`; where it does not, its shape and type do.

Extension: https://github.com/kserve/open-inference-protocol, "Binary Tensor Data Extension".

Must not know: what tensors mean.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sidecar.payload.extract import Undecodable, Value
from sidecar.payload.names import Reason

_TYPES: Final[Mapping[str, str]] = {
    "BOOL": "?",
    "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
    "BF16": "<u2",  # the upper half of a float32; NumPy has no such type
}  # fmt: skip
_BYTES: Final = "BYTES"
_LENGTH: Final = struct.Struct("<I")


class BinaryTensors:
    """Hands out the tensors that follow the JSON of a body, one after the other."""

    def __init__(self, tail: bytes | memoryview) -> None:
        self._tail = memoryview(tail)
        self._at = 0

    def take(self, datatype: object, shape: list[int], size: object) -> list[Value]:
        """The values of the next tensor; `size` is its length in bytes if that was said.

        Raises Undecodable when they are not there, or are not as many.
        """
        count = prod(shape)
        if datatype == _BYTES:
            end = self._end_of_texts(count)
        elif type(datatype) is str and datatype in _TYPES:
            end = self._at + count * np.dtype(_TYPES[datatype]).itemsize
        else:
            raise Undecodable(Reason.SHAPE, "a tensor without data, or of an unknown type")
        self._require(end)
        if size is not None and size != end - self._at:
            raise Undecodable(Reason.SHAPE, "a binary tensor whose size does not fit its shape")
        part, self._at = self._tail[self._at : end], end
        return _texts(part) if datatype == _BYTES else _numbers(part, datatype)

    def _end_of_texts(self, count: int) -> int:
        at = self._at
        self._require(at + count * _LENGTH.size)  # so that a huge count costs nothing
        for _ in range(count):
            self._require(at + _LENGTH.size)
            at += _LENGTH.size + _LENGTH.unpack_from(self._tail, at)[0]
        return at

    def _require(self, end: int) -> None:
        if end > len(self._tail):
            raise Undecodable(Reason.SHAPE, "binary tensors end before their shapes do")


def _numbers(data: memoryview, datatype: str) -> list[Value]:
    array: npt.NDArray[Any] = np.frombuffer(data, dtype=_TYPES[datatype])
    if datatype == "BF16":
        array = (array.astype("<u4") << 16).view("<f4")
    values: list[Value] = array.tolist()
    if array.dtype.kind == "f" and np.isnan(array).any():
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    return values


def _texts(data: memoryview) -> list[Value]:
    texts: list[Value] = []
    at = 0
    while at < len(data):
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(data, at)[0]
        texts.append(_text(data[start:at]))
    return texts


def _text(data: memoryview) -> str | None:
    """A category; bytes that are no text (a picture) are a value that is there and unreadable."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        return None
