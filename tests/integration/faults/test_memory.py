"""Slow readers and writers: memory stays flat, whatever the size of what passes.

Two buffers stand between the two sides of an exchange, each bounded by `limits.buffer`; everything
else waits in the kernel or with the sender. Usual figures: 0.5 MB for one gigabyte each way, 26 MB
for fifty slow readers.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from harness.messages import get, post
from harness.stream import Stream
from harness.upstream import Connection, Upstream
from harness.worker_process import WorkerProcess

from sidecar.board import WorkerGauge
from sidecar.config.settings import Limits
from sidecar.config.units import Size

MB = 1_000_000
BUFFER = 256 * 1024
SLACK = 5 * MB  # of an interpreter: arenas, fragmentation, what the event loop reads at a time
BLOCK = bytes(1 << 20)


class Peak:
    """The most resident memory a worker had, above what it had before."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self.before = worker.memory_bytes()
        self.bytes = 0

    def look(self) -> None:
        self.bytes = max(self.bytes, self._worker.memory_bytes() - self.before)


@contextmanager
def watched(worker: WorkerProcess) -> Iterator[Peak]:
    """Look at the memory every 10 ms."""
    peak = Peak(worker)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            peak.look()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def warmed(worker: WorkerProcess) -> None:
    """One exchange, so that what is allocated once is allocated."""
    client = worker.connect()
    client.send(get("/small"))
    assert client.read_response().status == 200


def serving(size: int):
    """Answers so many bytes, or `ok` to /small; takes uploads whole."""

    def script(model: Connection) -> None:
        while True:
            head = model.read_head()
            if head.target == b"/small":
                model.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                continue
            model.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(BLOCK)):
                model.send(BLOCK)
            model.send(BLOCK[: size % len(BLOCK)])

    return script


def swallow(stream: Stream, count: int, *, into: bytearray) -> None:
    """Read so many bytes and keep none."""
    count -= len(stream.read_some()) if stream.has_read_ahead else 0
    stream.forget()
    while count:
        got = stream.sock.recv_into(into, min(count, len(into)))
        assert got, "the stream ended early"
        count -= got


def test_a_gigabyte_down_and_a_gigabyte_up_leave_memory_flat():
    size = 1000 * MB
    uploaded = 0

    def both_ways(model: Connection) -> None:
        nonlocal uploaded
        while True:
            head = model.read_head()
            if head.start.startswith(b"POST"):
                uploaded = int(head.field("content-length") or 0)
                swallow(model, uploaded, into=bytearray(1 << 20))
                model.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            elif head.target == b"/small":
                model.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            else:
                model.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                for _ in range(size // MB):
                    model.send(BLOCK[:MB])

    with Upstream(both_ways) as model, WorkerProcess(models={"m": model.url}) as worker:
        warmed(worker)
        client = worker.connect()
        with watched(worker) as peak:
            client.send(get())
            assert client.read_head().status == 200
            swallow(client, size, into=bytearray(1 << 20))
            down = peak.bytes
            client.send(post(b"", announced=size))
            for _ in range(size // MB):
                client.sock.sendall(BLOCK[:MB])
            assert client.read_response().body == b"ok"
        assert uploaded == size
        print(f"peak: {down / MB:.1f} MB down, {peak.bytes / MB:.1f} MB in all")
        assert peak.bytes < 2 * BUFFER + SLACK


def test_a_client_that_reads_slowly_holds_a_hundred_megabytes_back_at_the_model():
    size = 100 * MB
    with Upstream(serving(size)) as model, WorkerProcess(models={"m": model.url}) as worker:
        warmed(worker)
        client = worker.connect(receive_bytes=1 << 16)
        with watched(worker) as peak:
            client.send(get())
            until = monotonic() + 1
            while monotonic() < until:
                client.sock.recv(1 << 14)
                sleep(0.01)
        assert peak.bytes < 2 * BUFFER + SLACK


def kernel_buffers(*, connections: int) -> int:
    """The most bytes that the kernel may hold between both ends of so many connections."""
    most = 0
    for name in ("tcp_rmem", "tcp_wmem"):
        most += int(Path(f"/proc/sys/net/ipv4/{name}").read_text().split()[2])
    return most * connections


def test_a_model_that_takes_an_upload_slowly_holds_it_back_at_the_client():
    def slowly(model: Connection) -> None:
        if model.read_head().target == b"/small":
            model.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            model.read_to_end()
        while model.sock.recv(1 << 14):
            sleep(0.01)

    with Upstream(slowly) as model, WorkerProcess(models={"m": model.url}) as worker:
        warmed(worker)
        client = worker.connect()
        sent = 0
        with watched(worker) as peak:
            client.send(post(b"", announced=1000 * MB, fields="Connection: close\r\n"))
            client.sock.setblocking(False)
            until = monotonic() + 1
            while monotonic() < until:
                if select.select([], [client.sock], [], 0.05)[1]:
                    sent += client.sock.send(BLOCK)
        assert peak.bytes < 2 * BUFFER + SLACK
        assert sent < kernel_buffers(connections=2) + 20 * MB  # and ours, and what the model took


def test_fifty_slow_readers_cost_no_more_than_fifty_times_two_buffers():
    clients = 50
    size = 50 * MB
    limits = Limits(buffer=Size(BUFFER))
    with (
        Upstream(serving(size)) as model,
        WorkerProcess(models={"m": model.url}, limits=limits) as worker,
    ):
        warmed(worker)
        with watched(worker) as peak:
            readers = [worker.connect(receive_bytes=1 << 14) for _ in range(clients)]
            for one in readers:
                one.send(get())
            until = monotonic() + 1.5
            while monotonic() < until:
                for one in readers:
                    one.sock.recv(1 << 12)
                sleep(0.02)
        print(f"peak: {peak.bytes / MB:.1f} MB for {clients} readers")
        assert peak.bytes < clients * 2 * BUFFER + SLACK
        assert worker.ask("gauge", WorkerGauge.IN_FLIGHT) == clients


def test_a_client_that_pipelines_without_reading_is_held_back():
    with Upstream(serving(100_000)) as model, WorkerProcess(models={"m": model.url}) as worker:
        warmed(worker)
        client = worker.connect(receive_bytes=1 << 14)
        client.sock.setblocking(False)
        with watched(worker) as peak:
            until = monotonic() + 1
            while monotonic() < until:
                if select.select([], [client.sock], [], 0.05)[1]:
                    client.sock.send(get() * 1000)
        assert peak.bytes < 2 * BUFFER + SLACK


def test_connections_that_come_and_go_leave_no_memory_behind():
    with Upstream(serving(1000)) as model, WorkerProcess(models={"m": model.url}) as worker:

        def wave(count: int) -> int:
            for _ in range(count):
                with socket.create_connection(("127.0.0.1", worker.port)) as sock:
                    client = Stream(sock)
                    client.send(post(b"x" * 1000))
                    assert client.read_response().status == 200
            return worker.memory_bytes()

        after_first = wave(500)
        assert wave(1500) - after_first < 2 * MB
        assert worker.descriptors() < 30
