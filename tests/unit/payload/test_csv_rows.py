"""CSV with and without a header, and what a cell is."""

import math

import pytest

from sidecar.payload import Inputs, Outputs, Protocol, Reason

CSV = Protocol.CSV
AUTO = Protocol.AUTO
HEAD = {"content_type": b"text/csv"}


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1),
        ("-1", -1),
        (" 1 ", 1),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("inf", math.inf),
        ("", None),
        ("NaN", None),
        ("NA", None),
        ("null", None),
        ("None", None),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("true", "true"),
        ("Oslo", "Oslo"),
        ('"a,b"', "a,b"),
        ('"a\nb"', "a\nb"),
        ("\x00", "\x00"),
        ("9" * 30, 1e30),
        ("9" * 5000, math.inf),
    ],
)
def test_a_cell_is_a_number_missing_or_a_category(reader, cell, value):
    ((read, _),) = reader(CSV).request(f"{cell},x").rows

    assert read == value
    assert type(read) is type(value)


def test_names_come_from_settings_baseline_or_header(reader):
    assert reader(CSV, features=("a", "b")).request("1,2").names == ("a", "b")
    assert reader(CSV, names=("a", "b")).request("1,2").names == ("a", "b")
    assert reader(CSV).request("1,2").names == ("input[0]", "input[1]")
    assert reader(CSV, csv_header=True).request("a, b\n1,2\n\n3,4\n") == Inputs(
        ("a", "b"), [[1, 2], [3, 4]]
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n", ("a", "b")),
        ("1,2\n3,4\n", ("input[0]", "input[1]")),
        ("a,1\nb,2\n", ("input[0]", "input[1]")),
        ("x,y\n", ("input[0]", "input[1]")),
        ("a,\n1,2\n", ("input[0]", "input[1]")),
    ],
)
def test_without_a_codec_a_line_of_words_above_others_is_a_header(reader, text, names):
    assert reader(AUTO).request(text, **HEAD).names == names


@pytest.mark.parametrize("text", ["", "\n\n", "1,2\n3\n", b"\xff\xfe", "x" * 200_000])
def test_what_is_no_csv_is_refused_as_shape(reader, text):
    assert reader(CSV).refusal(text).reason is Reason.SHAPE


def test_a_byte_order_mark_is_no_part_of_a_name(reader):
    assert reader(CSV, csv_header=True).request(b"\xef\xbb\xbfa\n1\n").names == ("a",)


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("1\n0\n", Outputs([1, 0])),
        ("yes,0.75\nno,0.25\n", Outputs(["yes", "no"], [0.75, 0.25], [0.75, 0.75])),
        ("1,0.25,0.75\n", Outputs([1], [0.75], [0.75])),
        ("0.25,0.75\n", Outputs([1], [0.75], [0.75])),
    ],
)
def test_columns_of_an_answer_are_prediction_score_and_probabilities(reader, text, outputs):
    assert reader(CSV).response(text) == outputs


def test_columns_of_an_answer_may_be_named_by_place_or_header(reader):
    assert reader(CSV, prediction="1").response("9,a\n8,b\n") == Outputs(["a", "b"])
    header = reader(CSV, csv_header=True, prediction="y", score="p")
    assert header.response("p,y\n0.75,a\n") == Outputs(["a"], [0.75], [0.75])


def test_an_answer_in_json_to_a_request_in_csv_is_read(reader):
    answer = {"predictions": [{"score": 0.75}]}

    read = reader(CSV).response(answer, content_type=b"application/json")

    assert read == Outputs((), [0.75], [0.75])
