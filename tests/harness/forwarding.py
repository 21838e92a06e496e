"""One row of a table of forwarded exchanges, and the stage it is played on.

A row is what a client sends, what the model must receive, what the model answers, and what the
client must receive, each to the byte (patterns of `transcript`). Afterwards the client's connection
must have ended, or must serve a further request, as the row says.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from harness.stream import End, Stream
from harness.transcript import Names, http
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

GET = """
    GET / HTTP/1.1
    Host: a

"""
ARRIVES = """
    GET / HTTP/1.1
    Host: a
    @first-hop a
    @ids

"""
OK = """
    HTTP/1.1 200 OK
    Content-Length: 2

    ok\
"""
RECEIVED = """
    HTTP/1.1 200 OK
    Content-Length: 2
    @answered

    ok\
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """See the module's text. The model gives one of `answers` to each request, in their order."""

    name: str
    sent: str = GET
    arrives: str = ARRIVES
    answers: tuple[str, ...] = (OK,)
    model_ends: bool = False  # the model closes behind its last answer
    received: str = RECEIVED
    to_head: bool = False  # the answer is one to HEAD
    closes: bool = False

    def __str__(self) -> str:
        return self.name


class Stage:
    """A worker before one model, `stable`, that plays the row at hand."""

    def __init__(self, worker: RunningWorker, model: Upstream, play: Play) -> None:
        self.worker = worker
        self.model = model
        self._play = play

    def run(self, row: Row) -> None:
        """Play a row on connections of its own."""
        self.worker.drop_idle("stable")
        self._play.row = row
        names = Names()
        client = self.worker.connect()
        client.send(http(row.sent))
        received = b"".join(_answer(client, to_head=row.to_head) for _ in row.answers)
        names.assert_match(http(row.arrives), self.model.connections[-1].received)
        names.assert_match(http(row.received), received)
        if row.closes:
            assert client.read_to_end() == (b"", End.CLEAN)
        else:
            self._play.row = Row(name="further")
            client.send(http(GET))
            assert client.read_response().body == b"ok"
        client.close()


def _answer(client: Stream, *, to_head: bool) -> bytes:
    """One final answer, and the interim ones before it."""
    raw = b""
    while True:
        answer = client.read_response(to_head=to_head)
        raw += answer.raw
        if answer.status >= 200:
            return raw


class Play:
    """The script of the model: answers as the row at hand says."""

    def __init__(self) -> None:
        self.row = Row(name="none yet")

    def __call__(self, model: Connection) -> None:
        row = None
        answers: deque[str] = deque()
        while True:
            model.read_request()
            if row is not self.row:
                row = self.row
                answers = deque(row.answers)
            model.send(http(answers.popleft()))
            if row.model_ends and not answers:
                return
