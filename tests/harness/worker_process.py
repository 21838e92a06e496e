"""A `RunningWorker` in a process of its own: for memory, descriptors and being stopped.

    with Upstream() as model, WorkerProcess(models={"m": model.url}) as worker:
        client = worker.connect()
        ...
        assert worker.memory_bytes() < before + 20_000_000

What is asked of it (`counted`, `gauge`, ...) is asked of the worker over there.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import socket
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Self

from harness.stream import DEADLINE_S, Stream
from harness.waiting import wait_until
from harness.worker import RunningWorker

START_S = 30.0  # a fresh interpreter imports everything


class WorkerProcess:
    """Arguments as for `RunningWorker`; `descriptors` limits how many files it may have open."""

    def __init__(self, *, descriptors: int | None = None, **arguments: Any) -> None:
        # A server that has imported everything forks: a fresh interpreter takes seconds.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["harness.worker"])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, descriptors, arguments))
        self._theirs = theirs
        self._clients: list[Stream] = []
        self.port = 0

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        assert self._pipe.poll(START_S), "the worker's process does not start"
        self.port = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        self.go_on()
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(DEADLINE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        assert self._process.exitcode == 0, f"the worker ended with {self._process.exitcode}"

    def connect(self, *, deadline_s: float = DEADLINE_S, receive_bytes: int = 0) -> Stream:
        """A new client connection; `receive_bytes` bounds what the kernel buffers for it."""
        sock = socket.socket()
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.settimeout(deadline_s)
        sock.connect(("127.0.0.1", self.port))
        client = Stream(sock, deadline_s=deadline_s)
        self._clients.append(client)
        return client

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the worker over there."""
        self._pipe.send((method, arguments))
        assert self._pipe.poll(DEADLINE_S), f"no answer to {method}"
        return self._pipe.recv()

    # -- what the system says and does -----------------------------------------------------------

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def memory_bytes(self) -> int:
        """Its resident memory now, without files: a library's page is resident once it is used."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("RssAnon:")[2].split()[0]) * 1024

    def descriptors(self) -> int:
        """How many files it has open now."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208  # names only

    def descriptors_left(self) -> int:
        """How many more it may open."""
        return resource.prlimit(self.pid, resource.RLIMIT_NOFILE)[0] - self.descriptors()

    def stop_running(self) -> None:
        """Freeze it, as a container runtime or a hypervisor may."""
        os.kill(self.pid, signal.SIGSTOP)
        status = Path(f"/proc/{self.pid}/stat")
        wait_until(lambda: status.read_text().rpartition(") ")[2][0] == "T", "it is stopped")

    def go_on(self) -> None:
        """Let it run again."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)


def _serve(pipe: Pipe, descriptors: int | None, arguments: dict[str, Any]) -> None:
    with RunningWorker(**arguments) as worker:
        if descriptors is not None:
            spare = len(os.listdir("/proc/self/fd")) + descriptors  # noqa: PTH208
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
        pipe.send(worker.port)
        with contextlib.suppress(EOFError):
            while (asked := pipe.recv()) is not None:
                method, given = asked
                pipe.send(getattr(worker, method)(*given))
