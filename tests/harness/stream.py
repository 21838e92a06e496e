"""A socket as a stream of bytes, and HTTP/1.1 messages read off it, kept as they came.

The reader is deliberately literal: it finds the empty line, then counts or un-chunks, and fails on
anything it would have to guess. It shares no code with the product.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from time import monotonic, sleep

DEADLINE_S = 10.0


class End(Enum):
    """How the other side ended the connection."""

    CLEAN = "FIN"
    RESET = "RST"


class StreamEnded(EOFError):  # noqa: N818  # an event that scripts wait for, not a mistake
    """The connection ended where more bytes were needed; `partial` is what came."""

    def __init__(self, end: End, partial: bytes) -> None:
        super().__init__(f"{end.value} after {partial!r}")
        self.end = end
        self.partial = partial


@dataclass(frozen=True, slots=True)
class Message:
    """One HTTP message. `raw` is every byte of it, `body` is decoded, `trailers` are lines."""

    raw: bytes
    start: bytes
    lines: tuple[bytes, ...]
    body: bytes
    trailers: tuple[bytes, ...] = ()

    @property
    def head(self) -> bytes:
        """The raw bytes up to and including the empty line."""
        return self.raw[: self.raw.index(b"\r\n\r\n") + 4]

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start.split(b" ")[1])

    @property
    def target(self) -> bytes:
        """The target of a request."""
        return self.start.split(b" ")[1]

    def all(self, name: str) -> list[bytes]:
        """The values of all fields of that name, in their order."""
        pairs = (line.split(b":", 1) for line in self.lines)
        return [value.strip() for key, value in pairs if key.lower() == name.lower().encode()]

    def field(self, name: str) -> bytes | None:
        """The value of the only field of that name, None when there is none."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is repeated: {values}"
        return values[0] if values else None


class Stream:
    """Blocking reads and writes on a socket, each with a deadline; keeps every byte received."""

    def __init__(self, sock: socket.socket, *, deadline_s: float = DEADLINE_S) -> None:
        sock.settimeout(deadline_s)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._deadline_s = deadline_s
        self._on_silence: Callable[[], None] | None = None
        self.received = b""
        self._at = 0  # how much of `received` was consumed

    # -- writing ---------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def send_bytewise(self, data: bytes) -> None:
        """Send byte by byte, each once the other side has read the one before; Unix sockets only.

        Raises OSError when the other side is gone, TimeoutError when it does not read on.
        """
        for at in range(len(data)):
            self.sock.sendall(data[at : at + 1])
            self.wait_until_read()

    def wait_until_read(self) -> None:
        """Wait until the other side has read everything; Unix sockets only. Raises TimeoutError."""
        assert self.sock.family == socket.AF_UNIX, "only these tell"
        deadline = monotonic() + self._deadline_s
        while struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]:
            if monotonic() > deadline:
                raise TimeoutError("what was sent is not being read")
            sleep(0)

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close cleanly (FIN), unless unread bytes make the kernel reset."""
        self.sock.close()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    # -- reading ---------------------------------------------------------------------------------

    def on_silence(self, call: Callable[[], None], *, after_s: float = 0.02) -> None:
        """From now on, when nothing comes for so long: call this and read on."""
        self.sock.settimeout(after_s)
        self._on_silence = call

    def _more(self) -> None:
        try:
            data = self.sock.recv(256 * 1024)
        except ConnectionError:
            raise StreamEnded(End.RESET, self.received[self._at :]) from None
        except TimeoutError:
            if self._on_silence is None:
                raise
            self._on_silence()
            return
        if not data:
            raise StreamEnded(End.CLEAN, self.received[self._at :])
        self.received += data

    def _take(self, end: int) -> bytes:
        data = self.received[self._at : end]
        self._at = end
        return data

    @property
    def has_read_ahead(self) -> bool:
        """Whether bytes were received that nobody has read yet."""
        return self._at < len(self.received)

    def forget(self) -> None:
        """Drop what was read, for a stream too long to be kept."""
        self.received = self.received[self._at :]
        self._at = 0

    def read_some(self) -> bytes:
        """Whatever is there, at least one byte. Raises StreamEnded, TimeoutError."""
        if self._at == len(self.received):
            self._more()
        return self._take(len(self.received))

    def read_exactly(self, count: int) -> bytes:
        """So many bytes. Raises StreamEnded, TimeoutError."""
        while len(self.received) - self._at < count:
            self._more()
        return self._take(self._at + count)

    def read_until(self, mark: bytes) -> bytes:
        """Bytes up to and including the mark. Raises StreamEnded, TimeoutError."""
        while (found := self.received.find(mark, self._at)) < 0:
            self._more()
        return self._take(found + len(mark))

    def read_to_end(self) -> tuple[bytes, End]:
        """Everything that still comes, and how it ended. Raises TimeoutError when it does not."""
        while True:
            try:
                self._more()
            except StreamEnded as ended:
                self._at = len(self.received)
                return ended.partial, ended.end

    def read_head(self) -> Message:
        """A head alone, its body left unread."""
        raw = self.read_until(b"\r\n\r\n")
        start, *lines = raw[:-4].split(b"\r\n")
        return Message(raw=raw, start=start, lines=tuple(lines), body=b"")

    def read_request(self) -> Message:
        """A whole request; without framing fields it has no body."""
        return self._with_body(self.read_head(), until_end=False)

    def read_response(self, *, to_head: bool = False) -> Message:
        """A whole response; `to_head` when it answers HEAD."""
        head = self.read_head()
        if to_head or head.status < 200 or head.status in (204, 304):
            return head
        return self._with_body(head, until_end=True)

    def _with_body(self, head: Message, *, until_end: bool) -> Message:
        coding = head.field("transfer-encoding")
        length = head.field("content-length")
        began = self._at
        trailers: tuple[bytes, ...] = ()
        if coding is not None:
            assert coding == b"chunked", coding
            assert length is None, "both framings"
            chunks = []
            while size := int(self.read_until(b"\r\n")[:-2], 16):
                chunks.append(self.read_exactly(size))
                assert self.read_exactly(2) == b"\r\n"
            while line := self.read_until(b"\r\n")[:-2]:
                trailers += (line,)
            body = b"".join(chunks)
        elif length is not None:
            body = self.read_exactly(int(length))
        elif until_end:
            body, end = self.read_to_end()
            if end is not End.CLEAN:
                raise StreamEnded(end, body)
        else:
            body = b""
        raw = head.raw + self.received[began : self._at]
        return Message(raw=raw, start=head.start, lines=head.lines, body=body, trailers=trailers)
