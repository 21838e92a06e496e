"""KServe v1 and TensorFlow Serving: rows, columns, named outputs."""

import pytest

from sidecar.payload import Inputs, Outputs, Protocol, Reason, Source

V1 = Protocol.KSERVE_V1


@pytest.mark.parametrize(
    ("document", "names", "rows"),
    [
        ({"instances": [[1, 2], [3, 4]]}, ("input[0]", "input[1]"), [[1, 2], [3, 4]]),
        ({"instances": [[1], [2]]}, ("input",), [[1], [2]]),
        ({"instances": [1, 2]}, ("input",), [[1], [2]]),
        ({"instances": [{"a": 1, "b": "x"}]}, ("a", "b"), [[1, "x"]]),
        ({"instances": [{"a": 1}, {"b": 2}]}, ("a", "b"), [[1, None], [None, 2]]),
        ({"instances": [{"a": [1], "v": [2, 3]}]}, ("a", "v[0]", "v[1]"), [[1, 2, 3]]),
        ({"instances": [{"b64": "aGk="}]}, ("input",), [[None]]),
        ({"instances": [{"image": {"b64": "aGk="}, "n": 1}]}, ("image", "n"), [[None, 1]]),
        ({"instances": [[[1, 2], [3, 4]]]}, tuple(f"input[{i}]" for i in range(4)), [[1, 2, 3, 4]]),
        ({"instances": []}, (), []),
        (
            {"signature_name": "s", "inputs": {"a": [1, 2], "b": [3, 4]}},
            ("a", "b"),
            [[1, 3], [2, 4]],
        ),
        ({"inputs": {"a": [[1], [2]]}}, ("a",), [[1], [2]]),
        ({"inputs": {"v": [[1, 2], [3, 4]]}}, ("v[0]", "v[1]"), [[1, 2], [3, 4]]),
        ({"inputs": {"a": 1, "b": "x"}}, ("a", "b"), [[1, "x"]]),
        ({"inputs": [[1, 2]]}, ("input[0]", "input[1]"), [[1, 2]]),
        ({"inputs": {}}, (), []),
    ],
)
def test_every_form_of_a_request(reader, document, names, rows):
    inputs = reader(V1).request(document)

    assert inputs.names == names
    assert [list(row) for row in inputs.rows] == rows


def test_bare_values_of_python_are_read(reader):
    assert reader(V1).request('{"instances": [[NaN, -Infinity]]}').rows == [[None, float("-inf")]]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"instances": {"a": 1}},
        {"instances": "abc"},
        {"inputs": 3},
        {"instances": [[1, 2], [3]]},
        {"instances": [[1], {"a": 1}]},
        {"instances": [{"a": 1}, [1]]},
        {"instances": [1, [2]]},
        {"inputs": {"a": [1, 2], "b": [1]}},
        {"inputs": {str(number): [1] for number in range(5000)}},
        {"instances": [{str(number): 1 for number in range(5000)}]},
        {"instances": [[0] * 5000]},
        {"instances": [{str(number): 1} for number in range(5000)]},
    ],
)
def test_what_does_not_fit_is_refused_as_shape(reader, document):
    assert reader(V1).refusal(document).reason is Reason.SHAPE


def test_rows_may_be_named_and_sourced(reader):
    v1 = reader(V1, (Source(feature="b"), Source(pointer="/instances/1/0")), names=("a", "b"))

    inputs = v1.request({"instances": [[1, [2]], [3, 4]]})

    assert inputs == Inputs(("a", "b"), [[1, 2], [3, 4]], (2, 3))


def test_features_name_the_parts_of_a_column(reader):
    v1 = reader(V1, features=("age", "income"))

    assert v1.request({"inputs": {"x": [[1, 2]]}}).names == ("age", "income")


@pytest.mark.parametrize(
    ("document", "outputs"),
    [
        ({"predictions": [1, "a", None]}, Outputs([1, "a", None])),
        ({"predictions": [[0.5], [2.5]]}, Outputs([0.5, 2.5])),
        ({"predictions": [[0.25, 0.75], [0.5, 0.5]]}, Outputs([1, 0], [0.75, 0.5], [0.75, 0.5])),
        ({"predictions": [{"label": "x", "score": 0.75}]}, Outputs(["x"], [0.75], [0.75])),
        (
            {"predictions": [{"classes": 1, "probabilities": [0.25, 0.75]}]},
            Outputs([1], [0.75], [0.75]),
        ),
        ({"predictions": [{"label": "x"}, {"score": 1}]}, None),
        ({"outputs": [1, 2]}, Outputs([1, 2])),
        ({"outputs": {"classes": ["x"], "scores": [[0.25, 0.75]]}}, Outputs(["x"], [0.75], [0.75])),
        ({"outputs": {"y": 3}}, Outputs([3])),
        ({"predictions": 3}, Outputs([3])),
        ({"predictions": []}, Outputs([])),
    ],
)
def test_every_form_of_an_answer(reader, document, outputs):
    read = reader(V1).response(document)

    if outputs is None:  # what one row lacks is missing
        assert read.predictions == ["x", None]
        assert read.scores[1] == 1.0
    else:
        assert read == outputs


@pytest.mark.parametrize(
    "document",
    [
        [1],
        {},
        {"error": "oops"},
        {"predictions": None},
        {"predictions": {}},
        {"predictions": [[1, 2], [3]]},
        {"predictions": [{"label": 1}, 2]},
        {"predictions": [{"x": 1, "y": 2}]},
        {"predictions": [[-1.5, 2.5]]},
    ],
)
def test_an_answer_that_does_not_fit_is_refused_as_shape(reader, document):
    assert reader(V1).refusal_of_response(document).reason is Reason.SHAPE


def test_the_only_output_may_be_called_a_score(reader):
    v1 = reader(V1, score="predictions", labels=("no", "yes"))

    assert v1.response({"predictions": [[0.75]]}) == Outputs(["yes"], [0.75], [0.75])
