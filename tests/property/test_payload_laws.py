"""What must hold of any payload: codecs give rows or a reason, and equal meanings read alike."""

import json
import math
import struct
from itertools import accumulate, pairwise

import numpy as np
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sidecar.payload import (
    Body,
    Inputs,
    PayloadSettings,
    Protocol,
    Source,
    Undecodable,
    codec_for,
)
from sidecar.payload.columns import SCALARS
from sidecar.payload.decode import deepest_nesting, document_of
from sidecar.payload.pointer import Pointer
from sidecar.payload.sse import EventLines
from sidecar.payload.tensors import flat_request, nested_request, tensors_of

MAX_BYTES = 1 << 16
SOURCES = (Source(feature="a"), Source(pointer="/inputs/0/name"))

scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
)
KEYS = [
    "inputs", "outputs", "instances", "predictions", "name", "shape", "data", "datatype", "columns",
    "parameters", "binary_data_size", "b64", "dataframe_split", "dataframe_records", "messages",
    "content", "prompt", "choices", "delta", "logprobs", "usage", "predict", "predict_proba",
    "label", "score", "token_logprobs", "logprob", "completion_tokens", "a", "b",
]  # fmt: skip
words = st.sampled_from(KEYS)
documents = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)
plain_cells = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
cells = plain_cells | st.text(max_size=4) | st.booleans() | st.none()
names = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5, unique=True)


@st.composite
def tables(draw, cell=cells):
    """Names, and rows of as many cells."""
    columns = draw(names)
    row = st.lists(cell, min_size=len(columns), max_size=len(columns))
    return columns, draw(st.lists(row, min_size=1, max_size=4))


@st.composite
def valid_requests(draw):
    """A request of some protocol, as its bytes."""
    columns, rows = draw(tables(plain_cells))
    flat = [cell for row in rows for cell in row]
    tensor = {"name": "x", "shape": [len(rows), len(columns)], "datatype": "FP64", "data": flat}
    form = draw(
        st.sampled_from(
            [
                {"inputs": [tensor]},
                {"inputs": [tensor | {"data": rows}]},
                {"inputs": [{**tensor, "name": n, "shape": [1], "data": [0]} for n in columns]},
                {"instances": rows},
                {"inputs": dict(zip(columns, zip(*rows, strict=True), strict=True))},
                {"dataframe_split": {"columns": columns, "data": rows}},
                {"dataframe_records": [dict(zip(columns, row, strict=True)) for row in rows]},
                {"outputs": [tensor | {"name": "predict"}]},
                {"predictions": rows},
                {"choices": [{"finish_reason": "stop"}], "messages": [{"content": "x"}]},
            ]
        )
    )
    return json.dumps(form).encode()


PIECES = [b"NaN", b"[", b"]", b"{", b'"', b"9" * 40]


@st.composite
def mutated(draw):
    """A valid request, hurt in a few places."""
    data = bytearray(draw(valid_requests()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.binary(max_size=3) | st.sampled_from(PIECES))
        data[at : at + draw(st.integers(0, 3))] = piece
    return bytes(data)


bodies = st.builds(
    Body,
    st.binary(max_size=200)
    | mutated()
    | valid_requests()
    | documents.map(lambda d: json.dumps(d).encode()),
    st.sampled_from(
        [b"", b"/v2/models/m/infer", b"/v1/models/m:predict", b"/invocations", b"/v1/completions"]
    ),
    st.sampled_from([b"", b"application/json", b"text/csv", b"text/event-stream"]),
    st.sampled_from([b"", b"", b"", b"gzip", b"deflate"]),
    st.none() | st.none() | st.integers(-1, 300),
)


def read_request(protocol: Protocol, value: object, **settings: object) -> Inputs:
    codec = codec_for(PayloadSettings(codec=protocol, **settings), max_bytes=MAX_BYTES)
    return codec.read_request(Body(json.dumps(value).encode()))


@given(st.sampled_from(Protocol), st.lists(bodies, min_size=1, max_size=3), st.booleans())
def test_a_codec_gives_rows_of_values_or_a_reason(protocol, given_bodies, selects):
    settings = PayloadSettings(codec=protocol, features=("a", "b") if selects else ())
    codec = codec_for(settings, SOURCES, max_bytes=MAX_BYTES)

    for body in given_bodies:
        inputs = None
        try:
            inputs = codec.read_request(body)
        except Undecodable:
            pass
        else:
            assert all(len(row) == len(inputs.names) for row in inputs.rows)
            assert all(SCALARS.issuperset(map(type, row)) for row in inputs.rows)
            assert all(value == value for row in inputs.rows for value in row)
        try:
            outputs = codec.read_response(body, inputs)
        except Undecodable:
            pass
        else:
            assert SCALARS.issuperset(map(type, outputs.predictions))
            assert all(type(score) is float for score in (*outputs.scores, *outputs.confidences))


@given(tables())
def test_the_forms_of_rows_mean_the_same(table):
    columns, rows = table
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    by_column = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))

    for protocol, document in (
        (Protocol.MLFLOW, {"dataframe_split": {"columns": columns, "data": rows}}),
        (Protocol.MLFLOW, {"dataframe_records": records}),
        (Protocol.MLFLOW, {"inputs": by_column}),
        (Protocol.KSERVE_V1, {"instances": records}),
        (Protocol.KSERVE_V1, {"inputs": by_column}),
        (Protocol.JSON, records),
    ):
        assume("b64" not in columns)
        inputs = read_request(protocol, document)
        assert inputs.names == tuple(columns)
        assert [list(row) for row in inputs.rows] == rows


@given(tables(plain_cells), st.sampled_from(["flat", "nested", "columns"]))
def test_tensors_mean_the_rows_that_numpy_reshapes(table, form):
    columns, rows = table
    shape = [len(rows), len(columns)]
    tensor = {"name": "x", "shape": shape, "datatype": "FP64"}
    array = np.array(rows, dtype=object)
    if form == "columns":
        tensors = [
            {
                "name": name,
                "shape": [len(rows), 1],
                "datatype": "FP64",
                "data": array[:, place].tolist(),
            }
            for place, name in enumerate(columns)
        ]
    else:
        tensors = [tensor | {"data": (array if form == "nested" else array.ravel()).tolist()}]

    inputs = read_request(Protocol.OPEN_INFERENCE, {"inputs": tensors}, features=tuple(columns))

    assert inputs.names == tuple(columns)
    assert [list(row) for row in inputs.rows] == rows


@given(documents)
def test_the_quick_ways_to_tensors_agree_with_the_way_through_a_document(document):
    text = (
        json.dumps({"inputs": document}, allow_nan=False, default=str) if _finite(document) else ""
    )
    assume(text)
    for way in (flat_request, nested_request):
        tensors = way(text.encode())
        if tensors is not None:
            assert tensors == tensors_of(orjson.loads(text), "inputs", b"")


@given(valid_requests())
def test_a_valid_request_reads_alike_by_every_way(data):
    document = orjson.loads(data)
    for way in (flat_request, nested_request):
        tensors = way(data)
        if tensors is not None:
            assert tensors == tensors_of(document, "inputs", b"")


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=20),
    st.lists(st.text(max_size=5), max_size=5),
)
def test_binary_tensors_are_what_was_packed(numbers, texts):
    raw = np.array(numbers, dtype="<f4").tobytes()
    packed = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    tensors = [{"name": "n", "shape": [1, len(numbers)], "datatype": "FP32"}]
    if texts:
        tensors.append({"name": "t", "shape": [1, len(texts)], "datatype": "BYTES"})
    head = json.dumps({"inputs": tensors}).encode()
    codec = codec_for(PayloadSettings(codec=Protocol.OPEN_INFERENCE), max_bytes=MAX_BYTES)

    (row,) = codec.read_request(Body(head + raw + packed, json_bytes=len(head))).rows

    expected = [None if math.isnan(number) else number for number in numbers]
    assert list(row) == [*expected, *texts]


@given(documents)
def test_the_second_reading_gives_what_the_first_would(document):
    assume(_finite(document))
    text = json.dumps(document)

    assert document_of(f'["NaN", NaN, {text}]'.encode()) == ["NaN", None, _as_floats(document)]


STRINGS = ['"a"', '"["', '"]]"', r'"\\"', r'"\"["', r'"\\\"]"', '""']


@given(st.lists(st.sampled_from(["[", "]", "{", "}", *STRINGS])))
def test_depth_is_counted_outside_of_strings_only(tokens):
    steps = [1 if token in "[{" else -1 if token in "]}" else 0 for token in tokens]

    assert deepest_nesting("".join(tokens).encode()) == max([0, *accumulate(steps)])


@given(documents, st.data())
def test_a_pointer_leads_to_what_it_was_made_from(document, data):
    path, value = [], document
    while isinstance(value, dict | list) and value and data.draw(st.booleans()):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = data.draw(st.sampled_from(keys))
        path.append(str(key).replace("~", "~0").replace("/", "~1"))
        value = value[key]

    assert Pointer.parse("".join(f"/{step}" for step in path)).find(document) is value


@given(
    st.lists(st.binary(max_size=30), max_size=8), st.lists(st.integers(0, 200)), st.integers(5, 40)
)
def test_events_do_not_depend_on_how_their_bytes_arrive(lines, cuts, longest):
    stream = b"\n".join(b"data:" + line for line in lines)
    cuts = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    whole, parts = EventLines(longest), EventLines(longest)

    expected = whole.feed(stream) + whole.finish()
    found = [event for start, end in pairwise(cuts) for event in parts.feed(stream[start:end])]

    assert found + parts.finish() == expected
    assert parts.overflows == whole.overflows


@pytest.mark.parametrize("protocol", [Protocol.AUTO, Protocol.OPEN_INFERENCE])
@given(table=tables(plain_cells))
def test_names_are_the_same_object_for_the_same_form(protocol, table):
    columns, rows = table
    codec = codec_for(PayloadSettings(codec=protocol), max_bytes=MAX_BYTES)
    tensors = [{"name": name, "shape": [1], "datatype": "FP64", "data": [0]} for name in columns]
    wide = [{"name": "x", "shape": [len(rows), len(columns)], "datatype": "FP64", "data": rows}]

    for form in (tensors, wide):
        body = Body(json.dumps({"inputs": form}).encode())
        assert codec.read_request(body).names is codec.read_request(body).names


def _finite(value: object) -> bool:
    """Whether JSON has a form for every number in it."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return all(map(_finite, value)) if isinstance(value, list) else True


def _as_floats(value: object) -> object:
    """Integers beyond 64 bits as they are read: as floats."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if len(str(value)) < 20 else float(value)
    if isinstance(value, dict):
        return {key: _as_floats(item) for key, item in value.items()}
    return list(map(_as_floats, value)) if isinstance(value, list) else value
