"""Tensors in binary: every type against NumPy, lengths that are wrong, counts that are huge."""

import json
import struct
import tracemalloc

import numpy as np
import pytest

from sidecar.payload import Inputs, Outputs, Protocol, Reason
from sidecar.payload.binary_tensors import BinaryTensors
from sidecar.payload.extract import Undecodable

OIP = Protocol.OPEN_INFERENCE
TYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
    "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
    "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip


def texts(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def packed(document: dict, *parts: bytes) -> tuple[bytes, int]:
    """A body and the length of its JSON."""
    head = json.dumps(document).encode()
    return head + b"".join(parts), len(head)


def binary(name: str, shape: list[int], datatype: str, size: int | None = None) -> dict:
    described = {"name": name, "shape": shape, "datatype": datatype}
    return described if size is None else described | {"parameters": {"binary_data_size": size}}


@pytest.mark.parametrize("datatype", TYPES)
@pytest.mark.parametrize("with_size", [True, False])
def test_every_type_is_read_as_numpy_reads_it(reader, datatype, with_size):
    array = np.array([[0, 1, 2], [3, 100, 1]]).astype(TYPES[datatype])
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    body, length = packed(
        {"inputs": [binary("x", [2, 3], datatype, len(raw) if with_size else None)]}, raw
    )

    inputs = reader(OIP).request(body, json_bytes=length)

    assert inputs.rows == array.tolist()
    assert type(inputs.rows[0][0]) is type(array.tolist()[0][0])


def test_bf16_is_the_upper_half_of_a_float(reader):
    halves = (np.array([1.5, -2.0], dtype="<f4").view("<u4") >> 16).astype("<u2").tobytes()
    body, length = packed({"inputs": [binary("x", [1, 2], "BF16")]}, halves)

    assert reader(OIP).request(body, json_bytes=length).rows == [[1.5, -2.0]]


def test_texts_have_lengths_and_what_is_no_text_is_missing(reader):
    body, length = packed(
        {"inputs": [binary("x", [1, 3], "BYTES")]}, texts("é".encode(), b"", b"\xff\xd8\xff")
    )

    assert reader(OIP).request(body, json_bytes=length).rows == [["é", "", None]]


def test_nan_is_missing_and_infinity_is_not(reader):
    raw = np.array([np.nan, np.inf, 1], dtype="<f4").tobytes()
    body, length = packed({"inputs": [binary("x", [1, 3], "FP32")]}, raw)

    assert reader(OIP).request(body, json_bytes=length).rows == [[None, float("inf"), 1.0]]


def test_tensors_follow_each_other_and_may_be_mixed_with_json(reader):
    body, length = packed(
        {
            "inputs": [
                binary("city", [2], "BYTES"),
                {"name": "n", "shape": [2], "datatype": "INT64", "data": [7, 8]},
                binary("age", [2, 1], "FP64", 16),
            ]
        },
        texts(b"Oslo", b"Rome"),
        np.array([1.0, 2.0], dtype="<f8").tobytes(),
    )

    inputs = reader(OIP).request(body, json_bytes=length)

    assert inputs == Inputs(("city", "n", "age"), [("Oslo", 7, 1.0), ("Rome", 8, 2.0)])


def test_answers_come_in_binary_too(reader):
    body, length = packed(
        {"outputs": [binary("ignored", [2], "INT32"), binary("predict", [1, 1], "INT64", 8)]},
        bytes(8),
        np.array([5], dtype="<i8").tobytes(),
    )

    assert reader(OIP).response(memoryview(body), json_bytes=length) == Outputs([5])


@pytest.mark.parametrize(
    ("described", "raw", "detail"),
    [
        (binary("x", [2], "FP32", 8), bytes(7), "end before"),
        (binary("x", [2], "FP32", 7), bytes(8), "does not fit its shape"),
        (binary("x", [2], "FP32", -8), bytes(8), "does not fit its shape"),
        (binary("x", [2], "FP32", 8) | {"parameters": {"binary_data_size": "8"}}, bytes(8), "fit"),
        (binary("x", [1], "FP8"), bytes(8), "unknown type"),
        (binary("x", [1], "BYTES"), b"\xff\xff\xff\xffabc", "end before"),
        (binary("x", [1], "BYTES"), b"\x01\x00", "end before"),
        (binary("x", [2], "BYTES", 6), texts(b"a", b""), "does not fit its shape"),
        (binary("x", [10**15], "FP64"), bytes(8), "end before"),
        (binary("x", [10**15], "BYTES"), bytes(8), "end before"),
        (binary("x", [2**63] * 32, "BYTES"), bytes(8), "end before"),
    ],
)
def test_lengths_that_do_not_fit_are_refused_without_allocating(reader, described, raw, detail):
    body, length = packed({"inputs": [described]}, raw)
    oip = reader(OIP)

    tracemalloc.start()
    try:
        refused = oip.refusal(body, json_bytes=length)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (refused.reason, detail in refused.detail) == (Reason.SHAPE, True)
    assert peak < 1 << 20


def test_a_list_as_type_is_no_type():
    with pytest.raises(Undecodable, match="unknown type"):
        BinaryTensors(b"").take(["FP32"], [1], None)
