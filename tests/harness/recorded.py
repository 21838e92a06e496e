"""What a sidecar recorded, as its API, its journal and a sink's files tell it."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Self

from harness.observing import inference, probabilities
from harness.sidecar_process import SidecarProcess
from harness.waiting import wait_until
from sidecar.control.recording.search import JournalSearch, Question

ANSWER = probabilities(0.5)
OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
) + ANSWER
PATH = "/v2/models/m/infer"
BODY = inference([[1, 2]])


def answers_for_ever(model) -> None:
    """A script of an upstream: the same answer to each request."""
    while True:
        model.read_request()
        model.send(OK)


def books(running: SidecarProcess) -> dict[str, Any]:
    """The books of this moment."""
    status, view = running.admin("GET", "/api/v1/log/books")
    assert status == 200, view
    return view


def parts(one: dict[str, Any]) -> int:
    """What a line of the books accounts for, but for what is still in memory."""
    return (
        one["logged"]
        + one["sampled_out"]
        + sum(one["dropped"].values())
        + one["lost_in_crash"]
        + one["corrupt"]
    )


def settled_books(running: SidecarProcess) -> dict[str, Any]:
    """The books once nothing waits in a worker or for a sink; they must come to rest."""

    def at_rest() -> dict[str, Any] | None:
        view = books(running)
        rest = all(one["in_memory"] == 0 for one in view["requests"])
        rest = rest and all(one["pending"] == 0 for one in view["sinks"])
        return view if rest and view["complete"] else None

    return wait_until(at_rest, "the books are at rest", timeout_s=20.0)


def recorded(journal: Path) -> list[Any]:
    """Every record of a journal, as the files have it."""
    return list(JournalSearch(journal).all(Question()))


def delivered_ids(directory: Path) -> Counter[str]:
    """How often a sink's files have each record."""
    return Counter(
        json.loads(line)["id"]
        for path in sorted(directory.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )


class Load:
    """Clients on threads that go on asking, whatever is killed; `answered` counts answers.

    `failed` says what was none, or none with 200. Each client waits for `pause_s` between requests.
    """

    def __init__(
        self, port: int, clients: int = 4, path: str = PATH, *, pause_s: float = 0.0
    ) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._pause_s = pause_s
        self._port = port
        self._path = path
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            try:
                while not self._stop.is_set():
                    connection.request(
                        "POST", self._path, BODY, {"Content-Type": "application/json"}
                    )
                    response = connection.getresponse()
                    response.read()
                    with self._lock:
                        self.answered += 1
                        if response.status != http.client.OK:
                            self.failed.append(f"{response.status} {response.reason}")
                    if self._pause_s:
                        self._stop.wait(self._pause_s)
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failed.append(repr(error))
                self._stop.wait(0.01)  # its worker was killed
            finally:
                connection.close()
