"""MLflow's forms of requests and answers, its CSV, and what is none of them."""

import pytest

from sidecar.payload import Inputs, Outputs, Protocol, Reason

MLFLOW = Protocol.MLFLOW
CSV = {"content_type": b"text/csv; charset=utf-8"}


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}},
        {
            "dataframe_split": {
                "index": [0, 1],
                "columns": ["a", "b"],
                "data": [[1, "x"], [2, None]],
            }
        },
        {"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2}]},
        {"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": None}], "params": {"k": 1}},
        {"inputs": {"a": [1, 2], "b": ["x", None]}},
        {"inputs": {"a": [[1], [2]], "b": ["x", None]}},
    ],
)
def test_every_form_gives_the_same_rows(reader, document):
    inputs = reader(MLFLOW).request(document)

    assert inputs.names == ("a", "b")
    assert [list(row) for row in inputs.rows] == [[1, "x"], [2, None]]


def test_csv_has_a_header_even_of_numbers(reader):
    assert reader(MLFLOW).request("0,b\n1,x\n2,\n", **CSV) == Inputs(
        ("0", "b"), [[1, "x"], [2, None]]
    )


def test_lists_without_names_are_numbered(reader):
    for document in (
        {"instances": [[1, 2]]},
        {"inputs": [[1, 2]]},
        {"dataframe_split": {"data": [[1, 2]]}},
    ):
        assert reader(MLFLOW).request(document) == Inputs(("input[0]", "input[1]"), [[1, 2]])


def test_names_of_a_frame_may_be_integers(reader):
    document = {"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}}

    assert reader(MLFLOW).request(document).names == ("0", "1")


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"dataframe_split": []},
        {"dataframe_split": {}},
        {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": [["a", "b"]], "data": [[1]]}},
        {"dataframe_split": {"columns": "a", "data": [[1]]}},
        {"dataframe_split": {"columns": ["a"], "data": {"0": 1}}},
        {"dataframe_split": {"columns": ["a"], "data": [1]}},
        {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}},
        {"dataframe_records": "a"},
        {"instances": 1},
    ],
)
def test_what_does_not_fit_is_refused_as_shape(reader, document):
    assert reader(MLFLOW).refusal(document).reason is Reason.SHAPE


@pytest.mark.parametrize(
    ("document", "outputs"),
    [
        ({"predictions": [1, 0]}, Outputs([1, 0])),
        ({"predictions": [[0.25, 0.75]]}, Outputs([1], [0.75], [0.75])),
        ({"predictions": [{"0": 3.5}]}, Outputs([3.5])),
        ({"predictions": {"label": [1], "score": [0.25]}}, Outputs([1], [0.25], [0.75])),
        ([1, 0], Outputs([1, 0])),
    ],
)
def test_every_form_of_an_answer(reader, document, outputs):
    assert reader(MLFLOW).response(document) == outputs


@pytest.mark.parametrize("document", [{}, 1, {"error_code": "BAD_REQUEST"}, {"predictions": None}])
def test_an_answer_without_predictions_is_refused(reader, document):
    assert reader(MLFLOW).refusal_of_response(document).reason is Reason.SHAPE
