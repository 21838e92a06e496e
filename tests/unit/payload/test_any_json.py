"""JSON of no protocol, read where the settings point."""

import pytest

from sidecar.payload import Inputs, Outputs, Protocol, Reason, Source

JSON = Protocol.JSON


@pytest.mark.parametrize(
    ("instances", "document", "inputs"),
    [
        (None, {"a": 1, "b": "x"}, Inputs(("a", "b"), [[1, "x"]])),
        (None, [{"a": 1}, {"a": 2}], Inputs(("a",), [[1], [2]])),
        (None, [1, 2], Inputs(("input[0]", "input[1]"), [[1, 2]])),
        ("/data/rows", {"data": {"rows": [[1, 2], [3, 4]]}}, None),
        ("/user", {"user": {"age": 3, "home": {"city": "Oslo"}}}, None),
        ("", [], Inputs((), [])),
    ],
)
def test_instances_point_to_a_row_or_to_rows(reader, instances, document, inputs):
    read = reader(JSON, instances=instances).request(document)

    if instances == "/user":
        inputs = Inputs(("age", "home.city"), [[3, "Oslo"]])
    elif instances == "/data/rows":
        inputs = Inputs(("input[0]", "input[1]"), [[1, 2], [3, 4]])
    assert read == inputs


@pytest.mark.parametrize("document", [1, ["text"], None, {"rows": 1}, {"rows": None}])
def test_what_is_not_there_is_refused(reader, document):
    refused = reader(JSON, instances="/rows").refusal(document)

    assert (refused.reason, "payload.instances" in refused.detail) == (Reason.SHAPE, True)


def test_features_and_sources_reach_below_the_row(reader):
    json = reader(
        JSON, (Source(pointer="/user/id"), Source(feature="home.city")),
        instances="/user", features=("age",),
    )  # fmt: skip

    inputs = json.request({"user": {"id": 7, "age": 3, "home": {"city": "Oslo"}}})

    assert inputs == Inputs(("age",), [[3]], (7, "Oslo"))


@pytest.mark.parametrize(
    ("settings", "document", "outputs"),
    [
        ({}, {"prediction": 1, "probabilities": [0.25, 0.75]}, None),
        ({"prediction": "/result/label"}, {"result": {"label": "x"}}, Outputs(["x"])),
        ({"prediction": "/labels"}, {"labels": ["x", "y"]}, Outputs(["x", "y"])),
        ({"prediction": "/label"}, [{"label": "x"}, {"label": "y"}, {}], Outputs(["x", "y", None])),
        ({"score": "/p"}, {"p": [[0.25, 0.75]]}, Outputs([1], [0.75], [0.75])),
        ({"prediction": "y", "score": "/p"}, {"y": 1, "p": 0.25}, Outputs([1], [0.25], [0.75])),
        ({"prediction": "y"}, {"y": 1, "z": 2}, Outputs([1])),
        ({}, [1, 2], Outputs([1, 2])),
    ],
)
def test_outputs_are_pointed_to_or_named(reader, settings, document, outputs):
    json = reader(JSON, **settings)
    inputs = json.request({"a": 1}) if outputs is None else None

    expected = Outputs([1], [0.75], [0.75]) if outputs is None else outputs
    assert json.response(document, inputs) == expected


@pytest.mark.parametrize("document", [{}, [{}], 1, {"other": 1}])
def test_nothing_where_the_settings_point_is_refused(reader, document):
    refused = reader(JSON, prediction="/label").refusal_of_response(document)

    assert refused.reason is Reason.SHAPE
