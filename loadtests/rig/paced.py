"""Requests at a fixed rate, whether or not the answers keep up; how long each took.

    python -m loadtests.rig.paced HOST PORT PATH RATE SECONDS

A closed loop would send less while the server is slow, and so hide it (coordinated omission). Here
a request has its time before anything is sent, and its latency counts from that time on. It prints
one line of JSON: the latencies in microseconds, sorted, and the number of failures.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import uvloop

from loadtests.rig.addresses import HOST
from loadtests.rig.processes import Fleet, ProcessFailedError
from loadtests.rig.traffic import HEADERS, INFERENCE

PATIENCE_S: Final = 5.0  # for the last answers


@dataclass(frozen=True, slots=True)
class Paced:
    """What one run showed: latencies in microseconds, sorted, and how many requests failed."""

    latencies_us: Sequence[float]
    failed: int

    def quantile_us(self, share: float) -> float:
        """The latency that this share of the requests did not exceed (nearest rank)."""
        rank = max(-int(-len(self.latencies_us) * share // 1) - 1, 0)
        return self.latencies_us[rank]


def run_paced(fleet: Fleet, port: int, path: str, *, rate: int, seconds: int) -> Paced:
    """Load a port. Raises ProcessFailedError."""
    command = [
        sys.executable, "-m", "loadtests.rig.paced", HOST, str(port), path, str(rate), str(seconds),
    ]  # fmt: skip
    started = fleet.start("paced", command)
    started.process.wait(seconds + PATIENCE_S + 30)
    text = started.log.read_text().strip().rpartition("\n")[2]
    try:
        found: Mapping[str, list[float] | int] = json.loads(text)
    except ValueError:
        raise ProcessFailedError(f"the load ended early:\n{started.tail()}") from None
    latencies, failed = found["latencies_us"], found["failed"]
    if not isinstance(latencies, list) or not isinstance(failed, int) or not latencies:
        raise ProcessFailedError(f"no request was answered:\n{started.tail()}")
    return Paced(latencies, failed)


class _Client(asyncio.Protocol):
    """One connection; answers are told apart by their Content-Length."""

    def __init__(self, generator: _Generator) -> None:
        self._generator = generator
        self._unread = b""
        self._due = 0.0
        self.busy = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def send(self, due: float) -> None:
        assert self.transport is not None
        self._due = due
        self.busy = True
        self.transport.write(self._generator.request)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._unread[:end].lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r", 1)[0] or 0)
        if len(self._unread) < end + 4 + length:
            return
        ok = head.startswith(b"http/1.1 200")
        self._unread = b""
        self.busy = False
        self._generator.answered(self, self._due, ok=ok)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's
        self.transport = None
        if self.busy:
            self._generator.failed += 1


class _Generator:
    def __init__(self, host: str, port: int, path: str) -> None:
        fields = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Content-Length: {len(INFERENCE)}\r\n{fields}\r\n"
        )
        self.request = head.encode() + INFERENCE
        self.latencies: list[float] = []
        self.failed = 0
        self._address = (host, port)
        self._idle: list[_Client] = []
        self._opening: set[asyncio.Task[None]] = set()

    def answered(self, client: _Client, due: float, *, ok: bool) -> None:
        if ok:
            self.latencies.append((time.perf_counter() - due) * 1e6)
        else:
            self.failed += 1
        self._idle.append(client)

    async def run(self, rate: int, seconds: int) -> None:
        loop = asyncio.get_running_loop()
        begin = time.perf_counter()
        for number in range(rate * seconds):
            due = begin + number / rate
            wait = due - time.perf_counter()
            # The loop's timers tick in milliseconds: the rest of the time is polled away.
            while wait > 0:
                await asyncio.sleep(wait - 0.001 if wait > 0.002 else 0)
                wait = due - time.perf_counter()
            while self._idle and self._idle[-1].transport is None:
                self._idle.pop()
            if self._idle:
                self._idle.pop().send(due)
            else:
                task = loop.create_task(self._open(due))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
        end = time.perf_counter() + PATIENCE_S
        # An event would be looked at with every answer, while they are timed.
        while len(self.latencies) + self.failed < rate * seconds and time.perf_counter() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.failed = rate * seconds - len(self.latencies)

    async def _open(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_connection(lambda: _Client(self), *self._address)
        except OSError:
            self.failed += 1
        else:
            client.send(due)


async def _main(host: str, port: str, path: str, rate: str, seconds: str) -> None:
    generator = _Generator(host, int(port), path)
    await generator.run(int(rate), int(seconds))
    print(
        json.dumps({"latencies_us": sorted(generator.latencies), "failed": generator.failed}),
        flush=True,
    )


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:6]))
