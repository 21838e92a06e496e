"""JSON Pointers by the examples of RFC 6901, and what is none."""

import pytest

from sidecar.payload.pointer import Pointer

# RFC 6901 5.
DOCUMENT = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_the_standard(text, value):
    assert Pointer.parse(text).find(DOCUMENT) == value


@pytest.mark.parametrize(
    "text",
    [
        "/foo/2",
        "/foo/-",
        "/foo/00",
        "/foo/-1",
        "/foo/bar",
        "/nope",
        "/foo/0/x",
        f"/foo/{'9' * 5000}",
    ],
)
def test_what_is_not_there_is_none(text):
    assert Pointer.parse(text).find(DOCUMENT) is None


def test_tilde_one_after_tilde_zero_is_no_slash():
    assert Pointer.parse("/~01").find({"~1": "right", "/": "wrong"}) == "right"


def test_an_object_may_have_numbers_for_keys():
    assert Pointer.parse("/0/1").find({"0": {"1": "x"}}) == "x"


@pytest.mark.parametrize(("text", "fix"), [("a", "begins with"), ("/~", "~0"), ("/a~2b", "~0")])
def test_what_is_no_pointer_is_refused_with_what_to_write(text, fix):
    with pytest.raises(ValueError, match=fix):
        Pointer.parse(text)
