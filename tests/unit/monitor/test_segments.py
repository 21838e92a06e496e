"""Segment values are found where the configuration says, and lead to the block of their own."""

import pytest

from sidecar.config.observation import SegmentPlan
from sidecar.monitor.exchanges import Request
from sidecar.monitor.segments import LONGEST_VALUE, SegmentKey, SourcedValue, asked_of_codec
from sidecar.payload import Inputs, Source

HEADER = Source(header="X-Region")
FEATURE = Source(feature="age")
POINTER = Source(pointer="/user/tier")
HEAD = b"POST / HTTP/1.1\r\nx-region: eu\r\n\r\n"
REQUEST = Request(HEAD + b"{}", len(HEAD), b"/")


def text(source, sourced=(), request=REQUEST):
    asked = asked_of_codec([HEADER, FEATURE, POINTER])
    return SourcedValue(source, asked).text(request, Inputs((), (), sourced))


def test_the_codec_is_asked_for_what_stands_in_bodies_and_once():
    assert asked_of_codec([FEATURE, HEADER, POINTER, FEATURE]) == (FEATURE, POINTER)


def test_a_header_is_read_from_the_head():
    assert text(HEADER) == "eu"
    assert text(HEADER, request=Request(b"POST / HTTP/1.1\r\n\r\n", 19, b"/")) is None


@pytest.mark.parametrize(("value", "expected"), [
    ("gold", "gold"), (3, "3"), (3.0, "3"), (True, "true"), (None, None), (float("nan"), None),
    ("x" * 500, "x" * LONGEST_VALUE),
])  # fmt: skip
def test_values_of_bodies_read_like_categories(value, expected):
    assert text(FEATURE, (value, None)) == expected
    assert text(POINTER, (None, value)) == expected


def test_a_request_whose_sources_are_unknown_has_no_value():
    assert text(FEATURE, ()) is None


def test_a_header_may_hold_any_bytes():
    head = b"POST / HTTP/1.1\r\nX-Region: \xff\xfe\r\n\r\n"
    assert text(HEADER, request=Request(head, len(head), b"/")) == "ÿþ"


def test_each_value_has_its_block_and_all_others_share_the_last():
    plan = SegmentPlan(name="region", source=HEADER, values=("eu", "us"))
    key = SegmentKey(plan, (), [100, 200, 300])
    assert [key.base(value) for value in ("eu", "us", "jp", None)] == [100, 200, 300, 300]
