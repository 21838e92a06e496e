"""The chunked transfer coding (RFC 9112 7.1), decoded strictly and to the byte.

    chunk   = 1*HEXDIG [ chunk-ext ] CRLF chunk-data CRLF
    last    = 1*"0" [ chunk-ext ] CRLF *( field-line CRLF ) CRLF

The decoder gives payload pieces as slices and says where the message ended, so that a pipelined
request behind it is neither lost nor read as body. It refuses what parsers disagree on in practice:
bare CR or LF, white space around the size, signs, unterminated quotes, sizes beyond 63 bits.
Extensions are checked and dropped. Framing that is out of proportion to its payload is refused, so
that a body of a million one-byte chunks costs its sender more than it costs us.
"""

from __future__ import annotations

import re
from typing import Final

# Possessive quantifiers: a line is looked at again with every read until it is whole, and a pattern
# that then tried other ways to match would let 4 KB of spaces hold the loop for seconds. Not those
# of groups: in Python 3.11.2, that of Debian 12, a possessive group matches what it must not, and
# since a `;` begins each extension, giving one up again is one step.
TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]++|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSION: Final = rb";[ \t]*+" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + _QUOTED + rb"))?"
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:" + _EXTENSION + rb")*\r\n")
_FIELD_LINE: Final = re.compile(rb"(" + TOKEN + rb"):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)\r\n")

MAX_LINE_BYTES: Final = 4096  # one size line with its extensions, or one trailer field
MAX_TRAILER_BYTES: Final = 16 * 1024
MAX_CHUNK_BYTES: Final = 2**63 - 1
FREE_CHUNKS: Final = 8192  # chunks of any size a body may have; beyond, the mean size counts
MIN_MEAN_CHUNK_BYTES: Final = 8
FREE_FRAMING_BYTES: Final = 16 * 1024  # extension bytes a body may have beyond 16 per chunk

# RFC 9110 6.5.1: fields that frame, route, authenticate or describe content are not trailers.
FORBIDDEN_TRAILERS: Final = frozenset(
    b"authorization cache-control connection content-encoding content-length content-range "
    b"content-type cookie expect host keep-alive max-forwards proxy-authenticate "
    b"proxy-authorization proxy-connection range set-cookie te trailer transfer-encoding upgrade "
    b"x-request-id x-sidecar-model x-sidecar-shadow".split()
)


class ChunkedError(ValueError):
    """The body is not in the chunked coding."""


class CountedBody:
    """The rest of a body that Content-Length delimits; the same face as `ChunkedDecoder`."""

    __slots__ = ("_left", "complete", "payload_bytes", "trailers")

    def __init__(self, left: int) -> None:
        self.complete = False
        self.payload_bytes = left
        self.trailers: list[bytes] = []
        self._left = left

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Take what belongs to the body; return it, and what follows it."""
        left = self._left - len(data)
        if left > 0:
            self._left = left
            return [data], b""
        self.complete = True
        return ([data], b"") if left == 0 else ([data[:left]], data[left:])


class ChunkedDecoder:
    """Decodes one body. Feed it what arrives until `complete`; the rest is no longer its own."""

    __slots__ = (
        "_chunks",
        "_excess",
        "_held",
        "_left",
        "_trailer_bytes",
        "complete",
        "payload_bytes",
        "trailers",
    )

    def __init__(self) -> None:
        self.complete = False
        self.trailers: list[bytes] = []  # flat pieces, as in `head`: name, b": ", value, b"\r\n"
        self._held = b""  # an incomplete line
        self._left = 0  # payload bytes of this chunk to come; -1: its CRLF; -2: trailers
        self._chunks = 0
        self.payload_bytes = 0  # of all chunks announced so far
        self._excess = 0
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Decode `data`; return the payload pieces, and what follows the body once it is complete.

        Raises ChunkedError. No piece is empty; a chunk that arrives whole is one piece.
        """
        if self._held:
            data = self._held + data
            self._held = b""
        pieces: list[bytes] = []
        at = 0
        end = len(data)
        left = self._left
        while at < end:
            if left > 0:
                piece = data[at : at + left] if at or left < end else data
                pieces.append(piece)
                at += len(piece)
                left -= len(piece)
                if left == 0:
                    left = -1
            elif left == -1:
                if not data.startswith(b"\r\n", at):
                    if end - at == 1 and data[at] == 13:
                        break
                    raise ChunkedError("a chunk is longer than its size")
                at += 2
                left = 0
            elif left == 0:
                line = _SIZE_LINE.match(data, at)
                if line is None:
                    _check_incomplete_line(data, at)
                    break
                left = self._size(line)
                at = line.end()
            else:
                if data.startswith(b"\r\n", at):
                    self.complete = True
                    return pieces, data[at + 2 :]
                field = _FIELD_LINE.match(data, at)
                if field is None:
                    if not (end - at == 1 and data[at] == 13):
                        _check_incomplete_line(data, at)
                    break
                self._trailer(field)
                at = field.end()
        self._left = left
        self._held = data[at:]
        return pieces, b""

    def _size(self, line: re.Match[bytes]) -> int:
        """Count one chunk; return the size of its payload, -2 for the last."""
        size = int(line[1], 16)
        if size > MAX_CHUNK_BYTES:
            raise ChunkedError("a chunk size is out of range")
        self._chunks += 1
        self.payload_bytes += size
        if (
            self._chunks > FREE_CHUNKS
            and size
            and self.payload_bytes < self._chunks * MIN_MEAN_CHUNK_BYTES
        ):
            raise ChunkedError("too many tiny chunks")
        self._excess = max(0, self._excess + line.end() - line.start() - 16)
        if self._excess > FREE_FRAMING_BYTES:
            raise ChunkedError("too many chunk extensions")
        return size or -2

    def _trailer(self, field: re.Match[bytes]) -> None:
        self._trailer_bytes += field.end() - field.start()
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise ChunkedError("the trailer section is too large")
        if field[1].lower() not in FORBIDDEN_TRAILERS:
            self.trailers += (field[1], b": ", field[2].rstrip(b" \t"), b"\r\n")


def _check_incomplete_line(data: bytes, at: int) -> None:
    """Refuse a line that can no longer become valid."""
    if data.find(b"\n", at) >= 0:
        raise ChunkedError("a chunk size or trailer line is malformed")
    cr = data.find(b"\r", at)
    if (cr >= 0 and cr != len(data) - 1) or len(data) - at > MAX_LINE_BYTES:
        raise ChunkedError("a chunk size or trailer line is malformed or too long")


def encode_chunks(pieces: list[bytes]) -> bytes:
    """Each piece as one chunk."""
    return b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces])


def encode_end(trailers: list[bytes]) -> bytes:
    """The last chunk with its trailer section."""
    if not trailers:
        return b"0\r\n\r\n"
    return b"".join((b"0\r\n", *trailers, b"\r\n"))


def payload_of(body: bytes) -> bytes:
    """The payload of a whole body as `encode_chunks` and `encode_end` write it."""
    return b"".join(ChunkedDecoder().feed(body)[0])
