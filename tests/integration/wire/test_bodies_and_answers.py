"""How bodies are framed on both sides, and every byte of an answer at the client."""

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

HEAD = """
    HEAD / HTTP/1.1
    Host: a

"""
HEAD_ARRIVES = """
    HEAD / HTTP/1.1
    Host: a
    @first-hop a
    @ids

"""
HTTP_1_0 = """
    GET / HTTP/1.0
    Host: a
    Connection: keep-alive

"""


def answered(name: str, answer: str, received: str, **more: object) -> Row:
    """A row about an answer: the request is a plain GET unless it says otherwise."""
    return Row(name=name, answers=(answer,), received=received, **more)  # type: ignore[arg-type]


ANSWERS = (
    answered(
        "repeated fields, their order, spelling and reason are the model's",
        """
            HTTP/1.1 299 Rather  Good
            Set-Cookie: a=1; Path=/
            x-CUSTOM: \xe9t\xe9
            Set-Cookie: b=2
            Content-Encoding: br
            content-length: 2

            ok\
        """,
        """
            HTTP/1.1 299 Rather  Good
            Set-Cookie: a=1; Path=/
            x-CUSTOM: \xe9t\xe9
            Set-Cookie: b=2
            Content-Encoding: br
            content-length: 2
            @answered

            ok\
        """,
    ),
    answered(
        "fields that end at this hop, and those that only the sidecar may set, are removed",
        """
            HTTP/1.1 200 OK
            Connection: X-Hop, keep-alive
            X-Hop: 1
            Keep-Alive: timeout=5
            Proxy-Authenticate: Basic
            X-Request-Id: the-models-own
            X-Sidecar-Model: forged
            X-Sidecar-Error: forged
            Content-Length: 2

            ok\
        """,
        """
            HTTP/1.1 200 OK
            Content-Length: 2
            @answered

            ok\
        """,
    ),
    answered(
        "Via grows",
        """
            HTTP/1.1 200 OK
            Via: 1.0 inner
            Content-Length: 2

            ok\
        """,
        """
            HTTP/1.1 200 OK
            Content-Length: 2
            Via: 1.0 inner, 1.1 sidecar
            X-Sidecar-Model: stable
            X-Request-Id: <id>

            ok\
        """,
    ),
    answered(
        "a reason may be missing",
        """
            HTTP/1.1 200
            Content-Length: 2

            ok\
        """,
        """
            HTTP/1.1 200
            Content-Length: 2
            @answered

            ok\
        """,
    ),
    answered(
        "an answer in chunks keeps its chunks and trailers, and loses its extensions",
        """
            HTTP/1.1 200 OK
            Transfer-Encoding: chunked

            2;x=1
            he
            3
            llo
            0
            X-Sum: 5
            Set-Cookie: late=1

        """,
        """
            HTTP/1.1 200 OK
            Transfer-Encoding: chunked
            @answered

            2
            he
            3
            llo
            0
            X-Sum: 5

        """,
    ),
    answered(
        "an answer in chunks to HTTP/1.0 is ended by the connection",
        """
            HTTP/1.1 200 OK
            Transfer-Encoding: chunked

            2
            he
            3
            llo
            0
            X-Sum: 5

        """,
        """
            HTTP/1.1 200 OK
            Via: 1.1 sidecar
            Connection: close
            X-Sidecar-Model: stable
            X-Request-Id: <id>

            hello\
        """,
        sent=HTTP_1_0,
        closes=True,
    ),
    answered(
        "an answer that the connection delimits is put into chunks",
        """
            HTTP/1.1 200 OK
            Content-Type: text/plain

            hello\
        """,
        """
            HTTP/1.1 200 OK
            Content-Type: text/plain
            Transfer-Encoding: chunked
            @answered

            5
            hello
            0

        """,
        model_ends=True,
    ),
    answered(
        "an answer that the connection delimits stays so for HTTP/1.0",
        """
            HTTP/1.0 200 OK

            hello\
        """,
        """
            HTTP/1.1 200 OK
            Via: 1.1 sidecar
            Connection: close
            X-Sidecar-Model: stable
            X-Request-Id: <id>

            hello\
        """,
        sent=HTTP_1_0,
        model_ends=True,
        closes=True,
    ),
    answered(
        "a model that closes does not make the client's connection close",
        """
            HTTP/1.1 200 OK
            Connection: close
            Content-Length: 2

            ok\
        """,
        """
            HTTP/1.1 200 OK
            Content-Length: 2
            @answered

            ok\
        """,
        model_ends=True,
    ),
    answered(
        "the answer to HEAD has the length of what it does not send",
        """
            HTTP/1.1 200 OK
            Content-Length: 1000

        """,
        """
            HTTP/1.1 200 OK
            Content-Length: 1000
            @answered

        """,
        sent=HEAD,
        arrives=HEAD_ARRIVES,
        to_head=True,
    ),
    answered(
        "the answer to HEAD has no chunks",
        """
            HTTP/1.1 200 OK
            Transfer-Encoding: chunked

        """,
        """
            HTTP/1.1 200 OK
            @answered

        """,
        sent=HEAD,
        arrives=HEAD_ARRIVES,
        to_head=True,
    ),
    answered(
        "the answer to HEAD without a length does not end the connection",
        """
            HTTP/1.1 200 OK

        """,
        """
            HTTP/1.1 200 OK
            @answered

        """,
        sent=HEAD,
        arrives=HEAD_ARRIVES,
        to_head=True,
    ),
    answered(
        "204 ends with its head",
        """
            HTTP/1.1 204 No Content
            X-A: 1

        """,
        """
            HTTP/1.1 204 No Content
            X-A: 1
            @answered

        """,
    ),
    answered(
        "304 ends with its head, whatever length it tells",
        """
            HTTP/1.1 304 Not Modified
            ETag: "1"
            Content-Length: 1000

        """,
        """
            HTTP/1.1 304 Not Modified
            ETag: "1"
            Content-Length: 1000
            @answered

        """,
    ),
    answered(
        "interim answers are passed on as they come",
        """
            HTTP/1.1 103 Early Hints
            Link: </style.css>; rel=preload
            Connection: X-Hop
            X-Hop: 1

            HTTP/1.1 102 Processing

            HTTP/1.1 200 OK
            Content-Length: 2

            ok\
        """,
        """
            HTTP/1.1 103 Early Hints
            Link: </style.css>; rel=preload

            HTTP/1.1 102 Processing

            HTTP/1.1 200 OK
            Content-Length: 2
            @answered

            ok\
        """,
    ),
    answered(
        "HTTP/1.0 gets no interim answers",
        """
            HTTP/1.1 103 Early Hints
            Link: </style.css>

            HTTP/1.1 200 OK
            Content-Length: 2

            ok\
        """,
        """
            HTTP/1.1 200 OK
            Content-Length: 2
            Via: 1.1 sidecar
            Connection: keep-alive
            X-Sidecar-Model: stable
            X-Request-Id: <id>

            ok\
        """,
        sent=HTTP_1_0,
    ),
    answered(
        "an error of the model is the model's, not the sidecar's",
        """
            HTTP/1.1 503 Service Unavailable
            Retry-After: 7
            Content-Length: 4

            busy\
        """,
        """
            HTTP/1.1 503 Service Unavailable
            Retry-After: 7
            Content-Length: 4
            @answered

            busy\
        """,
    ),
)


@pytest.mark.parametrize("row", [*REQUEST_BODIES, *PIPELINES, *ANSWERS], ids=str)
def test_bodies_and_answers_pass_as_they_should(stage: Stage, row: Row) -> None:
    stage.run(row)
