"""Answers as clients get them: every byte of their heads, and how their bodies are framed."""

from __future__ import annotations

import pytest
from harness.forwarding import Row, Stage

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


@pytest.mark.parametrize("row", ANSWERS, ids=str)
def test_an_answer_reaches_the_client_as_it_should(stage: Stage, row: Row) -> None:
    stage.run(row)
