"""Which fields of a request reach the model, in which form: every byte of its head."""

from __future__ import annotations

import pytest
from harness.forwarding import Row, Stage

HOP_BY_HOP = (
    Row(
        name="fields keep their order, their spelling and their spaces",
        sent="""
            GET /a?b=c%20d&e HTTP/1.1
            accept: */*
            HOST: Model.Example:8080
            X-Twice: 1
            x-OTHER:no-space
            X-Twice:  2\x20
            Empty:

        """,
        arrives="""
            GET /a?b=c%20d&e HTTP/1.1
            accept: */*
            HOST: Model.Example:8080
            X-Twice: 1
            x-OTHER:no-space
            X-Twice:  2\x20
            Empty:
            @first-hop Model.Example:8080
            @ids

        """,
    ),
    Row(
        name="fields that end at this hop are removed",
        sent="""
            GET / HTTP/1.1
            Host: a
            Keep-Alive: timeout=5
            Proxy-Connection: keep-alive
            Proxy-Authorization: Basic c2VjcmV0
            TE: trailers
            Upgrade: websocket
            Accept: text/plain

        """,
        arrives="""
            GET / HTTP/1.1
            Host: a
            Accept: text/plain
            @first-hop a
            @ids

        """,
    ),
    Row(
        name="fields that Connection names are removed, in any case and list form",
        sent="""
            GET / HTTP/1.1
            Host: a
            Connection: X-One, x-TWO ,,keep-alive
            X-One: 1
            x-two: 2
            X-Three: 3
            X-ONE: again
            Connection: X-Four
            X-Four: 4

        """,
        arrives="""
            GET / HTTP/1.1
            Host: a
            X-Three: 3
            @first-hop a
            @ids

        """,
    ),
    Row(
        name="Connection cannot take away what frames, routes or traces the request",
        sent="""
            POST / HTTP/1.1
            Host: a
            Connection: host, content-length, x-forwarded-for, via, x-request-id, traceparent
            Content-Length: 2
            X-Request-Id: kept-1
            X-Forwarded-For: 192.0.2.1

            hi\
        """,
        arrives="""
            POST / HTTP/1.1
            Host: a
            Content-Length: 2
            X-Request-Id: kept-1
            X-Forwarded-For: 192.0.2.1, 127.0.0.1
            X-Forwarded-Proto: http
            Via: 1.1 sidecar
            X-Forwarded-Host: a
            traceparent: 00-<trace>-<span>-01

            hi\
        """,
        received="""
            HTTP/1.1 200 OK
            Content-Length: 2
            Via: 1.1 sidecar
            X-Sidecar-Model: stable
            X-Request-Id: kept-1

            ok\
        """,
    ),
    Row(
        name="a client cannot pass for a mirror",
        sent="""
            GET / HTTP/1.1
            Host: a
            X-Sidecar-Shadow: 1

        """,
    ),
    Row(
        name="an upgrade to HTTP/2 is dropped, and the request answered as it is",
        sent="""
            GET / HTTP/1.1
            Host: a
            Connection: Upgrade, HTTP2-Settings
            Upgrade: h2c
            HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA

        """,
    ),
    Row(
        name="an upgrade in a request with a body is dropped",
        sent="""
            POST / HTTP/1.1
            Host: a
            Connection: Upgrade
            Upgrade: websocket
            Content-Length: 2

            hi\
        """,
        arrives="""
            POST / HTTP/1.1
            Host: a
            Content-Length: 2
            @first-hop a
            @ids

            hi\
        """,
    ),
)

FORWARDED = (
    Row(
        name="a later hop appends to X-Forwarded-For and Via and keeps the rest",
        sent="""
            GET / HTTP/1.1
            Host: inner
            Via: 1.1 edge
            X-Forwarded-For: 192.0.2.7
            X-Forwarded-Proto: https
            X-Forwarded-Host: shop.example

        """,
        arrives="""
            GET / HTTP/1.1
            Host: inner
            X-Forwarded-For: 192.0.2.7, 127.0.0.1
            X-Forwarded-Proto: https
            Via: 1.1 edge, 1.1 sidecar
            X-Forwarded-Host: shop.example
            @ids

        """,
    ),
    Row(
        name="what an earlier hop left out is filled in",
        sent="""
            GET / HTTP/1.1
            Host: inner
            X-Forwarded-For: 192.0.2.7

        """,
        arrives="""
            GET / HTTP/1.1
            Host: inner
            X-Forwarded-For: 192.0.2.7, 127.0.0.1
            X-Forwarded-Proto: http
            Via: 1.1 sidecar
            X-Forwarded-Host: inner
            @ids

        """,
    ),
    Row(
        name="repeated forwarding fields become one list",
        sent="""
            GET / HTTP/1.1
            X-Forwarded-For: 192.0.2.7
            Via: 1.0 first
            Host: a
            X-Forwarded-For: 192.0.2.8
            Via: 1.1 second

        """,
        arrives="""
            GET / HTTP/1.1
            Host: a
            X-Forwarded-For: 192.0.2.7, 192.0.2.8, 127.0.0.1
            X-Forwarded-Proto: http
            Via: 1.0 first, 1.1 second, 1.1 sidecar
            X-Forwarded-Host: a
            @ids

        """,
    ),
)

TARGETS = (
    *(
        Row(
            name=f"an absolute target {why} becomes a path and a Host",
            sent=f"""
                GET {target} HTTP/1.1
                Host: overruled
                Accept: */*

            """,
            arrives=f"""
                GET {path} HTTP/1.1
                Host: {host}
                Accept: */*
                @first-hop {host}
                @ids

            """,
        )
        for why, target, path, host in (
            ("with a query", "http://a.example/x?y=http://z/", "/x?y=http://z/", "a.example"),
            ("with a port", "HTTPS://a.example:8443/x", "/x", "a.example:8443"),
            ("without a path", "http://a.example", "/", "a.example"),
            ("with a query and no path", "http://a.example?q", "/?q", "a.example"),
            ("of an IPv6 address", "http://[2001:db8::1]:80/", "/", "[2001:db8::1]:80"),
            ("with a user's secret", "http://user:secret@a.example/", "/", "a.example"),
        )
    ),
    *(
        Row(
            name=f"OPTIONS of {why} asks about the model as a whole",
            sent=f"""
                OPTIONS {target} HTTP/1.1
                Host: a

            """,
            arrives="""
                OPTIONS * HTTP/1.1
                Host: a
                @first-hop a
                @ids

            """,
        )
        # RFC 9112 3.2.4: an absolute target without path and query stands for `*`.
        for why, target in (("an asterisk", "*"), ("a bare authority", "http://a"))
    ),
    Row(
        name="CONNECT is the model's to refuse",
        sent="""
            CONNECT db.example:5432 HTTP/1.1
            Host: db.example:5432

        """,
        arrives="""
            CONNECT db.example:5432 HTTP/1.1
            Host: db.example:5432
            @first-hop db.example:5432
            @ids

        """,
        answers=(
            """
            HTTP/1.1 405 Method Not Allowed
            Content-Length: 0

        """,
        ),
        received="""
            HTTP/1.1 405 Method Not Allowed
            Content-Length: 0
            @answered

        """,
    ),
)

VERSIONS = (
    Row(
        name="HTTP/1.0 without Host gets the model's own, and is closed",
        sent="""
            GET / HTTP/1.0
            Accept: */*

        """,
        arrives="""
            GET / HTTP/1.1
            Accept: */*
            Host: <model>
            @first-hop <model>
            @ids

        """,
        received="""
            HTTP/1.1 200 OK
            Content-Length: 2
            Via: 1.1 sidecar
            Connection: close
            X-Sidecar-Model: stable
            X-Request-Id: <id>

            ok\
        """,
        closes=True,
    ),
    Row(
        name="HTTP/1.0 may ask for a connection that stays",
        sent="""
            GET / HTTP/1.0
            Host: a
            Connection: Keep-Alive

        """,
        arrives="""
            GET / HTTP/1.1
            Host: a
            @first-hop a
            @ids

        """,
        received="""
            HTTP/1.1 200 OK
            Content-Length: 2
            Via: 1.1 sidecar
            Connection: keep-alive
            X-Sidecar-Model: stable
            X-Request-Id: <id>

            ok\
        """,
    ),
    Row(
        name="a client that says close is closed, and the model's connection is not",
        sent="""
            GET / HTTP/1.1
            Host: a
            Connection: close

        """,
        received="""
            HTTP/1.1 200 OK
            Content-Length: 2
            Via: 1.1 sidecar
            Connection: close
            X-Sidecar-Model: stable
            X-Request-Id: <id>

            ok\
        """,
        closes=True,
    ),
    Row(
        name="an expectation in HTTP/1.0 is ignored",
        sent="""
            POST / HTTP/1.0
            Host: a
            Expect: 100-continue
            Content-Length: 2
            Connection: keep-alive

            hi\
        """,
        arrives="""
            POST / HTTP/1.1
            Host: a
            Content-Length: 2
            @first-hop a
            @ids

            hi\
        """,
        received="""
            HTTP/1.1 200 OK
            Content-Length: 2
            Via: 1.1 sidecar
            Connection: keep-alive
            X-Sidecar-Model: stable
            X-Request-Id: <id>

            ok\
        """,
    ),
    Row(
        name="empty lines before a request are ignored",
        sent="""

            GET / HTTP/1.1
            Host: a

        """,
    ),
)


@pytest.mark.parametrize("row", [*HOP_BY_HOP, *FORWARDED, *TARGETS, *VERSIONS], ids=str)
def test_a_request_head_reaches_the_model_as_it_should(stage: Stage, row: Row) -> None:
    stage.run(row)
