"""The Open Inference Protocol: data by shape alone, names, batches, answers that servers gave."""

import numpy as np
import pytest

from sidecar.payload import Inputs, Outputs, Protocol, Reason, Source

OIP = Protocol.OPEN_INFERENCE


def tensor(name: str, shape: list[int], data: list, datatype: str = "FP64", **more) -> dict:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def request(*tensors: dict) -> dict:
    return {"id": "1", "inputs": list(tensors), "outputs": [{"name": "predict"}]}


def response(*tensors: dict) -> dict:
    return {"model_name": "m", "model_version": None, "id": "1", "outputs": list(tensors)}


@pytest.mark.parametrize("shape", [[6], [6, 1], [1, 6], [2, 3], [3, 2], [2, 1, 3], [1, 2, 3]])
@pytest.mark.parametrize("form", ["flat", "nested", "by rows"])
def test_data_are_read_by_shape_whatever_their_nesting(reader, shape, form):
    array = np.arange(6.0).reshape(shape)
    data = {
        "flat": array.ravel().tolist(),
        "nested": array.tolist(),
        "by rows": array.reshape(2, 3).tolist(),
    }[form]

    inputs = reader(OIP).request(request(tensor("x", shape, data)))

    assert inputs.rows == array.reshape(shape[0], -1).tolist()


def test_rows_of_one_tensor_are_columns_called_by_their_place(reader):
    inputs = reader(OIP).request(request(tensor("x", [2, 2], [1, 2, 3, 4])))

    assert inputs == Inputs(("x[0]", "x[1]"), [[1, 2], [3, 4]])


def test_names_come_from_the_settings_or_the_baseline(reader):
    body = request(tensor("x", [1, 2], [1, 2]))

    assert reader(OIP, features=("age", "income")).request(body).names == ("age", "income")
    assert reader(OIP, names=("age", "income")).request(body).names == ("age", "income")


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_a_vector_of_as_many_values_as_names_is_one_row(reader, shape):
    body = request(tensor("x", shape, [1, 2]))

    assert reader(OIP, names=("age", "income")).request(body).rows == [[1, 2]]
    assert reader(OIP).request(body) == Inputs(("x",), [[1], [2]])


@pytest.mark.parametrize("shapes", [([1], [1]), ([1, 1], [1]), ([1, 1], [1, 1])])
def test_one_tensor_per_feature_is_one_column_each(reader, shapes):
    body = request(
        tensor("age", shapes[0], [41], "INT64"), tensor("city", shapes[1], ["Oslo"], "BYTES")
    )

    assert reader(OIP).request(body) == Inputs(("age", "city"), [[41, "Oslo"]])


def test_several_tensors_of_several_rows_stand_side_by_side(reader):
    body = request(
        tensor("age", [2], [41, 42]),
        tensor("city", [2, 1], [["Oslo"], [None]]),
        tensor("v", [2, 2], [1, 2, 3, 4]),
    )

    inputs = reader(OIP).request(body)

    assert inputs.names == ("age", "city", "v[0]", "v[1]")
    assert [list(row) for row in inputs.rows] == [[41, "Oslo", 1, 2], [42, None, 3, 4]]


def test_partly_named_columns_may_all_be_named_by_place(reader):
    body = request(tensor("a", [1], [1]), tensor("v", [1, 2], [2, 3]))

    assert reader(OIP, features=("x", "y", "z")).request(body).names == ("x", "y", "z")
    assert reader(OIP, features=("v[1]",)).request(body).rows == [[3]]


def test_features_choose_among_named_tensors(reader):
    body = request(tensor("a", [1], [1]), tensor("b", [1], [2]))

    assert reader(OIP, features=("b",)).request(body) == Inputs(("b",), [[2]])


@pytest.mark.parametrize(
    "sources", [(Source(feature="b"),), (Source(feature="b"), Source(pointer="/parameters/tier"))]
)
def test_sources_are_found_with_and_without_pointers(reader, sources):
    body = request(tensor("a", [1], [1]), tensor("b", [1], ["eu"])) | {"parameters": {"tier": 3}}

    assert reader(OIP, sources).request(body).sourced == ("eu", 3)[: len(sources)]


def test_an_empty_batch_has_names_and_no_rows(reader):
    assert reader(OIP).request(request(tensor("x", [0, 2], []))) == Inputs(("x[0]", "x[1]"), [])
    both = request(tensor("x", [0], []), tensor("y", [0, 2], []))
    assert reader(OIP).request(both) == Inputs(("x", "y[0]", "y[1]"), [])


@pytest.mark.parametrize("data", [[True, False], [[True], [False]]])
def test_kinds_of_values_are_kept(reader, data):
    rows = reader(OIP).request(request(tensor("x", [2, 1], data, "BOOL"))).rows

    assert [type(row[0]) for row in rows] == [bool, bool]


def test_what_is_no_value_is_missing(reader):
    body = request(tensor("x", [1, 2], [{"b64": "aGk="}, None]))

    assert reader(OIP).request(body).rows == [[None, None]]


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ([], "no list of `inputs`"),
        ({}, "no list of `inputs`"),
        ({"inputs": []}, "no list of `inputs`"),
        ({"inputs": [1]}, "a tensor that is no object"),
        ({"inputs": [{"shape": [1], "data": [1]}]}, "without a name"),
        ({"inputs": [{"name": "x", "data": [1]}]}, "without a shape"),
        ({"inputs": [tensor("x", [1] * 33, [1])]}, "without a shape"),
        ({"inputs": [tensor("x", [-1], [1])]}, "other than lengths"),
        ({"inputs": [tensor("x", [True], [1])]}, "other than lengths"),
        ({"inputs": [tensor("x", [1.0], [1])]}, "other than lengths"),
        ({"inputs": [tensor("x", [2, 2], [1, 2, 3])]}, "does not fit"),
        ({"inputs": [tensor("x", [2, 2], [[1, 2], [3]])]}, "does not fit"),
        ({"inputs": [tensor("x", [10**18, 30], [1])]}, "does not fit"),
        ({"inputs": [tensor("x", [0, 10**18], [])]}, "more than 4096"),
        ({"inputs": [tensor("x", [2**63] * 32, [1])]}, "does not fit"),
        ({"inputs": [tensor("x", [1, 5000], [0] * 5000)]}, "more than 4096"),
        (
            {"inputs": [tensor(name, [1, 2100], [0] * 2100) for name in ("x", "y")]},
            "more than 4096",
        ),
        ({"inputs": [tensor("x", [1], "a")]}, "no list"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]}, "end before"),
        ({"inputs": [{"name": "x", "shape": [1]}]}, "without data"),
        ({"inputs": [tensor("x", [1], [1]), tensor("y", [2], [1, 2])]}, "different numbers"),
        ({"inputs": [tensor("x", [1], [1]), tensor("x", [1], [2])]}, "two columns of one name"),
    ],
)
def test_what_does_not_fit_is_refused_as_shape(reader, document, detail):
    refused = reader(OIP).refusal(document)

    assert (refused.reason, detail in refused.detail) == (Reason.SHAPE, True)


# As captured: MLServer 1.7 and KServe 0.21 answer the same call with these shapes.
@pytest.mark.parametrize("shape", [[2, 1], [2]])
@pytest.mark.parametrize("data", [[1, 0], [[1], [0]]])
def test_answers_with_and_without_a_last_dimension_are_the_same(reader, shape, data):
    answer = response(tensor("predict", shape, data, "INT64"))

    assert reader(OIP).response(answer) == Outputs([1, 0])


def test_labels_and_probabilities_stand_beside_each_other(reader):
    answer = response(
        tensor("predict", [2], ["yes", "no"], "BYTES"),
        tensor("predict_proba", [2, 2], [0.25, 0.75, 0.9, 0.1]),
    )

    assert reader(OIP).response(answer) == Outputs(["yes", "no"], [0.75, 0.1], [0.75, 0.9])


def test_an_answer_in_one_vector_to_one_row_is_that_rows(reader):
    oip = reader(OIP)
    inputs = oip.request(request(tensor("x", [1, 2], [1, 2])))

    answer = response(tensor("scores", [3], [0.2, 0.7, 0.1]))

    assert oip.response(answer, inputs) == Outputs([1], [0.7], [0.7])


def test_an_output_that_is_not_read_may_be_anything(reader):
    answer = response(tensor("predict", [1], [1]), tensor("image", [1, 9999], [0] * 9999))

    assert reader(OIP).response(answer) == Outputs([1])


def test_an_error_of_the_server_is_no_answer(reader):
    assert reader(OIP).refusal_of_response({"error": "no such model"}).reason is Reason.SHAPE


def test_a_bare_nan_is_a_missing_value(reader):
    body = '{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [NaN, 1]}]}'

    assert reader(OIP).request(body).rows == [[None, 1]]


def test_forms_that_alternate_are_all_read(reader):
    oip = reader(OIP)
    flat = request(tensor("x", [1, 2], [1, 2]))
    nested = request(tensor("x", [1, 2], [[1, 2]]))
    deeper = request(tensor("x", [1, 1, 2], [[[1, 2]]]))

    for body in (flat, nested, nested, deeper, flat, deeper, nested, flat):
        assert oip.request(body) == Inputs(("x[0]", "x[1]"), [[1, 2]])
