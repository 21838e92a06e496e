"""Events cut from a stream, however its bytes arrive, with one bounded line in hand."""

import pytest

from sidecar.payload.sse import EventLines

STREAM = (
    b": hello\r\nevent: x\r\ndata: one\r\n\r\ndata:two\n\ndata:  three \n\nid: 7\ndata\ndata:\n"
)


def events(*parts: bytes, longest_line: int = 100) -> tuple[list[bytes], int]:
    lines = EventLines(longest_line)
    found = [event for part in parts for event in lines.feed(part)]
    return found + lines.finish(), lines.overflows


def test_the_data_of_each_event_are_found():
    assert events(STREAM) == ([b"one", b"two", b"three", b""], 0)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_portions_do_not_matter(size):
    parts = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]

    assert events(*parts) == events(STREAM)
    assert events(*map(memoryview, parts)) == events(STREAM)


def test_a_last_line_without_an_end_counts():
    assert events(b"data: a\ndata: b") == ([b"a", b"b"], 0)


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("ended", [True, False])
def test_a_line_that_is_too_long_is_passed_over_and_counted(size, ended):
    stream = b"data: a\ndata: " + b"x" * 95 + b"\ndata: b\n" + b"y" * 200 + b"\n" * ended
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert events(*parts) == ([b"a", b"b"], 2)


def test_a_line_of_exactly_the_bound_is_read():
    assert events(b"data:" + b"x" * 95 + b"\n") == ([b"x" * 95], 0)


def test_no_more_than_a_line_is_ever_held():
    lines = EventLines(1000)

    for _ in range(10_000):
        lines.feed(b"x" * 100)

    assert len(lines._held) <= 1000
