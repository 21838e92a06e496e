"""Addresses of listeners and models, as tables."""

import pytest

from sidecar.config.addresses import Address, Endpoint, parse_endpoint, parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address(host="127.0.0.1", port=8080)),
        ("0.0.0.0:0", Address(host="0.0.0.0", port=0)),
        ("localhost:80", Address(host="localhost", port=80)),
        ("[::1]:8080", Address(host="::1", port=8080)),
        ("[::]:65535", Address(host="::", port=65_535)),
        ("unix:/run/sidecar.sock", Address(path="/run/sidecar.sock")),
    ],
)
def test_a_listen_address_is_read(text, address):
    assert parse_listen(text) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8080", "no port"),
        (":8080", "no host"),
        ("", "no host"),
        ("127.0.0.1:", "no number"),
        ("127.0.0.1:65536", "no number from 0 to 65535"),
        ("127.0.0.1:٨٠", "no number"),
        ("127.0.0.1:80x", "no number"),
        ("::1:8080", "several colons"),
        ("[::1]", "no port"),
        ("[::1]8080", "no port after the brackets"),
        ("[::1:8080", "no port after the brackets"),
        ("[127.0.0.1]:80", "no IPv6 address"),
        ("a b:80", "characters no host has"),
        ("-a:80", "characters no host has"),
        ("http://a:80", "several colons"),
        ("unix:run/sidecar.sock", "does not begin with one `/`"),
        ("unix:", "does not begin with one `/`"),
        ("unix:/" + "x" * 107, "more than 107 bytes"),
    ],
)
def test_a_wrong_listen_address_says_why(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_listen(text)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://model:9000", Endpoint(address=Address(host="model", port=9000))),
        ("http://my_model", Endpoint(address=Address(host="my_model", port=80))),
        ("https://10.0.0.1", Endpoint(address=Address(host="10.0.0.1", port=443), tls=True)),
        ("http://[::1]:9000", Endpoint(address=Address(host="::1", port=9000))),
        ("https://[::1]", Endpoint(address=Address(host="::1", port=443), tls=True)),
        ("unix:/run/m.sock", Endpoint(address=Address(path="/run/m.sock"))),
    ],
)
def test_the_url_of_a_model_is_read(url, endpoint):
    assert parse_endpoint(url) == endpoint


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("model:9000", "no such scheme"),
        ("ftp://model", "no such scheme"),
        ("HTTP://model", "no such scheme"),
        ("http://", "no host"),
        ("http://model/", "a path"),
        ("http://model/v2", "a path"),
        ("http://model?x", "a path"),
        ("http://model:0", "no number from 1 to 65535"),
        ("http://user:secret@model", "a user name or password"),
        ("unix:m.sock", "does not begin with one `/`"),
        ("unix://m.sock", "does not begin with one `/`"),
        ("unix:///run/m.sock", "does not begin with one `/`"),
    ],
)
def test_a_wrong_url_says_why(url, reason):
    with pytest.raises(ValueError, match=reason):
        parse_endpoint(url)


def test_the_reason_never_quotes_a_password():
    with pytest.raises(ValueError, match="password") as refused:
        parse_endpoint("http://user:secret@model")

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("LocalHost:1", True),
        ("unix:/x", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("example.com:1", False),
        ("localhost.example.com:1", False),
    ],
)
def test_only_loopback_and_unix_sockets_are_local(text, local):
    assert parse_listen(text).is_local is local
