"""How bodies of requests are framed at the model, and where the next request begins."""

from __future__ import annotations

import pytest
from harness.forwarding import Row, Stage

REQUEST_BODIES = (
    Row(
        name="a counted body",
        sent="""
            POST / HTTP/1.1
            Host: a
            Content-Length: 5

            hello\
        """,
        arrives="""
            POST / HTTP/1.1
            Host: a
            Content-Length: 5
            @first-hop a
            @ids

            hello\
        """,
    ),
    Row(
        name="an empty body stays announced",
        sent="""
            POST / HTTP/1.1
            Host: a
            Content-Length: 0

        """,
        arrives="""
            POST / HTTP/1.1
            Host: a
            Content-Length: 0
            @first-hop a
            @ids

        """,
    ),
    Row(
        name="a length with leading zeros is spelled in the one way all parsers read",
        sent="""
            POST / HTTP/1.1
            Host: a
            Content-Length: 002

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
    Row(
        name="a body in chunks, with extensions dropped and trailers passed on",
        sent="""
            POST / HTTP/1.1
            Host: a
            Transfer-Encoding: Chunked
            Trailer: X-Sum

            5;name="value; \\"x\\"";flag
            hello
            0006
             world
            00;last
            X-Sum: 12
            Content-Length: 5
            Host: evil
            x-sidecar-shadow: 1

        """,
        arrives="""
            POST / HTTP/1.1
            Host: a
            Trailer: X-Sum
            @first-hop a
            Transfer-Encoding: chunked
            @ids

            5
            hello
            6
             world
            0
            X-Sum: 12

        """,
    ),
    Row(
        name="an empty body in chunks",
        sent="""
            POST / HTTP/1.1
            Host: a
            transfer-encoding: chunked

            0

        """,
        arrives="""
            POST / HTTP/1.1
            Host: a
            @first-hop a
            Transfer-Encoding: chunked
            @ids

            0

        """,
    ),
    Row(
        name="a body in a content coding is nobody's business",
        sent="""
            POST / HTTP/1.1
            Host: a
            Content-Encoding: gzip
            Content-Length: 6

            \x1f\x8b\x08\x00\xff\xfe\
        """,
        arrives="""
            POST / HTTP/1.1
            Host: a
            Content-Encoding: gzip
            Content-Length: 6
            @first-hop a
            @ids

            \x1f\x8b\x08\x00\xff\xfe\
        """,
    ),
    Row(
        name="a GET may have a body",
        sent="""
            GET / HTTP/1.1
            Host: a
            Content-Length: 2

            {}\
        """,
        arrives="""
            GET / HTTP/1.1
            Host: a
            Content-Length: 2
            @first-hop a
            @ids

            {}\
        """,
    ),
)

PIPELINES = (
    Row(
        name="pipelined requests are answered in their order",
        sent="""
            GET /1 HTTP/1.1
            Host: a

            GET /2 HTTP/1.1
            Host: a

            GET /3 HTTP/1.1
            Host: a

        """,
        arrives="""
            GET /1 HTTP/1.1
            Host: a
            @first-hop a
            X-Request-Id: <id1>
            traceparent: 00-<trace1>-<span1>-01

            GET /2 HTTP/1.1
            Host: a
            @first-hop a
            X-Request-Id: <id2>
            traceparent: 00-<trace2>-<span2>-01

            GET /3 HTTP/1.1
            Host: a
            @first-hop a
            X-Request-Id: <id3>
            traceparent: 00-<trace3>-<span3>-01

        """,
        answers=tuple(
            f"""
            HTTP/1.1 200 OK
            Content-Length: 1

            {number}\
            """
            for number in (1, 2, 3)
        ),
        received="""
            HTTP/1.1 200 OK
            Content-Length: 1
            Via: 1.1 sidecar
            X-Sidecar-Model: stable
            X-Request-Id: <id1>

            1HTTP/1.1 200 OK
            Content-Length: 1
            Via: 1.1 sidecar
            X-Sidecar-Model: stable
            X-Request-Id: <id2>

            2HTTP/1.1 200 OK
            Content-Length: 1
            Via: 1.1 sidecar
            X-Sidecar-Model: stable
            X-Request-Id: <id3>

            3\
        """,
    ),
    Row(
        name="a request behind bodies of both framings is found to the byte",
        sent="""
            POST /1 HTTP/1.1
            Host: a
            Transfer-Encoding: chunked

            3
            one
            0
            X-End: 1

            POST /2 HTTP/1.1
            Host: a
            Content-Length: 3

            twoGET /3 HTTP/1.1
            Host: a

        """,
        arrives="""
            POST /1 HTTP/1.1
            Host: a
            @first-hop a
            Transfer-Encoding: chunked
            X-Request-Id: <id>
            traceparent: 00-<trace1>-<span1>-01

            3
            one
            0
            X-End: 1

            POST /2 HTTP/1.1
            Host: a
            Content-Length: 3
            @first-hop a
            X-Request-Id: <id2>
            traceparent: 00-<trace2>-<span2>-01

            twoGET /3 HTTP/1.1
            Host: a
            @first-hop a
            X-Request-Id: <id3>
            traceparent: 00-<trace3>-<span3>-01

        """,
        answers=(
            """
            HTTP/1.1 204 No Content

            """,
        )
        * 3,
        received="""
            HTTP/1.1 204 No Content
            @answered

            HTTP/1.1 204 No Content
            Via: 1.1 sidecar
            X-Sidecar-Model: stable
            X-Request-Id: <id2>

            HTTP/1.1 204 No Content
            Via: 1.1 sidecar
            X-Sidecar-Model: stable
            X-Request-Id: <id3>

        """,
    ),
)


@pytest.mark.parametrize("row", [*REQUEST_BODIES, *PIPELINES], ids=str)
def test_a_body_reaches_the_model_as_it_should(stage: Stage, row: Row) -> None:
    stage.run(row)
