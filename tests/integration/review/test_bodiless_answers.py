"""Answers that cannot have a body say nothing of one: a literal client would wait for it."""

from __future__ import annotations

import pytest
from harness.messages import get
from harness.upstream import OK, Upstream, answering
from harness.worker import RunningWorker


@pytest.mark.parametrize(
    "lines", [b"Content-Length: 2\r\n", b"a: b\r\nContent-Length: 2\r\nA: c\r\n"]
)
def test_an_answer_without_a_body_announces_none(lines: bytes) -> None:
    # RFC 9110 8.6: no Content-Length in 1xx and 204.
    hints = b"HTTP/1.1 103 Early Hints\r\n" + lines + b"\r\n"
    nothing = b"HTTP/1.1 204 No Content\r\n" + lines + b"\r\n"
    model = Upstream(answering(hints + nothing, OK))
    with model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(get() + get())
        answers = [client.read_response() for _ in range(3)]
        assert [one.status for one in answers] == [103, 204, 200]
        assert [one.all("content-length") for one in answers] == [[], [], [b"2"]]
        assert len(model.connections) == 1


def test_a_length_stays_where_it_describes_what_another_request_would_get() -> None:
    # RFC 9110 8.6: so it is in answers to HEAD, and in 304.
    unchanged = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
    model = Upstream(answering(unchanged))
    with model, RunningWorker(models={"m": model.url}) as worker:
        client = worker.connect()
        client.send(get())
        assert client.read_response().field("content-length") == b"9"
