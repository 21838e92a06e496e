"""Who may change things: tokens, and web pages in a local browser."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from sidecar.admin.guard import (
    Forbidden,
    Unauthorized,
    check_change,
    has_token,
    is_local_name,
)

TOKEN = b"0123456789abcdef"


def change(**headers: str):
    """A changing call with these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("POST", "/api/v1/rollback", headers=named)


@pytest.mark.parametrize(
    ("shown", "right"),
    [
        ("Bearer 0123456789abcdef", True),
        ("bearer 0123456789abcdef", True),  # RFC 9110 11.1: the scheme's case does not count
        ("Bearer  0123456789abcdef ", True),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        ("Bearer 0123456789abcde", False),
        ("Bearer 0123456789abcdefg", False),
        ("Bearer 0123456789ABCDEF", False),
        ("Basic 0123456789abcdef", False),
        ("0123456789abcdef", False),
        ("Bearer \u00e4\u00f6", False),
    ],
)
def test_only_the_token_itself_is_the_token(shown, right):
    assert has_token(shown, TOKEN) is right


def test_with_a_token_configured_a_change_must_show_it():
    check_change(change(Authorization="Bearer 0123456789abcdef", Host="any.example"), TOKEN)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Host": "127.0.0.1"}):
        with pytest.raises(Unauthorized):
            check_change(change(**headers), TOKEN)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1:9090", True),
        ("localhost", True),
        ("localhost:9090", True),
        ("[::1]:9090", True),
        ("10.0.0.7:9090", True),
        ("evil.example:9090", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_only_addresses_and_localhost_cannot_be_rebound(host, local):
    assert is_local_name(host) is local


def test_without_a_token_a_page_under_a_rebound_name_changes_nothing():
    with pytest.raises(Forbidden):
        check_change(change(Host="evil.example:9090"), None)


def test_without_a_token_a_page_of_another_origin_changes_nothing():
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        with pytest.raises(Forbidden):
            check_change(change(Host="127.0.0.1:9090", Origin=origin), None)
    check_change(change(Host="127.0.0.1:9090", Origin="http://127.0.0.1:9090"), None)
    check_change(change(Host="127.0.0.1:9090"), None)  # a command, not a browser
