"""Request ids and trace context: what is kept, what is made anew, what both sides see."""

from __future__ import annotations

import pytest
from harness.forwarding import Row, Stage

REQUEST_IDS = (
    Row(
        name="a request id that is fit to be repeated is kept, at the model and at the client",
        sent="""
            GET / HTTP/1.1
            X-REQUEST-ID: order/66:a~!
            Host: a

        """,
        arrives="""
            GET / HTTP/1.1
            X-REQUEST-ID: order/66:a~!
            Host: a
            @first-hop a
            traceparent: 00-<trace>-<span>-01

        """,
        received="""
            HTTP/1.1 200 OK
            Content-Length: 2
            Via: 1.1 sidecar
            X-Sidecar-Model: stable
            X-Request-Id: order/66:a~!

            ok\
        """,
    ),
    *(
        Row(
            name=f"a request id {why} is replaced by a UUIDv7",
            sent=f"""
                GET / HTTP/1.1
                Host: a
                X-Request-Id: {unfit}

            """,
        )
        for why, unfit in (
            ("of 129 bytes", "a" * 129),
            ("with a space inside", "a b"),
            ("outside ASCII", "n\xb0 1"),
            ("that is empty", ""),
        )
    ),
    Row(
        name="a request id given twice is replaced by a UUIDv7",
        sent="""
            GET / HTTP/1.1
            Host: a
            X-Request-Id: one
            X-Request-Id: two

        """,
    ),
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACES = (
    Row(
        name="a trace goes on under a new parent, with its state and its flags",
        sent=f"""
            GET / HTTP/1.1
            Host: a
            traceparent: 00-{TRACE}-00f067aa0ba902b7-00
            tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7

        """,
        arrives=f"""
            GET / HTTP/1.1
            Host: a
            tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7
            @first-hop a
            X-Request-Id: <id>
            traceparent: 00-{TRACE}-<span>-00

        """,
    ),
    Row(
        name="a trace of a later version goes on as far as it is known",
        sent=f"""
            GET / HTTP/1.1
            Host: a
            traceparent: cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like

        """,
        arrives=f"""
            GET / HTTP/1.1
            Host: a
            @first-hop a
            X-Request-Id: <id>
            traceparent: 00-{TRACE}-<span>-01

        """,
    ),
    *(
        Row(
            name=f"a trace {why} is begun anew, without its state",
            sent=f"""
                GET / HTTP/1.1
                Host: a
                tracestate: congo=t61rcWkgMzE
                traceparent: {invalid}

            """,
        )
        for why, invalid in (
            ("in upper case", f"00-{TRACE.upper()}-00f067aa0ba902b7-01"),
            ("without an id", f"00-{'0' * 32}-00f067aa0ba902b7-01"),
            ("without a parent", f"00-{TRACE}-{'0' * 16}-01"),
            ("of the version that is none", f"ff-{TRACE}-00f067aa0ba902b7-01"),
            ("of version 00 with more behind it", f"00-{TRACE}-00f067aa0ba902b7-01-more"),
            ("that is cut short", f"00-{TRACE}-00f067aa0ba902b7"),
            ("with digits of another kind", f"00-{'g' * 32}-00f067aa0ba902b7-01"),
        )
    ),
    Row(
        name="two trace parents are none",
        sent=f"""
            GET / HTTP/1.1
            Host: a
            traceparent: 00-{TRACE}-00f067aa0ba902b7-01
            traceparent: 00-{TRACE}-00f067aa0ba902b7-01

        """,
    ),
    Row(
        name="a state without a trace is dropped",
        sent="""
            GET / HTTP/1.1
            Host: a
            tracestate: congo=t61rcWkgMzE

        """,
    ),
)


@pytest.mark.parametrize("row", [*REQUEST_IDS, *TRACES], ids=str)
def test_a_request_is_named_as_it_should(stage: Stage, row: Row) -> None:
    stage.run(row)
