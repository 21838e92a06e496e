"""Answers of broken and hostile models, from public test suites.

What an answer is worth is decided here by a grammar of RFC 9112 that shares no code with the
product: complete, cut off, or malformed. Whatever is not complete must not look complete to the
client, and a connection is reused only behind an answer that ended exactly where its framing says.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.corpus import Case, cases
from harness.stream import DEADLINE_S, Message, Stream, StreamEnded
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

from sidecar.config.settings import Breaker, ModelSettings, Retry

A_DAY_S = 86_400.0
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[\t ]*((?:[\t\x20-\x7e\x80-\xff]*[^\t ])?)[\t ]*\r\n")
QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
EXTENSION = rb"[\t ]*;[\t ]*" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + QUOTED + rb"))?"
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:" + EXTENSION + rb")*\r\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer in the grammar; `reusable` when nothing follows and nothing says close."""

    status: int
    body: bytes
    reusable: bool


def grammar(data: bytes, *, ended: bool) -> Answer | None:
    """The final answer to a GET that the bytes hold, None when they are cut off or malformed.

    `ended`: the model closed the connection behind them.
    """
    status_line = STATUS_LINE.match(data)
    if status_line is None:
        return None
    fields, at = _fields(data, status_line.end())
    if fields is None:
        return None
    status = int(status_line[1])
    if status == 101:
        return None  # nobody asked for it
    if status < 200:
        return grammar(data[at:], ended=ended)
    body: bytes | None = b""
    end = at
    close = ended or not data.startswith(b"HTTP/1.1")
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    lengths = [value for name, value in fields if name == b"content-length"]
    if (codings and lengths) or len(lengths) > 1 or not all(one.isdigit() for one in lengths):
        return None
    if codings and [one.lower() for one in codings] != [b"chunked"]:
        return None
    if status in (204, 304):
        pass
    elif codings:
        body, end = _chunked(data, at)
    elif lengths:
        end = at + int(lengths[0])
        body = data[at:end] if end <= len(data) else None
    else:
        end = len(data)
        body = data[at:] if ended else None
    if body is None:
        return None
    tokens = b",".join(value.lower() for name, value in fields if name == b"connection")
    return Answer(status, body, not close and b"close" not in tokens and end == len(data))


def _fields(data: bytes, at: int) -> tuple[list[tuple[bytes, bytes]] | None, int]:
    fields = []
    while not data.startswith(b"\r\n", at):
        line = FIELD_LINE.match(data, at)
        if line is None:
            return None, at
        fields.append((line[1].lower(), line[2]))
        at = line.end()
    return fields, at + 2


def _chunked(data: bytes, at: int) -> tuple[bytes | None, int]:
    body = b""
    while (line := CHUNK_LINE.match(data, at)) is not None:
        size = int(line[1], 16)
        at = line.end()
        if size == 0:
            trailers, end = _fields(data, at)
            return (None if trailers is None else body), end
        if data[at + size : at + size + 2] != b"\r\n":
            break
        body += data[at : at + size]
        at += size + 2
    return None, at


def answer_with(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Model:
    """Gives the first request of a connection the current answer, a second one `reused`."""

    def __init__(self) -> None:
        self.answer: Callable[[Connection], None] = lambda _: None

    def __call__(self, connection: Connection) -> None:
        connection.read_request()
        self.answer(connection)
        connection.read_request()
        connection.send(answer_with(b"reused"))
        connection.read_to_end()


@dataclass(frozen=True, slots=True)
class Setting:
    """A worker before a model that answers as it is told, and then closes (`ended`) or does not."""

    ended: bool
    worker: RunningWorker
    upstream: Upstream
    model: Model


@pytest.fixture(scope="module", params=[False, True], ids=["open", "ended"])
def setting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setting]:
    model = Model()
    path: Path = tmp_path_factory.mktemp("corpus") / "model.sock"
    with Upstream(model, path=path) as upstream:
        settings = ModelSettings(
            url=upstream.url, retry=Retry(attempts=0), breaker=Breaker(failures=0)
        )
        with RunningWorker(models={"stable": settings}) as worker:
            yield Setting(request.param, worker, upstream, model)


def read_final(client: Stream) -> Message | None:
    """The final answer, None when the connection ends without a complete one."""
    try:
        while (answer := client.read_response()).status < 200:
            pass
    except StreamEnded:
        return None
    return answer


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("case", cases("http_responses.jsonl"))
def test_only_a_complete_answer_looks_complete_and_leaves_its_connection_for_reuse(
    setting: Setting, case: Case, bytewise: bool
) -> None:
    sent = threading.Event()

    def broken(model: Connection) -> None:
        # It may be refused before it was all sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            (model.send_bytewise if bytewise else model.send)(case.data)
            model.wait_until_read()
        if setting.ended:
            model.close()
        sent.set()

    def let_time_pass() -> None:
        if sent.is_set():
            setting.worker.pass_time(A_DAY_S)

    setting.model.answer = broken
    expected = grammar(case.data, ended=setting.ended)
    client = setting.worker.connect()
    client.on_silence(let_time_pass)
    client.send(b"GET /case HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = read_final(client)
    assert sent.wait(DEADLINE_S)  # what comes behind an answer, comes before the next request
    if expected is None:
        assert answer is None or answer.field("x-sidecar-error")
        if answer is not None:
            assert answer.status in (502, 504)
    else:
        assert answer is not None
        assert not answer.field("x-sidecar-error")
        assert (answer.status, answer.body) == (expected.status, expected.body)

    setting.model.answer = lambda model: model.send(answer_with(b"new"))
    used = len(setting.upstream.connections)
    other = setting.worker.connect()
    other.send(b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    reused = expected is not None and expected.reusable
    assert other.read_response().body == (b"reused" if reused else b"new")
    assert len(setting.upstream.connections) == used + (not reused)
    client.close()
    setting.worker.drop_idle("stable")  # the next case gets a connection of its own
