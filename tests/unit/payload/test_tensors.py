"""The quick ways to tensors, against the way through a document."""

import json

import pytest

from sidecar.payload.tensors import Tensor, flat_answer, flat_request, nested_request, tensors_of

FLAT = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2.5]}]}
NESTED = {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [[1], ["a"]]}]}


def text(document: object) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(("way", "document"), [(flat_request, FLAT), (nested_request, NESTED)])
def test_a_quick_way_gives_what_the_document_gives(way, document):
    assert way(text(document)) == tensors_of(document, "inputs", b"")


def test_kinds_of_values_survive_the_quick_way():
    (tensor,) = flat_request(
        text({"inputs": [{"name": "x", "shape": [5], "data": [1, 1.0, True, None, "1"]}]})
    )

    assert [type(value) for value in tensor.data] == [int, float, bool, type(None), str]
    assert tensor == Tensor("x", [5], [1, 1.0, True, None, "1"])


@pytest.mark.parametrize("way", [flat_request, nested_request, flat_answer])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"inputs": [{"name": "\xff"}]}',
        b"[]",
        b"{}",
        b'{"inputs": []}',
        b"[NaN]",
    ],
)
def test_what_is_not_of_its_kind_is_left_to_the_other_way(way, data):
    assert way(data) is None


def test_a_quick_way_takes_only_its_own_nesting():
    assert flat_request(text(NESTED)) is None
    assert nested_request(text(FLAT)) is None
    assert flat_answer(text(FLAT)) is None
