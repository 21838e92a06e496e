"""A model whose behaviour on each connection is a script: a function that talks on a `Stream`.

    def answers_twice(model: Stream) -> None:
        model.read_request()
        model.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        model.read_request()
        model.reset()

    with Upstream(answers_twice) as upstream: ...

Each connection runs its script on a thread of its own; when the script returns, or meets the end
of the stream, the connection is closed. Any other exception in a script fails the test when the
upstream is closed. Every byte received is kept, connection by connection, in the order accepted.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from harness.stream import DEADLINE_S, End, Message, Stream, StreamEnded

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Connection(Stream):
    """One connection to the model: what it received, and how and when it ended."""

    def __init__(self, sock: socket.socket, *, deadline_s: float) -> None:
        super().__init__(sock, deadline_s=deadline_s)
        self.requests: list[Message] = []
        self.ended: End | None = None
        self.ended_at = 0.0  # time.monotonic() of the FIN or RST from the sidecar
        self.over = False  # its script has ended

    def _more(self) -> None:
        try:
            super()._more()
        except StreamEnded as ended:
            self.ended_at = monotonic()
            self.ended = ended.end
            raise

    def read_request(self) -> Message:
        """A whole request, recorded in `requests`."""
        request = super().read_request()
        self.requests.append(request)
        return request


Script = Callable[[Connection], None]


def answering(*answers: bytes) -> Script:
    """Answers each request of a connection with the next of these, the last one again and again."""

    def script(model: Connection) -> None:
        number = 0
        while True:
            model.read_request()
            model.send(answers[min(number, len(answers) - 1)])
            number += 1

    return script


class Upstream:
    """A listening model. Connection number n runs `scripts[n]`; further ones run the last."""

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        path: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._scripts = scripts or (answering(OK),)
        self._tls = tls
        self._deadline_s = deadline_s
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self.connections: list[Connection] = []
        if path is not None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(path))
            self.url = f"unix:{path}"
        else:
            self._socket = socket.socket()
            self._socket.bind((host, port))
            self.port: int = self._socket.getsockname()[1]
            self.url = f"{'http' if tls is None else 'https'}://{host}:{self.port}"
        self._socket.listen(512)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self._failures:
            raise self._failures[0]

    @property
    def requests(self) -> list[Message]:
        """All requests read whole, connection by connection."""
        return [request for one in self.connections for request in one.requests]

    @property
    def received(self) -> list[bytes]:
        """Every byte received, one entry per connection."""
        return [one.received for one in self.connections]

    @property
    def open(self) -> int:
        """Connections whose scripts still run."""
        return sum(not one.over for one in self.connections)

    def wait_for(
        self, condition: Callable[[Self], bool], *, deadline_s: float = DEADLINE_S
    ) -> None:
        """Wait until the condition holds of this upstream. Raises TimeoutError."""
        deadline = monotonic() + deadline_s
        while not condition(self):
            if monotonic() > deadline:
                raise TimeoutError(f"it never came true; received: {self.received!r}"[:2000])
            sleep(0.002)

    def stop_listening(self) -> None:
        """Refuse new connections; those that are open go on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def close(self) -> None:
        """End every connection and thread."""
        self.stop_listening()
        for one in list(self.connections):
            with contextlib.suppress(OSError):
                one.sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(self._deadline_s + 1)
            assert not thread.is_alive(), "a script did not end"

    # -- threads ---------------------------------------------------------------------------------

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            number = len(self.connections)
            script = self._scripts[min(number, len(self._scripts) - 1)]
            connection = Connection(sock, deadline_s=self._deadline_s)
            self.connections.append(connection)
            self._start(self._serve, connection, script)

    def _serve(self, connection: Connection, script: Script) -> None:
        try:
            if self._tls is not None:
                connection.sock = self._tls.wrap_socket(connection.sock, server_side=True)
            script(connection)
        except (StreamEnded, OSError):
            pass  # the sidecar ended the connection, or the test did
        except BaseException as failure:  # noqa: BLE001  # handed to the test's own thread
            self._failures.append(failure)
        finally:
            connection.close()
            connection.over = True
