"""Steady traffic in the background, every answer of which is judged.

Threads with one keep-alive connection each: enough to have requests in flight whenever something is
killed. A request that fails on a connection that was *reused* and ended before any answer began is
sent again on a fresh one, as every HTTP client does (RFC 9110 9.2.2, 9112 9.3.1): a server may
close an idle connection at any time, and the GETs sent here are idempotent.
"""

from __future__ import annotations

import http.client
import threading
import time
from types import TracebackType
from typing import Self


class Load:
    """Started by `with`; `answered` and `broken` grow until it ends.

    `refused` counts connections that could not be made: not a broken answer, but nobody there.
    """

    def __init__(self, port: int, *, clients: int = 8, path: str = "/") -> None:
        self._port = port
        self._path = path
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name=f"load-{n}", daemon=True)
            for n in range(clients)
        ]
        self.answered = 0
        self.refused = 0
        self.broken: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the traffic; the counts are final then."""
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def _run(self) -> None:
        connection = self._connection()
        used = False
        while not self._stop.is_set():
            try:
                connection.request("GET", self._path)
                response = connection.getresponse()
            except ConnectionRefusedError:
                self._count("refused")
                connection, used = self._connection(), False
                time.sleep(0.02)
                continue
            except (http.client.RemoteDisconnected, ConnectionError, TimeoutError) as error:
                connection.close()
                if not used:
                    self._count("broken", f"before an answer: {error!r}")
                connection, used = self._connection(), False
                continue
            try:
                body = response.read()
            except (http.client.HTTPException, OSError) as error:
                self._count("broken", f"inside an answer: {error!r}")
                connection, used = self._connection(), False
                continue
            if response.status == 200:
                self._count("answered")
            else:
                self._count("broken", f"{response.status} {body[:200]!r}")
            used = not response.will_close
            if response.will_close:
                connection = self._connection()
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)

    def _count(self, what: str, detail: str = "") -> None:
        with self._lock:
            if what == "broken":
                self.broken.append(detail)
            else:
                setattr(self, what, getattr(self, what) + 1)
