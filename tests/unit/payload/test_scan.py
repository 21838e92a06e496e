"""Bodies of a pattern are read to the byte, and every other body is left alone."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.board import warm
from sidecar.payload.decimals import nearest_doubles
from sidecar.payload.scan import REFUSED, SEAL, Pattern, Slot, TextList, scan_bodies

KINDS = ("interpreted", "compiled")
EVERYTHING = Pattern.of(
    [b'{"n": ', b', "m": ', b', "t": ', b', "c": ', b', "s": ', b"}"],
    [Slot.NUMBER, Slot.NULLABLE, Slot.TRUTH, Slot.TEXT, Slot.ANYTHING],
    [None, None, None, TextList(("red", "blue"), 2), None],
)
SAMPLE = b'{"n": -1.5e2, "m": 7, "t": true, "c": "blue", "s": "id-1"}'


@pytest.fixture(scope="module", params=KINDS)
def kernels(request):
    if request.param == "interpreted":
        return scan_bodies, nearest_doubles
    compiled = warm(os.environ)
    return compiled.scan_bodies, compiled.nearest_doubles


def read(kernels, pattern, *bodies):
    """The values of each body, None for one that does not match."""
    lengths = np.array([len(body) for body in bodies], dtype=np.int64)
    ends = np.cumsum(lengths)
    data = np.frombuffer(b"".join(bodies) + SEAL, dtype=np.uint8)
    numbers, matched, count = pattern.read(*kernels, data, ends - lengths, ends)
    assert count == matched.sum()
    found = zip(numbers.tolist(), matched.tolist(), strict=True)
    return [row if fits else None for row, fits in found]


def number_between(before=b"[", after=b"]"):
    return Pattern.of([before, after], [Slot.NUMBER], [None])


def test_every_kind_of_value_is_read(kernels):
    (row,) = read(kernels, EVERYTHING, SAMPLE)
    assert row == [-150.0, 7.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(("body", "row"), [
    (b'{"n": 0, "m": null, "t": false, "c": "green", "s": ""}', [0.0, None, 0.0, 2.0, 0.0]),
    (b'{"n": 0, "m": -0, "t": false, "c": "red", "s": "~ !#"}', [0.0, 0.0, 0.0, 0.0, 0.0]),
])  # fmt: skip
def test_missing_unknown_and_empty_values_are_read(kernels, body, row):
    (found,) = read(kernels, EVERYTHING, body)
    assert [None if value != value else value for value in found] == row


@pytest.mark.parametrize("text", [
    "0", "-0", "1", "10", "1.0", "0.5", "-0.25", "1e5", "1E+5", "1e-5", "0e0", "0.0", "1.50e-07",
    "123456789012345678", "0.000000000000000000001234", "5.1e22", "9007199254740992",
    "0.1234567890123456", "2.2250738585072014e-20",
])  # fmt: skip
def test_numbers_that_json_allows_are_read_as_float_does(kernels, text):
    assert read(kernels, number_between(), f"[{text}]".encode()) == [[float(text)]]


@pytest.mark.parametrize("text", [
    "", "-", "+1", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "--1", "1 ", " 1", "0x10", "1_0",
    "NaN", "Infinity", "-Infinity", "true", "null", '"1"', "1,2", "[1]", "1e5.0", "1.5.5", "00",
    "1234567890123456789", "0.12345678901234567891", "1e400", "-1e-400", "1e99999999999999999999",
])  # fmt: skip
def test_whatever_else_stands_in_the_place_of_a_number_does_not_match(kernels, text):
    assert read(kernels, number_between(), f"[{text}]".encode()) == [None]


@pytest.mark.parametrize("text", [
    '"a\\n"', '"a\\u0062"', '"\\""', '"ä"', '"\x7f"', '"a\tb"', '"a', "a", "1", "null", '""b',
])  # fmt: skip
def test_texts_with_escapes_beyond_ascii_or_unended_do_not_match(kernels, text):
    body = SAMPLE.replace(b'"blue"', text.encode())
    other = SAMPLE.replace(b'"id-1"', text.encode())
    assert read(kernels, EVERYTHING, body, other) == [None, None]


def test_a_text_that_is_none_of_a_closed_list_does_not_match(kernels):
    closed = Pattern.of([b"", b""], [Slot.TEXT], [TextList(("yes", "no"), REFUSED)])
    assert read(kernels, closed, b'"yes"', b'"no"', b'"ye"', b'"yess"') == [
        [0.0],
        [1.0],
        None,
        None,
    ]


def test_a_body_does_not_go_on_in_the_next_one(kernels):
    pattern = number_between(b"[", b"")
    assert read(kernels, pattern, b"[1", b"2", b"[3") == [None, None, [3.0]]
    assert read(kernels, number_between(), b"[1", b"]", b"[2]") == [None, None, [2.0]]


@pytest.mark.parametrize("starts_and_ends", [(-1, 3), (0, 4), (0, 99), (3, 2), (4, 4), (90, 99)])
def test_positions_outside_of_the_bytes_match_nothing(kernels, starts_and_ends):
    data = np.frombuffer(b"[1]" + SEAL, dtype=np.uint8)
    starts, ends = np.array(starts_and_ends, dtype=np.int64).reshape(2, 1)
    assert number_between().read(*kernels, data, starts, ends)[2] == 0


def test_bytes_without_their_seal_match_nothing(kernels):
    data = np.frombuffer(b"[1]x", dtype=np.uint8)
    starts, ends = np.array([[0], [3]])
    assert number_between().read(*kernels, data, starts, ends)[2] == 0
    nothing = np.empty(0, dtype=np.uint8)
    assert number_between().read(*kernels, nothing, starts, ends)[2] == 0


def test_as_many_ends_as_starts_are_needed(kernels):
    data = np.frombuffer(SEAL, dtype=np.uint8)
    with pytest.raises(ValueError, match="2 ends of 1"):
        number_between().read(*kernels, data, np.zeros(1, np.int64), np.zeros(2, np.int64))


@given(at=st.integers(0, len(SAMPLE) - 1), byte=st.integers(0, 255))
def test_a_body_with_another_byte_says_what_json_says_or_does_not_match(kernels, at, byte):
    body = SAMPLE[:at] + bytes([byte]) + SAMPLE[at + 1 :]
    (found,) = read(kernels, EVERYTHING, body)
    if found is not None:
        said = json.loads(body)
        assert list(said) == ["n", "m", "t", "c", "s"]
        assert found[:3] == [said["n"], said["m"], said["t"]]
        assert found[3] == {"red": 0, "blue": 1}.get(said["c"], 2)


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_numbers_as_json_writes_them_are_the_same_numbers(kernels, values):
    runs = [b"[", *[b", "] * (len(values) - 1), b"]"]
    pattern = Pattern.of(runs, [Slot.NUMBER] * len(values), [None] * len(values))
    assert read(kernels, pattern, json.dumps(values).encode()) in ([values], [None])


def test_both_ways_of_running_it_say_the_same_of_every_byte():
    bodies = [
        SAMPLE[:at] + bytes([byte]) + SAMPLE[at + 1 :]
        for at in range(len(SAMPLE))
        for byte in b'\0 "0.1e-]}\\n\xff'
    ]
    compiled = warm(os.environ)
    assert read((scan_bodies, nearest_doubles), EVERYTHING, *bodies) == read(
        (compiled.scan_bodies, compiled.nearest_doubles), EVERYTHING, *bodies
    )
