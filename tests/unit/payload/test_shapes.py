"""Which bytes of a body are its form, and where the values between them go."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.payload import (
    Body,
    Inputs,
    PayloadSettings,
    Protocol,
    Source,
    codec_for,
    raw_codec_for,
)
from sidecar.payload.scan import Pattern, Slot, TextList
from sidecar.payload.shapes import MOST_BYTES, Kind, shape_of_answer, shape_of_request

INFER = b"/v2/models/m/infer"
PREDICT = b"/v1/models/m:predict"
INVOKE = b"/invocations"
ROW = Inputs(("a", "b"), [[1.0, 2.0]])
OIP = (
    b'{"id": "r1", "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", '
    b'"data": [1.5, 2]}]}'
)
PROBABILITIES = (
    b'{"model_name": "m", "outputs": [{"name": "predict_proba", "shape": [1, 2], '
    b'"datatype": "FP64", "data": [0.1, 0.9]}]}'
)
PREDICTION_AND_SCORE = (
    b'{"outputs": [{"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [1]}, '
    b'{"name": "probability", "shape": [1], "datatype": "FP64", "data": [0.9]}]}'
)


def request_shape(body, path=INFER, settings=None, names=(), sources=()):
    codec = raw_codec_for(settings or PayloadSettings(), sources, max_bytes=1 << 20, names=names)
    return shape_of_request(codec, body, path)


def answer_shape(body, path=INFER, settings=None):
    codec = raw_codec_for(settings or PayloadSettings(), max_bytes=1 << 20)
    return shape_of_answer(codec, body, path, ROW)


def test_what_the_form_depends_on_is_literal_and_the_rest_are_slots():
    shape = request_shape(OIP, names=("a", "b"))
    assert shape.runs == (
        b'{"id": ', b', "inputs": [{"name": ', b', "shape": [1, 2], "datatype": ',
        b', "data": [', b", ", b"]}]}",
    )  # fmt: skip
    assert shape.ignored == (True, True, True, False, False)
    assert shape.places == (3, 4)
    assert shape.names == ("a", "b")


def test_a_name_that_columns_are_called_by_is_part_of_the_form():
    shape = request_shape(OIP)
    assert shape.names == ("x[0]", "x[1]")
    assert b'"name": "x"' in shape.runs[1]


@pytest.mark.parametrize(("path", "document", "values"), [
    (PREDICT, {"instances": [[1.5, None, 3]]}, ["1.5", "null", "3"]),
    (PREDICT, {"instances": [{"a": 1, "b": "red"}]}, ["1", '"red"']),
    (PREDICT, {"signature_name": "s", "inputs": {"a": [1], "b": [True]}}, ["1", "true"]),
    (PREDICT, {"inputs": {"a": 1, "b": 2}}, ["1", "2"]),
    (INVOKE, {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}, ["1", "2"]),
    (INVOKE, {"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}}, ["1", "2"]),
    (INVOKE, {"dataframe_records": [{"b": 2, "a": {"x": 1}}], "params": {"n": 9}}, ["2", "1"]),
    (INVOKE, {"inputs": [[1, 2]]}, ["1", "2"]),
    (INFER, {"inputs": [
        {"name": "a", "shape": [1, 1], "datatype": "FP32", "data": [1]},
        {"name": "b", "shape": [1], "datatype": "BYTES", "data": ["x"]},
    ]}, ["1", '"x"']),
    (INFER, {"inputs": [
        {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [[1, 2]]}
    ]}, ["1", "2"]),
])  # fmt: skip
def test_the_values_of_a_row_stand_where_every_protocol_has_them(path, document, values):
    body = json.dumps(document).encode()
    shape = request_shape(body, path)
    at, starts = 0, []
    for run in shape.runs[:-1]:
        at = body.index(run, at) + len(run)
        starts.append(at)
    for place, value in zip(shape.places, values, strict=True):
        assert body[starts[place] :].startswith(value.encode())
    read = codec_for(PayloadSettings(), max_bytes=1 << 20).read_request(Body(body, path))
    assert shape.names == read.names


@pytest.mark.parametrize(("path", "body"), [
    (PREDICT, b'{"instances": [[1, 2], [3, 4]]}'),  # two rows
    (PREDICT, b'{"instances": []}'),
    (PREDICT, b'{"instances": [{"b64": "aGk="}, 1]}'),
    (PREDICT, '{"instances": [[1, "ä"]]}'.encode()),
    (PREDICT, b'{"instances": [[1, "\\n"]]}'),
    (PREDICT, b'{"instances": 3}'),
    (PREDICT, b"{"),
    (PREDICT, b'{"instances": [[1, "' + b"x" * MOST_BYTES + b'"]]}'),
    (b"/v1/chat/completions", b'{"messages": [{"role": "user", "content": "hi"}]}'),
])  # fmt: skip
def test_other_bodies_than_of_one_row_have_no_shape(path, body):
    assert request_shape(body, path) is None


def test_features_that_are_not_there_are_missing_and_the_others_found():
    settings = PayloadSettings(features=("b", "gone"))
    shape = request_shape(b'{"instances": [{"a": 1, "b": 2}]}', PREDICT, settings)
    assert shape.names == ("b", "gone")
    assert shape.places == (1, None)
    assert shape.ignored == (True, False)


def test_sources_within_the_body_are_found_too():
    sources = (Source(pointer="/meta/region"), Source(feature="a"))
    body = b'{"meta": {"region": "eu"}, "instances": [{"a": 1}]}'
    assert request_shape(body, PREDICT, sources=sources).places == (1, 0, 1)


@pytest.mark.parametrize(("path", "body", "predictions", "places"), [
    (INFER, PROBABILITIES, 0, (2, 3)),
    (INFER, PREDICTION_AND_SCORE, 1, (1, 3)),
    (PREDICT, b'{"predictions": [[0.1, 0.9]]}', 2, (0, 1)),
    (PREDICT, b'{"predictions": [0.4]}', 1, (0,)),
    (PREDICT, b'{"predictions": [{"label": "yes", "score": 0.7}]}', 1, (0, 1)),
    (INVOKE, b'{"predictions": [1]}', 1, (0,)),
])  # fmt: skip
def test_answers_have_the_values_of_the_prediction_first(path, body, predictions, places):
    shape = answer_shape(body, path)
    assert shape.predictions == predictions
    assert shape.places == places


@pytest.mark.parametrize(("path", "body"), [
    (PREDICT, b'{"predictions": []}'),
    (PREDICT, b'{"predictions": [true]}'),
    (PREDICT, b'{"error": "no"}'),
    (PREDICT, b'{"predictions": [[1, 2], [3, 4]]}'),
    (b"/v1/chat/completions", b'{"choices": [{"finish_reason": "stop"}], "usage": {}}'),
])  # fmt: skip
def test_answers_that_are_none_of_one_row_have_no_shape(path, body):
    assert answer_shape(body, path) is None


def test_a_text_that_is_counted_needs_its_list_and_another_one_does_not():
    shape = request_shape(b'{"instances": [{"a": "red", "b": 1}]}', PREDICT)
    assert shape.kinds == (Kind.TEXT, Kind.NUMBER)
    assert shape.pattern({}) is None
    steps = [shape.pattern(lists).steps[0, 1] for lists in ({0: TextList(("red",), 1)}, {0: None})]
    assert steps == [Slot.TEXT, Slot.ANYTHING]


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_a_body_has_the_shape_that_was_made_of_it(values):
    body = json.dumps({"instances": [values]}).encode()
    shape = request_shape(body, PREDICT)
    assert isinstance(shape.pattern({}), Pattern)
    assert (
        b"".join(
            part
            for run, value in zip(shape.runs, [*map(repr, values), ""], strict=True)
            for part in (run, value.encode())
        )
        == body
    )


def test_an_answer_in_json_without_a_protocol_is_found_by_its_pointer():
    settings = PayloadSettings(codec=Protocol.JSON, prediction="/result/score")
    shape = answer_shape(b'{"took_ms": 3, "result": {"score": 0.5}}', settings=settings)
    assert shape.places == (1,)
    assert shape.ignored == (True, False)
