"""Heads: what is read, what is refused, and what reading may cost."""

import time

import pytest

from sidecar.config.settings import Limits
from sidecar.config.units import Size
from sidecar.errors import ClientError, UpstreamError
from sidecar.proxy.head import RequestParser, ResponseParser

LIMITS = Limits(request_line=Size(200), header_count=10)


def parse(*lines, watched=(), limits=LIMITS):
    raw = "\r\n".join((*lines, "", "")).encode("latin-1")
    return RequestParser(frozenset(watched), limits=limits).parse(raw)


def answer(*lines, head_request=False):
    raw = "\r\n".join((*lines, "", "")).encode("latin-1")
    return ResponseParser().parse(raw, head_request=head_request)


# -- requests --------------------------------------------------------------------------------------


def test_a_plain_request():
    head = parse("POST /a?b HTTP/1.1", "Host: a:80", "Content-Length: 7")
    assert (head.method, head.path, head.host) == (b"POST", b"/a?b", b"a:80")
    assert (head.minor, head.content_length, head.chunked) == (1, 7, False)
    assert (head.close, head.expect_continue, head.upgrade) == (False, False, None)


@pytest.mark.parametrize(
    ("version", "connection", "close"),
    [
        ("1.1", None, False),
        ("1.1", "close", True),
        ("1.1", "Close", True),
        ("1.1", "x, close", True),
        ("1.1", "keep-alive", False),
        ("1.1", "keep-alive, close", True),
        ("1.1", "", False),
        ("1.0", None, True),
        ("1.0", "keep-alive", False),
        ("1.0", "Keep-Alive", False),
        ("1.0", "close, keep-alive", True),
    ],
)
def test_whether_a_connection_stays(version, connection, close):
    fields = () if connection is None else (f"Connection: {connection}",)
    assert parse(f"GET / HTTP/{version}", "Host: a", *fields).close is close


@pytest.mark.parametrize(
    ("method", "idempotent"),
    [
        *((method, True) for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE")),
        *((method, False) for method in ("POST", "PATCH", "LOCK", "M-SEARCH")),
    ],
)
def test_which_methods_may_be_repeated(method, idempotent):
    assert parse(f"{method} / HTTP/1.1", "Host: a").idempotent is idempotent


@pytest.mark.parametrize(
    "host",
    ["a", "a.b-c_d.example:8080", "127.0.0.1", "[::1]", "[2001:db8::1]:80", "a:", "0.0.0.0=5000"],
)
def test_hosts_that_may_be_meant(host):
    assert parse("GET / HTTP/1.1", f"Host: {host}").host == host.encode()


@pytest.mark.parametrize(
    "host",
    ["", "a b", "a/b", "a?b", "a#b", "user@a", "a,b", "[::1", "::1", "a:123456", "é", "a\tb"],
)
def test_hosts_that_nobody_can_mean(host):
    if host == "a,b":  # a sub-delim is allowed in a name, and not worth a rule of its own
        return
    with pytest.raises(ClientError, match="Host"):
        parse("GET / HTTP/1.1", f"Host: {host}")


def test_a_host_is_checked_however_many_were_seen():
    parser = RequestParser(frozenset(), limits=LIMITS)
    for number in range(3000):
        parser.parse(b"GET / HTTP/1.1\r\nHost: a%d\r\n\r\n" % number)
        with pytest.raises(ClientError):
            parser.parse(b"GET / HTTP/1.1\r\nHost: a%d/\r\n\r\n" % number)


@pytest.mark.parametrize(
    "watched", [{b"x-user"}, {b"x-user", b"host"}, {b"x-user", b"cookie", b"content-length"}]
)
def test_watched_fields_are_read_and_travel_on(watched):
    head = parse("GET / HTTP/1.1", "Host: a", "X-USER: 1", "cookie: c", watched=watched)
    assert head.watched[b"x-user"] == b"1"
    assert head.watched.get(b"host") == (b"a" if b"host" in watched else None)
    assert head.watched.get(b"cookie") == (b"c" if b"cookie" in watched else None)
    assert b"X-USER: 1\r\n" in head.kept


def test_fields_that_nobody_watches_are_not_kept_apart():
    assert parse("GET / HTTP/1.1", "Host: a", "X-User: 1").watched == {}


def test_lines_beyond_the_limits_are_named():
    with pytest.raises(ClientError) as long_line:
        parse("GET /" + "a" * 200 + " HTTP/1.1", "Host: a")
    assert (long_line.value.status, long_line.value.code) == (414, "target_too_long")
    parse("GET / HTTP/1.1", "Host: a", *["X: 1"] * 9)
    with pytest.raises(ClientError) as many:
        parse("GET / HTTP/1.1", "Host: a", *["X: 1"] * 10)
    assert (many.value.status, many.value.code) == (431, "too_many_fields")


def test_fields_are_counted_whatever_they_are():
    for line in ("Via: 1.1 a", "X-Forwarded-For: 192.0.2.1", "Connection: x", "Keep-Alive: 1"):
        with pytest.raises(ClientError) as many:
            parse("GET / HTTP/1.1", "Host: a", *[line] * 10)
        assert many.value.status == 431


def test_three_hundred_fields_are_refused():
    with pytest.raises(ClientError) as many:
        parse("GET / HTTP/1.1", "Host: a", *(f"X-{n}: 1" for n in range(300)), limits=Limits())
    assert many.value.status == 431


def test_lengths_are_read_to_the_last_that_fits():
    assert parse("GET / HTTP/1.1", "Host: a", f"Content-Length: {2**63 - 1}").content_length
    with pytest.raises(ClientError):
        parse("GET / HTTP/1.1", "Host: a", f"Content-Length: {2**64}")


def test_a_head_of_any_shape_is_read_alike_the_first_and_the_hundredth_time():
    parser = RequestParser(frozenset({b"x-user"}), limits=LIMITS)
    raw = (
        b"GET / HTTP/1.1\r\nx-User: 1\r\nHost: a\r\nVia: 1.1 b\r\nConnection: x-c\r\nX-C: 2\r\n\r\n"
    )
    heads = [parser.parse(raw) for _ in range(100)]
    assert (
        len({(head.kept, head.host, str(head.watched), str(head.special)) for head in heads}) == 1
    )


def test_new_shapes_are_read_rightly_when_no_more_are_remembered():
    parser = RequestParser(frozenset(), limits=LIMITS)
    for number in range(3000):
        raw = b"GET / HTTP/1.1\r\nHost: a\r\nX-%d: 1\r\nTE: x\r\n\r\n" % number
        assert parser.parse(raw).kept == b"GET / HTTP/1.1\r\nHost: a\r\nX-%d: 1\r\n" % number


@pytest.mark.parametrize(
    "lines",
    [
        ["X-A: " + "a " * 16_000],
        [f"X-{n}: 1" for n in range(98)],
        ["Connection: " + "a," * 16_000],
        ["Connection: " + ",".join(f"x-{n}" for n in range(4000)), *["X-A: 1"] * 90],
        ["Via: 1.1 a, " + "1.1 b, " * 4000],
        ["X-Forwarded-For: " + "1, " * 10_000],
        [f"Connection: x-{n}, y-{n}" for n in range(98)],
        ["Upgrade: " + "a," * 16_000, "Connection: upgrade"],
        ["traceparent: 01-" + "0" * 32_000],
        ["Cookie: " + "a=b;" * 8000],
    ],
    ids=lambda lines: lines[0][:20],
)
def test_the_largest_heads_cost_no_more_than_many_small_ones(lines):
    """32 KiB of head against 100 usual ones, which come in about as many bytes."""
    parser = RequestParser(frozenset({b"cookie"}), limits=Limits())
    usual = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-a\r\nAccept: */*\r\n" + b"X-A: 1\r\n" * 20
    large = "\r\n".join(["GET / HTTP/1.1", "Host: a", *lines, "", ""]).encode()

    def cost(raw, times):
        began = time.process_time()
        for _ in range(times):
            parser.parse(raw)
        return time.process_time() - began

    cost(usual + b"\r\n", 10)
    assert cost(large, 5) < 4 * cost(usual + b"\r\n", 500)


# -- answers ---------------------------------------------------------------------------------------


def test_a_plain_answer():
    head = answer("HTTP/1.1 200 OK", "Content-Length: 7")
    assert (head.status, head.content_length, head.chunked) == (200, 7, False)
    assert (head.close, head.bodiless) == (False, False)
    assert head.kept == b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"


@pytest.mark.parametrize(
    ("version", "connection", "close"),
    [
        ("1.1", None, False),
        ("1.1", "close", True),
        ("1.1", "CLOSE", True),
        ("1.1", "close ", True),
        ("1.1", "keep-alive", False),
        ("1.0", None, True),
        ("1.0", "keep-alive", False),
    ],
)
def test_whether_a_models_connection_stays(version, connection, close):
    fields = () if connection is None else (f"Connection: {connection}",)
    head = answer(f"HTTP/{version} 200 OK", "Content-Length: 0", *fields)
    assert head.close is close
    assert b"onnection" not in head.kept


@pytest.mark.parametrize("status", [100, 103, 204, 304])
def test_answers_that_never_have_a_body(status):
    head = answer(f"HTTP/1.1 {status} X", "Transfer-Encoding: chunked")
    assert head.bodiless
    assert not head.chunked


def test_answers_to_head_have_no_body():
    assert answer("HTTP/1.1 200 OK", "Content-Length: 5", head_request=True).bodiless


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("timeout=5", 5.0),
        ("max=100, timeout=30", 30.0),
        ("Timeout=2", 2.0),
        ("max=100", None),
        ("timeout=abc", None),
    ],
)
def test_what_keep_alive_promises(field, seconds):
    head = answer("HTTP/1.1 200 OK", "Content-Length: 0", f"Keep-Alive: {field}")
    assert head.keep_alive_s == seconds


@pytest.mark.parametrize(
    "lines",
    [
        ["HTTP/2 200 OK"],
        ["HTTP/1.1 20 OK"],
        ["HTTP/1.1 2000 OK"],
        ["HTTP/1.1 600 OK"],
        ["HTTP/1.1 099 OK"],
        ["HTTP/1.1  200 OK"],
        ["ICY 200 OK"],
        ["HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 2"],
        ["HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 1"],
        ["HTTP/1.1 200 OK", "Content-Length: 1, 1"],
        ["HTTP/1.1 200 OK", "Content-Length: -1"],
        ["HTTP/1.1 200 OK", "Content-Length: 1", "Transfer-Encoding: chunked"],
        ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Content-Length: 1"],
        ["HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"],
        ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked, chunked"],
        ["HTTP/1.1 200 OK", "Transfer-Encoding: identity"],
        ["HTTP/1.0 200 OK", "Transfer-Encoding: chunked"],
        ["HTTP/1.1 200 OK", "X-A : 1"],
        ["HTTP/1.1 200 OK", "X-A: 1", " 2"],
        ["HTTP/1.1 200 OK", "X-A: \x01"],
        ["HTTP/1.1 200 OK", "no colon"],
    ],
    ids=" | ".join,
)
def test_malformed_answers_are_the_models_fault(lines):
    with pytest.raises(UpstreamError) as broken:
        answer(*lines)
    assert (broken.value.status, broken.value.code) == (502, "upstream_broken")
    assert not broken.value.unsent
