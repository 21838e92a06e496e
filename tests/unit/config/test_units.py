"""Durations and sizes, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.units import (
    Duration,
    Size,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("48h", 172_800.0),
        ("1d", 86_400.0),
        (" 2 s ", 2.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)
    assert type(parse_duration(text)) is Duration


@pytest.mark.parametrize(
    ("text", "size"),
    [("64KiB", 65_536), ("1.5MB", 1_500_000), ("0B", 0), ("4GiB", 4 * 1024**3), ("1 KB", 1000)],
)
def test_a_size_is_a_number_and_a_unit(text, size):
    assert parse_size(text) == size
    assert type(parse_size(text)) is Size


@pytest.mark.parametrize(
    "value",
    [
        "5",
        5,
        5.0,
        None,
        True,
        "",
        "s",
        "5 parsecs",
        "-5s",
        "5S",
        "1e3s",
        "\u0665s",
        "5s5s",
        "9" * 13 + "s",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(value):
    with pytest.raises(ValueError, match="Expected a duration such as `500ms`"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["5", 5, None, "", "5kb", "5 KIB", "-5B", "5s", "1e3B"])
def test_what_is_no_size_is_refused_with_an_example(value):
    with pytest.raises(ValueError, match="Expected a size such as `64KiB`"):
        parse_size(value)


@given(st.integers(0, 10**9))
def test_durations_in_whole_microseconds_survive_being_written(microseconds):
    seconds = microseconds / 1e6

    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-12)


@given(st.integers(0, 10**12 - 1))
def test_sizes_survive_being_written(size):
    assert parse_size(format_size(size)) == size
