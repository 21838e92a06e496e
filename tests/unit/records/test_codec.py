"""Records as bytes and back, by this version and others, and what is no record."""

import contextlib
import json

import msgspec
import numpy as np
import pytest

from sidecar.records import RecordError, decode, encode, from_json, to_json, to_json_lines
from sidecar.records.codec import CAPTURED_NAMES, RECORD_NAMES, time_ns, time_text, time_texts


@pytest.mark.parametrize("kind", ["outcome", "captured"])
def test_a_record_survives_both_forms(request, kind):
    record = request.getfixturevalue(kind)

    assert decode(encode(record)) == record
    assert from_json(to_json(record)) == record


def test_a_record_without_bodies_is_small(outcome):
    assert len(encode(outcome)) < 260


def test_a_newer_version_may_add_fields_at_the_end(outcome):
    row = msgspec.msgpack.decode(encode(outcome))

    assert decode(msgspec.msgpack.encode([*row, "new", {"more": 1}])) == outcome


def test_an_older_version_may_have_ended_earlier(outcome):
    row = msgspec.msgpack.decode(encode(outcome))
    before_optional = RECORD_NAMES.index("request_bytes")

    read = decode(msgspec.msgpack.encode(row[:before_optional]))

    assert (read.id, read.path) == (outcome.id, outcome.path)
    assert (read.duration_ns, read.predictions, read.captured) == (-1, (), None)


def test_every_truncation_is_refused_and_nothing_else_is_raised(captured):
    data = encode(captured)

    for length in range(len(data)):
        with pytest.raises(RecordError):
            decode(data[:length])


def test_every_flipped_byte_is_a_record_or_refused(captured):
    data = bytearray(encode(captured))

    for at in range(len(data)):
        data[at] ^= 0xFF
        with contextlib.suppress(RecordError):
            decode(bytes(data))
        data[at] ^= 0xFF


@pytest.mark.parametrize(
    "changes",
    [{"predictions": (2**64,)}, {"request_id": "half \ud800 a pair"}, {"rows": 2**70}],
)
def test_what_cannot_be_written_is_refused(varied, changes):
    with pytest.raises(RecordError, match="cannot be written"):
        encode(varied(**changes))


def test_the_time_has_nine_digits_and_a_zone(outcome):
    assert json.loads(to_json(outcome))["at"] == "2024-10-27T03:33:20.123456789Z"


def test_the_oracle_of_times_agrees():
    for at_ns in (0, 1, 999_999_999, 951_782_400_000_000_000, 2**63 - 1):
        assert time_ns(time_text(at_ns)) == at_ns
        assert np.datetime64(time_text(at_ns)[:-1]) == np.datetime64(at_ns, "ns")


@pytest.mark.parametrize("at_ns", [-1, 2**63])
def test_a_time_beyond_its_range_has_no_text(at_ns):
    with pytest.raises(RecordError):
        time_text(at_ns)
    with pytest.raises(RecordError):
        time_texts([0, 2**63 - 1, at_ns])


def test_many_times_are_those_of_each():
    some = [999_999_999, 0, 10**9, 2 * 10**9 - 1, 10**9, 2**63 - 1, 2**63 - 2, 10**18]

    assert time_texts(some) == [time_text(at_ns) for at_ns in some]
    assert time_texts([]) == []


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "2024-10-27",
        "2024-10-27T03:33:20",
        "2024-10-27T03:33:20+01:00",
        "2024-10-27T03:33:20+01:00Z",
        "2024-13-27T03:33:20Z",
        "1969-12-31T23:59:59Z",
        "2262-04-12T00:00:00Z",
        "9999-01-01T00:00:00Z",
        "NaTZ",
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"time|month|parsing"):
        time_ns(text)


def test_json_names_every_field_in_order(outcome, captured):
    assert tuple(json.loads(to_json(outcome))) == RECORD_NAMES
    assert tuple(json.loads(to_json(captured))["captured"]) == CAPTURED_NAMES


def test_a_body_is_text_where_it_is_text(captured):
    document = json.loads(to_json(captured))["captured"]

    assert document["request_body"] == '{"inputs": []}'
    assert document["request_body_encoding"] == "utf-8"
    assert document["response_body"] == "/wAgbm8gdGV4dA=="
    assert document["response_body_encoding"] == "base64"


def test_a_line_has_no_line_break_inside(varied):
    assert b"\n" not in to_json(varied(path="/a\nb\r\n", segments={"a": "\n"}))


def test_many_lines_are_those_of_each(varied, captured):
    records = [varied(), captured, varied(duration_ns=-1, first_byte_ns=-1, path="/a\nb")]

    assert to_json_lines(records) == b"".join(to_json(one) + b"\n" for one in records)
    assert to_json_lines([]) == b""


def test_of_many_lines_there_is_none_when_one_has_none(varied):
    for broken in (varied(path="\ud800"), varied(at_ns=-1)):
        with pytest.raises(RecordError):
            to_json_lines([varied(), broken])


def test_numbers_that_json_does_not_have_are_null(varied):
    document = json.loads(to_json(varied(scores=(float("nan"), float("inf"), 0.5))))

    assert document["scores"] == [None, None, 0.5]


def test_keys_that_a_newer_version_added_are_skipped(captured):
    document = json.loads(to_json(captured))
    document["new"] = document["captured"]["new"] = 1

    assert from_json(json.dumps(document)) == captured


def test_keys_with_defaults_may_be_missing(outcome):
    document = json.loads(to_json(outcome))
    del document["rows"], document["segments"], document["captured"]

    read = from_json(json.dumps(document))

    assert (read.rows, read.segments, read.captured) == (0, {}, None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": None}, "str"),
        ({"at": "yesterday"}, "no time such as"),
        ({"outcome": "7xx"}, "Invalid enum value '7xx'"),
        ({"captured": 5}, "array"),
        ({"captured": {}}, "`why` is missing"),
        ({"captured": {"why": "failed", "request_body": "x"}}, "unknown encoding"),
        (
            {
                "captured": {
                    "why": "failed",
                    "request_body": "!",
                    "request_body_encoding": "base64",
                }
            },
            "base64",
        ),
    ],
)
def test_a_line_that_is_no_record_says_why(outcome, change, sentence):
    document = json.loads(to_json(outcome)) | change

    with pytest.raises(RecordError, match=sentence):
        from_json(json.dumps(document))


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"5", b'"\xff"', b"[" * 100_000])
def test_a_line_that_is_no_object_is_refused(line):
    with pytest.raises(RecordError, match="no record"):
        from_json(line)


def test_a_missing_key_is_named(outcome):
    document = json.loads(to_json(outcome))
    del document["path"]

    with pytest.raises(RecordError, match="`path` is missing"):
        from_json(json.dumps(document))
