"""Fields are found in heads however they are spelled, and only there."""

import pytest

from sidecar.monitor.fields import FieldFinder

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nX-Region: eu\r\nX-Empty:\r\nX-Regional: no\r\n"


@pytest.mark.parametrize("name", [b"x-region", b"X-Region", b"X-REGION"])
def test_a_field_is_found_whatever_the_case_of_the_name_asked_for(name):
    assert FieldFinder(name).find(HEAD, len(HEAD)) == b"eu"


def test_spellings_may_change_from_head_to_head():
    finder = FieldFinder(b"x-region")
    for spelled in (b"X-Region", b"x-region", b"X-REGION", b"x-rEgIoN", b"X-Region"):
        head = b"GET / HTTP/1.1\r\n%b:\t eu-1 \t\r\n" % spelled
        assert finder.find(head, len(head)) == b"eu-1"


def test_what_is_not_there_is_not_found():
    assert FieldFinder(b"x-other").find(HEAD, len(HEAD)) is None
    assert FieldFinder(b"region").find(HEAD, len(HEAD)) is None
    assert FieldFinder(b"host: a").find(HEAD, len(HEAD)) is None


def test_an_empty_value_is_a_value():
    assert FieldFinder(b"x-empty").find(HEAD, len(HEAD)) == b""


def test_of_a_repeated_field_the_first_counts():
    head = b"GET / HTTP/1.1\r\nA: 1\r\nA: 2\r\n"
    assert FieldFinder(b"a").find(head, len(head)) == b"1"


def test_the_body_behind_the_head_is_not_searched():
    wire = HEAD + b"\r\nX-Body: 1\r\n"
    assert FieldFinder(b"x-body").find(wire, len(HEAD)) is None
