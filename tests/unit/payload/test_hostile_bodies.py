"""Whatever the bytes, through every codec and as request and answer: rows, or a reason; no more."""

import gzip
import itertools
import json
from collections.abc import Callable
from typing import TypeVar

import orjson
import pytest
from harness.corpus import Case, cases

from sidecar.payload import (
    Body,
    Codec,
    Inputs,
    Outputs,
    PayloadSettings,
    Protocol,
    Source,
    Undecodable,
    codec_for,
)
from sidecar.payload.columns import SCALARS

T = TypeVar("T")

SOURCES = (Source(feature="a"), Source(pointer="/a/0"), Source(header="x"))
SETTINGS = (
    *(PayloadSettings(codec=protocol) for protocol in Protocol),
    PayloadSettings(codec=Protocol.JSON, instances="/a", prediction="/b", score="/c"),
    PayloadSettings(codec=Protocol.CSV, csv_header=True, prediction="a"),
    PayloadSettings(features=("a", "b"), score="a", labels=("x", "y"), positive="x"),
)
TYPES = (b"", b"application/json", b"text/csv", b"text/event-stream")
PATHS = (b"", b"/v2/models/a/infer", b"/v1/models/a:predict", b"/invocations", b"/v1/completions")
WHERE_DOCUMENTS_STAND = (
    "%s", '{"inputs": %s}', '{"instances": %s}', '{"instances": [%s]}', '{"instances": [[1, %s]]}',
    '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [%s]}]}',
    '{"inputs": [{"name": "x", "datatype": "FP32", "shape": %s, "data": [1]}]}',
    '{"outputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": %s}]}',
    '{"outputs": %s}', '{"predictions": %s}', '{"predictions": [[0.5, %s]]}',
    '{"dataframe_split": {"columns": ["a"], "data": [[%s]]}}', '{"dataframe_records": [{"a": %s}]}',
    '{"messages": %s}', '{"prompt": %s}', '{"choices": [%s]}',
    '{"choices": [{"logprobs": {"content": [{"logprob": %s}]}}], "usage": %s}',
)  # fmt: skip


@pytest.fixture(scope="module")
def codecs() -> list[Codec]:
    """One codec for every setting; they live through all bodies, as they would in a worker."""
    return [codec_for(settings, SOURCES, max_bytes=1 << 20) for settings in SETTINGS]


def are_sound(inputs: Inputs) -> bool:
    """Whether these are rows of values under names that tell them apart."""
    return (
        type(inputs.names) is tuple
        and all(type(name) is str for name in inputs.names)
        and all(len(row) == len(inputs.names) for row in inputs.rows)
        and all(SCALARS.issuperset(map(type, row)) for row in inputs.rows)
        and SCALARS.issuperset(map(type, inputs.sourced))
        and all(value == value for row in inputs.rows for value in row)
    )


def are_outputs(outputs: Outputs) -> bool:
    """Whether these are values and numbers."""
    return (
        SCALARS.issuperset(map(type, outputs.predictions))
        and all(type(score) is float for score in (*outputs.scores, *outputs.confidences))
        and all(type(value) is float for value in outputs.measures.values())
    )


def attempt(read: Callable[..., T], *arguments: object) -> T | None:
    """What was read, None when there was a reason not to; anything else fails the test."""
    try:
        return read(*arguments)
    except Undecodable:
        return None


def feed(codecs: list[Codec], body: Body) -> None:
    """Read a body in every way there is."""
    for codec in codecs:
        inputs = attempt(codec.read_request, body)
        assert inputs is None or are_sound(inputs)
        for asked in (None, inputs):
            outputs = attempt(codec.read_response, body, asked)
            assert outputs is None or are_outputs(outputs)


@pytest.mark.parametrize("case", cases("json_bodies.jsonl"))
def test_every_body_of_the_json_test_suite(codecs, case: Case):
    for content_type in TYPES:
        feed(codecs, Body(case.data, content_type=content_type))
    auto = codecs[:1]
    for path in PATHS:
        feed(auto, Body(case.data, path))
    for template in WHERE_DOCUMENTS_STAND:
        feed(auto, Body(template.encode().replace(b"%s", case.data)))


def nested(opening: str, closing: str, levels: int = 100_000) -> str:
    return opening * levels + "1" + closing * levels


ODD = {
    "nesting in lists": nested("[", "]"),
    "nesting in objects": nested('{"a":', "}", 50_000),
    "nesting as deep as parsers go": nested("[", "]", 1000),
    "nesting as deep, two wide": nested("[1,", "]", 1000),
    "nesting as deep, in objects": nested('{"data":', "}", 1000),
    "opened, never closed": "[" * 100_000,
    "a hundred thousand digits": "1" * 100_000,
    "minus a hundred thousand digits": "-" + "1" * 100_000,
    "a hundred thousand decimals": "0." + "1" * 100_000,
    "a huge exponent": "1e100000",
    "beyond 64 bits": "18446744073709551616",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "NUL": '"\\u0000"',
    "a bare NUL": '"\x00"',
    "half a surrogate pair": '"\\ud800"',
    "half a pair beside NaN": '["\\udfff", NaN]',
    "a long text": '"' + "x" * 500_000 + '"',
    "duplicate keys": '{"a": 1, "a": [1, 2], "a": null}',
    "empty key": '{"": {"": []}}',
    "many keys": json.dumps({str(number): number for number in range(5000)}),
    "many rows": json.dumps([[1, 2]] * 1000),
    "a huge shape": "[9223372036854775807, 9223372036854775807]",
    "shapes beyond integers": '[1e30, -1, true, null, "1"]',
    "ragged": "[[1], [1, 2], [], 3, {}]",
    "booleans": "[true, false]",
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_values_wherever_a_value_may_stand(codecs, name):
    for template in WHERE_DOCUMENTS_STAND:
        body = template.replace("%s", ODD[name]).encode("utf-8", "surrogatepass")
        feed(codecs, Body(body))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 1000,
        b"\xff" * 1000,
        b"\x1f\x8b\x08",
        gzip.compress(b'{"instances": [[1]]}', mtime=0)[:-3],
        b"\xef\xbb\xbf",
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
        b"a,b\n" * 1000,
        b"data: {}\n\n" * 1000,
        b'{"instances": [[1]]}' + b" " * (1 << 20),
    ],
)
def test_bytes_that_are_nothing_in_particular(codecs, data):
    for content_type, encoding in itertools.product(
        TYPES, (b"", b"gzip", b"deflate", b"br", b"\xff")
    ):
        feed(codecs, Body(data, b"\xff", content_type, encoding))
    for json_bytes in (0, 1, len(data), len(data) + 1, -1, 10**18):
        feed(codecs, Body(memoryview(data), json_bytes=json_bytes))


def test_reading_leaves_the_bytes_alone():
    body = bytearray(orjson.dumps({"instances": [[1, [2]]]}))
    before = bytes(body)

    codec_for(PayloadSettings(), max_bytes=1 << 20).read_request(Body(memoryview(body)))
    body += b"x"  # nobody holds it any more: a view would forbid to resize it

    assert body == before + b"x"
