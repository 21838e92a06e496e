"""Requests of public test suites, whole and one byte at a time, against their labels.

What the model received is judged by h11, which shares no code with the product: it must be a
sequence of well-formed requests, the last perhaps broken off. After every case another client's
request must reach the model untouched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import h11
import pytest
from harness.corpus import Case, Expect, cases
from harness.stream import Message, Stream, StreamEnded
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

A_DAY_S = 86_400.0
LAST = b"GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"

# A whole, valid request stands before what these labels speak of. One byte at a time it is answered
# before the rest is sent, so it is forwarded; the rest must not be.
VALID_BEFORE_THE_FAULT = frozenset(
    {
        ("gunicorn tests/requests", "040.http"),  # an empty line behind an HTTP/1.0 request
        ("llhttp test/request", "connection.md#2"),
        ("llhttp test/request", "connection.md#4"),
    }
)
# What this hop removes or writes anew, and so cannot be compared.
OWN_FIELDS = frozenset(
    b"connection keep-alive proxy-connection te upgrade http2-settings transfer-encoding "
    b"content-length host via x-forwarded-for x-forwarded-proto x-forwarded-host x-request-id "
    b"traceparent".split()
)


def echo_target(model: Connection) -> None:
    """Answers with the request's target, so that answers can be told apart."""
    while True:
        request = model.read_request()
        method, target, _ = request.start.split(b" ")
        head = b"HTTP/1.1 %d Done\r\nContent-Length: %d\r\n\r\n"
        head %= 501 if method == b"CONNECT" else 200, len(target)
        model.send(head if method == b"HEAD" else head + target)


class Proxy:
    """A worker on a Unix socket before one model; `arrived` tells what a case brought there."""

    def __init__(self, worker: RunningWorker, model: Upstream) -> None:
        self._worker = worker
        self._model = model
        self._seen: list[int] = []

    def connect(self) -> Stream:
        """A client for whom, when nothing happens, every timeout passes at once."""
        client = self._worker.connect()
        client.on_silence(lambda: self._worker.pass_client_time(A_DAY_S))
        return client

    def arrived(self) -> list[bytes]:
        """What each of the model's connections received since the last call."""
        # A connection that was broken off has been read to its end when both sides agree.
        self._model.wait_for(lambda model: model.open == self._worker.open_connections("stable"))
        received = self._model.received
        before = self._seen + [0] * (len(received) - len(self._seen))
        self._seen = [len(one) for one in received]
        return [one[at:] for one, at in zip(received, before, strict=True) if len(one) > at]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    path = tmp_path_factory.mktemp("corpus") / "sidecar.sock"
    with (
        Upstream(echo_target) as model,
        RunningWorker(models={"stable": model.url}, path=path) as worker,
    ):
        yield Proxy(worker, model)


Requests = list[tuple[h11.Request, bytes]]


def h11_requests(data: bytes) -> tuple[Requests, bool]:
    """The requests that are complete in the data, and whether the connection could go on.

    Raises h11.RemoteProtocolError where the data is malformed.
    """
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    complete: Requests = []
    while isinstance(request := reader.next_event(), h11.Request):
        body = b""
        while isinstance(part := reader.next_event(), h11.Data):
            body += bytes(part.data)
        if not isinstance(part, h11.EndOfMessage):
            return complete, False
        complete.append((request, body))
        status = 501 if request.method == b"CONNECT" else 200
        reader.send(h11.Response(status_code=status, headers=[("content-length", "0")]))
        reader.send(h11.EndOfMessage())
        if reader.our_state is not h11.DONE or reader.their_state is not h11.DONE:
            return complete, False
        reader.start_next_cycle()
    return complete, not reader.trailing_data[0]


def well_formed_beginning(data: bytes) -> tuple[Requests, bool]:
    """The requests that come before anything malformed, and whether the connection goes on."""
    try:
        return h11_requests(data)
    except h11.RemoteProtocolError:
        first_end = data.index(b"\r\n\r\n") + 4
        return h11_requests(data[:first_end])[0], False


def meaning(request: h11.Request, body: bytes) -> tuple[object, ...]:
    """What must reach the model unchanged; the target in origin form."""
    target = bytes(request.target)
    if target.startswith(b"http"):
        target = b"/" + target.split(b"//", 1)[1].partition(b"/")[2]
    fields = sorted((name, value) for name, value in request.headers if name not in OWN_FIELDS)
    return bytes(request.method), target, fields, body


def send(client: Stream, data: bytes, *, bytewise: bool) -> None:
    # Refused before it was all sent: the answer is there to be read all the same.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        (client.send_bytewise if bytewise else client.send)(data)
        client.wait_until_read()


def answers_until_the_end(client: Stream, *, to_head: bool) -> list[Message]:
    """All answers on a connection that the proxy ends; nothing incomplete is among them."""
    answers: list[Message] = []
    partial = None
    while partial is None:
        try:
            answers.append(client.read_response(to_head=to_head))
        except StreamEnded as ended:
            partial = ended.partial
    assert partial == b""
    return answers


def assert_next_client_unharmed(proxy: Proxy) -> None:
    client = proxy.connect()
    client.send(b"GET /another-client HTTP/1.1\r\nHost: other\r\n\r\n")
    answer = client.read_response()
    assert (answer.status, answer.body) == (200, b"/another-client")
    ((requests, whole),) = [h11_requests(data) for data in proxy.arrived()]
    assert [bytes(request.target) for request, _ in requests] == [b"/another-client"]
    assert whole
    client.close()


def labelled(*labels: Expect) -> list[Any]:
    return cases("http_requests.jsonl", lambda case: Expect(case.facts["expect"]) in labels)


bytewise = pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])


@bytewise
@pytest.mark.parametrize("case", labelled(Expect.REJECT, Expect.INCOMPLETE))
def test_nothing_of_a_bad_request_is_completed_at_the_model(
    proxy: Proxy, case: Case, bytewise: bool
) -> None:
    proxy.arrived()
    client = proxy.connect()
    send(client, case.data, bytewise=bytewise)
    answers = answers_until_the_end(client, to_head=case.data.startswith(b"HEAD "))
    completed = [one for data in proxy.arrived() for one in h11_requests(data)[0]]
    valid = int((case.source, case.name) in VALID_BEFORE_THE_FAULT)
    assert len(completed) == valid
    for answer in answers[valid:]:
        assert 400 <= answer.status < 600
        assert answer.field("x-sidecar-error")
    assert len(answers) <= valid + 1
    assert_next_client_unharmed(proxy)


@bytewise
@pytest.mark.parametrize("case", labelled(Expect.ACCEPT))
def test_a_good_request_arrives_with_its_exact_meaning_and_is_answered_once(
    proxy: Proxy, case: Case, bytewise: bool
) -> None:
    proxy.arrived()
    expected, goes_on = well_formed_beginning(case.data)
    client = proxy.connect()
    send(client, case.data, bytewise=bytewise)
    to_head = case.data.startswith(b"HEAD ")
    answers = [client.read_response(to_head=to_head) for _ in expected]
    # Were the proxy out of step, the next answer on this connection would show it.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.send(LAST)
    rest = answers_until_the_end(client, to_head=to_head)
    completed = [one for data in proxy.arrived() for one in h11_requests(data)[0]]
    if goes_on:
        assert [answer.body for answer in rest] == [b"/last"]
        assert completed.pop()[0].target == b"/last"
    else:
        assert all(answer.field("x-sidecar-error") for answer in rest)
    assert [meaning(*one) for one in completed] == [meaning(*one) for one in expected]
    assert not any(answer.field("x-sidecar-error") for answer in answers)
    assert_next_client_unharmed(proxy)


@bytewise
@pytest.mark.parametrize("case", labelled(Expect.EITHER))
def test_a_debatable_request_is_refused_or_forwarded_well_formed(
    proxy: Proxy, case: Case, bytewise: bool
) -> None:
    proxy.arrived()
    client = proxy.connect()
    send(client, case.data, bytewise=bytewise)
    answers = answers_until_the_end(client, to_head=False)
    completed = [one for data in proxy.arrived() for one in h11_requests(data)[0]]
    refused = [answer for answer in answers if answer.field("x-sidecar-error")]
    assert all(400 <= answer.status < 600 for answer in refused)
    assert len(answers) == len(completed) + len(refused)
    assert_next_client_unharmed(proxy)
