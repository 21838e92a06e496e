"""Framing made to cost: what a hostile client can make a worker spend, in usual requests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from harness.messages import get
from harness.stream import Stream, StreamEnded
from harness.transport import Sink
from harness.upstream import Upstream
from harness.worker import RunningWorker

from sidecar.config.settings import Limits
from sidecar.config.units import Size
from sidecar.proxy.client import ClientConnection

# What a second of a core buys is the machine's affair; a thousand usual requests measure it.
USUAL = 1000
LIMITS = Limits(header_bytes=Size(128 * 1024), header_count=1000)  # so that others must hold


@pytest.fixture(scope="module")
def worker() -> Iterator[RunningWorker]:
    with (
        Upstream() as model,
        RunningWorker(models={"stable": model.url}, limits=LIMITS) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def usual_s(worker: RunningWorker) -> float:
    """CPU seconds of the worker's thread for `USUAL` requests."""
    client = worker.connect()
    began = worker.call(time.thread_time)
    for _ in range(USUAL):
        client.send(get())
        client.read_response()
    return worker.call(time.thread_time) - began


def attack(client: Stream, *parts: bytes) -> int | None:
    """Send until the worker refuses; the status it answers, None when it resets."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for part in parts:
            client.send(part)
    try:
        return client.read_response().status
    except StreamEnded:
        return None


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
ATTACKS = {
    "a head of 64 KiB": [b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 200_000],
    "300 fields": [b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 1200 + b"\r\n"],
    "a million chunks of a byte": [CHUNKED, *[b"1\r\nx\r\n" * 10_000] * 100],
    "an endless extension": [CHUNKED + b"1;", *[b"a" * 10_000] * 100],
    "endless extensions": [CHUNKED + b"1", *[b";a=b" * 2500] * 100],
    "an extension on every chunk": [CHUNKED, *[b'1;a="%b"\r\nx\r\n' % (b"b" * 1000)] * 1000],
    "an endless trailer": [CHUNKED + b"0\r\nX-A:", *[b" " * 10_000] * 100],
    "endless trailers": [CHUNKED + b"0\r\n", *[b"X-A: 1\r\n" * 1000] * 100],
    "an endless request line": [b"GET /", *[b"a" * 10_000] * 100],
}


@pytest.mark.parametrize("parts", ATTACKS.values(), ids=ATTACKS)
def test_framing_out_of_proportion_is_refused_for_the_price_of_usual_requests(
    worker: RunningWorker, usual_s: float, parts: list[bytes]
) -> None:
    client = worker.connect()
    began = worker.call(time.thread_time)
    status = attack(client, *parts)
    spent = worker.call(time.thread_time) - began
    assert status in (400, 413, 414, 431, None)
    assert spent < 2 * usual_s
    client.close()
    other = worker.connect()
    other.send(get())
    assert other.read_response().body == b"ok"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 40_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 5_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 600 + b"X: " + b" " * 20_000,
    ],
    ids=["a long field", "many fields", "spaces"],
)
def test_trickling_a_head_costs_in_proportion_to_its_bytes(
    worker: RunningWorker, head: bytes
) -> None:
    """Driven without a network, so that every byte is a read of its own."""

    def cost(data: bytes) -> float:
        assert worker.worker is not None
        client = ClientConnection(worker.worker._plane, tls=False)
        client.connection_made(Sink())
        began = time.thread_time()
        for at in range(len(data)):
            client.data_received(data[at : at + 1])
        spent = time.thread_time() - began
        client.connection_lost(None)
        return spent

    quarter = worker.call(lambda: cost(head[: len(head) // 4]))
    whole = worker.call(lambda: cost(head))
    # In proportion would be 4; to look at everything with every byte would be 16.
    assert whole < 9 * quarter
