"""The demo's Open Inference messages, read and written."""

import json

import pytest

from sidecar.demo.open_inference import InferResponse, Tensor, Wanted, chosen, read_request, write


def tensor(**changes):
    return {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2, 3, 4]} | changes


def request(*inputs, **fields):
    return json.dumps({"inputs": list(inputs)} | fields).encode()


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[[1], [2]], [[3], [4]]]])
def test_flat_and_nested_data_are_the_same_tensor(data):
    assert read_request(request(tensor(data=data))).inputs[0].values() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"data": [1, 2, 3]}, "needs 4 values, got 3"),
        ({"data": [[1, 2], [3, 4, 5]]}, "needs 4 values, got 5"),
        ({"shape": [-2, -2]}, "out of range"),
        ({"shape": [10**6, 10**6]}, "out of range"),
        ({"datatype": "FLOAT"}, "'FLOAT' is not known"),
        ({"data": [1, 2, 3, "4"]}, "not all values are FP64"),
        ({"data": [1, 2, 3, True]}, "not all values are FP64"),
        ({"data": [1, 2, 3, None]}, "not all values are FP64"),
        ({"datatype": "INT64", "data": [1, 2, 3, 4.5]}, "not all values are INT64"),
        ({"datatype": "BOOL"}, "not all values are BOOL"),
        ({"datatype": "BYTES"}, "not all values are BYTES"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused_with_its_name(wrong, words):
    with pytest.raises(ValueError, match=f"input x: .*{words}"):
        read_request(request(tensor(**wrong))).inputs[0].values()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"inputs": 1}', b'{"inputs": [{}]}', b"\xff"]
)
def test_what_is_no_inference_request_is_refused(body):
    with pytest.raises(ValueError, match="not an inference request"):
        read_request(body)


def test_deep_nesting_is_flattened_without_recursion():
    data = [1]
    for _ in range(200):
        data = [data]
    assert read_request(request(tensor(shape=[1], data=data))).inputs[0].values() == [1]


def test_parameters_the_server_does_not_know_are_accepted():
    asked = read_request(
        request(tensor(parameters={"content_type": "np"}), id="7", parameters={"priority": 1})
    )
    assert asked.id == "7"


def test_an_answer_without_an_id_has_no_id_field():
    answer = json.loads(write(InferResponse(model_name="m", model_version="1", outputs=[])))
    assert "id" not in answer


def test_outputs_come_in_the_order_they_were_asked_for():
    outputs = [Tensor(name=name, shape=(0,), datatype="FP64", data=[]) for name in "abc"]
    assert [t.name for t in chosen(outputs, [Wanted(name="c"), Wanted(name="a")])] == ["c", "a"]
    assert chosen(outputs, None) == outputs
    with pytest.raises(ValueError, match=r"no output 'd'; there are a, b, c"):
        chosen(outputs, [Wanted(name="d")])
