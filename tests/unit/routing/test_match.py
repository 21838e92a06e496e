"""Which requests a route takes, as a table."""

import pytest

from sidecar.routing import Match, host_name


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (None, None),
        (b"", None),
        (b"Example.COM", "example.com"),
        (b"example.com:8080", "example.com"),
        (b"example.com.", "example.com"),
        (b"example.com.:80", "example.com"),
        (b"127.0.0.1:80", "127.0.0.1"),
        (b"[::1]", "[::1]"),
        (b"[FE80::1]:8080", "[fe80::1]"),
        (b":80", None),
    ],
)
def test_the_host_is_compared_without_case_port_and_root_dot(field, name):
    assert host_name(field) == name


@pytest.mark.parametrize(
    ("match", "host", "path", "watched", "taken"),
    [
        (Match(), None, b"/", None, True),
        (Match(), "any", b"*", {}, True),
        (Match(host="a.com"), "a.com", b"/", {}, True),
        (Match(host="a.com"), "b.a.com", b"/", {}, False),
        (Match(host="a.com"), None, b"/", {}, False),
        (Match(host="*.a.com"), "b.a.com", b"/", {}, True),
        (Match(host="*.a.com"), "c.b.a.com", b"/", {}, True),
        (Match(host="*.a.com"), "a.com", b"/", {}, False),
        (Match(host="*.a.com"), "ba.com", b"/", {}, False),
        (Match(path_prefix=b"/v2"), None, b"/v2", {}, True),
        (Match(path_prefix=b"/v2"), None, b"/v2?x=1", {}, True),
        (Match(path_prefix=b"/v2"), None, b"/v2/models", {}, True),
        (Match(path_prefix=b"/v2"), None, b"/v22", {}, True),
        (Match(path_prefix=b"/v2/"), None, b"/v2", {}, False),
        (Match(path_prefix=b"/v2"), None, b"/V2", {}, False),
        (Match(path_prefix=b"/v2"), None, b"*", {}, False),
        (Match(headers=((b"x-env", b"blue"),)), None, b"/", {b"x-env": b"blue"}, True),
        (Match(headers=((b"x-env", b"blue"),)), None, b"/", {b"x-env": b"Blue"}, False),
        (Match(headers=((b"x-env", b"blue"),)), None, b"/", {}, False),
        (Match(headers=((b"x-env", b"blue"),)), None, b"/", None, False),
        (
            Match(headers=((b"a", b"1"), (b"b", b"2"))),
            None,
            b"/",
            {b"a": b"1", b"b": b"3"},
            False,
        ),
        (
            Match(host="a.com", path_prefix=b"/v2", headers=((b"a", b"1"),)),
            "a.com",
            b"/v2/x",
            {b"a": b"1"},
            True,
        ),
    ],
)
def test_all_conditions_must_hold(match, host, path, watched, taken):
    assert match.takes(host, path, watched) is taken


@pytest.mark.parametrize(
    ("earlier", "later", "covered"),
    [
        (Match(), Match(host="a.com", path_prefix=b"/x"), True),
        (Match(), Match(), True),
        (Match(path_prefix=b"/x"), Match(), False),
        (Match(path_prefix=b"/x"), Match(path_prefix=b"/x/y"), True),
        (Match(path_prefix=b"/x/y"), Match(path_prefix=b"/x"), False),
        (Match(host="a.com"), Match(host="a.com"), True),
        (Match(host="a.com"), Match(), False),
        (Match(host="*.a.com"), Match(host="b.a.com"), True),
        (Match(host="*.a.com"), Match(host="*.b.a.com"), True),
        (Match(host="*.a.com"), Match(host="*.a.com"), True),
        (Match(host="*.b.a.com"), Match(host="*.a.com"), False),
        (Match(host="b.a.com"), Match(host="*.a.com"), False),
        (Match(headers=((b"a", b"1"),)), Match(headers=((b"a", b"1"), (b"b", b"2"))), True),
        (Match(headers=((b"a", b"1"), (b"b", b"2"))), Match(headers=((b"a", b"1"),)), False),
        (Match(headers=((b"a", b"1"),)), Match(headers=((b"a", b"2"),)), False),
    ],
)
def test_a_route_covers_another_when_it_takes_all_that_the_other_would(earlier, later, covered):
    assert earlier.covers(later) is covered
