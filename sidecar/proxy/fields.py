"""Fields of a head: which of them the proxy must read, found by interpreting as little as possible.

A client repeats itself: the names of its fields, their order and spelling hardly ever change from
one request to the next. So the sequence of names, the *shape* of a head, is looked up as a whole,
and what it means is worked out once per shape. llhttp checks every byte and reports each field to
`dict.setdefault`, which keeps the first of repeated fields; a count of the lines tells when there
were any. A head whose shape holds nothing but plain fields travels on as the bytes it came in.

All other heads (a field that ends at this hop or is rewritten, repeated fields, odd spelling) are
read again, line by line, with the same result at a higher price.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from httptools import HttpParserUpgrade, HttpRequestParser, HttpResponseParser

MAX_SHAPES: Final = 1024  # remembered per parser; then it begins anew


class Field(IntEnum):
    """What a field is to the proxy."""

    ORDINARY = 0
    WATCHED = 1  # forwarded, and read by routing
    DROPPED = 2  # RFC 9110 7.6.1: ends at this hop
    HOST = 3
    CONTENT_LENGTH = 4
    TRANSFER_ENCODING = 5
    CONNECTION = 6
    EXPECT = 7
    UPGRADE = 8
    REQUEST_ID = 9
    TRACEPARENT = 10
    TRACESTATE = 11
    VIA = 12
    FORWARDED_FOR = 13
    FORWARDED_PROTO = 14
    FORWARDED_HOST = 15
    KEEP_ALIVE = 16


REQUEST_FIELDS: Final[dict[bytes, Field]] = {
    b"host": Field.HOST,
    b"content-length": Field.CONTENT_LENGTH,
    b"transfer-encoding": Field.TRANSFER_ENCODING,
    b"connection": Field.CONNECTION,
    b"expect": Field.EXPECT,
    b"upgrade": Field.UPGRADE,
    b"x-request-id": Field.REQUEST_ID,
    b"traceparent": Field.TRACEPARENT,
    b"tracestate": Field.TRACESTATE,
    b"via": Field.VIA,
    b"x-forwarded-for": Field.FORWARDED_FOR,
    b"x-forwarded-proto": Field.FORWARDED_PROTO,
    b"x-forwarded-host": Field.FORWARDED_HOST,
    b"keep-alive": Field.DROPPED,
    b"proxy-connection": Field.DROPPED,
    b"proxy-authenticate": Field.DROPPED,
    b"proxy-authorization": Field.DROPPED,
    b"te": Field.DROPPED,
    b"http2-settings": Field.DROPPED,
    b"x-sidecar-shadow": Field.DROPPED,  # only the sidecar may say so
}
RESPONSE_FIELDS: Final[dict[bytes, Field]] = {
    b"content-length": Field.CONTENT_LENGTH,
    b"transfer-encoding": Field.TRANSFER_ENCODING,
    b"connection": Field.CONNECTION,
    b"upgrade": Field.UPGRADE,
    b"via": Field.VIA,
    b"keep-alive": Field.KEEP_ALIVE,
    b"proxy-connection": Field.DROPPED,
    b"proxy-authenticate": Field.DROPPED,
    b"te": Field.DROPPED,
    b"x-request-id": Field.DROPPED,  # the client gets its own back
    b"x-sidecar-model": Field.DROPPED,
    b"x-sidecar-error": Field.DROPPED,
}
# Lines of these travel on as they are; other special ones are dropped, and written anew where due.
_IN_PLACE: Final = frozenset(
    (
        Field.ORDINARY,
        Field.WATCHED,
        Field.HOST,
        Field.CONTENT_LENGTH,
        Field.REQUEST_ID,
        Field.TRACEPARENT,
        Field.TRACESTATE,
    )
)


class Shape:
    """What a sequence of field names means. `plain`: all its lines travel on as they came."""

    __slots__ = (
        "connection",
        "keep_alive_line",
        "length",
        "lines",
        "plain",
        "special",
        "watched",
    )

    def __init__(self, names: tuple[bytes, ...], kinds: dict[bytes, Field]) -> None:
        self.lines = len(names) + 2  # line ends of a head that repeats no name: start, fields, end
        self.special: tuple[tuple[int, bytes], ...] = ()  # kind and spelling, without the length
        self.watched: tuple[tuple[bytes, bytes], ...] = ()  # lower-case name and spelling
        self.length: bytes | None = None  # how Content-Length is spelled
        self.connection: bytes | None = None  # how Connection is spelled
        self.keep_alive_line = b""  # its usual line, with both line ends
        self.plain = len({name.lower() for name in names}) == len(names)
        for name in names:
            lower = name.lower()
            kind = kinds.get(lower, Field.ORDINARY)
            if kind is Field.CONTENT_LENGTH:
                self.length = name
            elif kind is Field.CONNECTION:
                self.connection = name
                self.keep_alive_line = b"\r\n%b: keep-alive\r\n" % name
            elif kind not in _IN_PLACE:
                self.plain = False
            elif kind is Field.WATCHED:
                self.watched += ((lower, name),)
            elif kind is not Field.ORDINARY:
                self.special += ((int(kind), name),)
                if kind is Field.TRACEPARENT and name != b"traceparent":
                    self.plain = False  # its value is replaced where it stands, if spelled so


class _Collector:
    """What llhttp reports fields to; `on_header` is a C function, called once per field."""

    __slots__ = ("on_header",)

    on_header: Callable[[bytes, bytes], object]


class FieldReader:
    """Reads the fields of heads by one table of names."""

    __slots__ = ("_kinds", "_parser", "_shapes")

    def __init__(
        self,
        kinds: dict[bytes, Field],
        parser: type[HttpRequestParser | HttpResponseParser],
    ) -> None:
        self._kinds = kinds
        self._parser = parser
        self._shapes: dict[tuple[bytes, ...], Shape] = {}

    def read(self, raw: bytes) -> tuple[Shape, dict[bytes, bytes]]:
        """Check a head and take it apart: its shape, and the first value of each name.

        Raises httptools.HttpParserError when llhttp refuses it.
        """
        fields: dict[bytes, bytes] = {}
        collector = _Collector()
        collector.on_header = fields.setdefault
        try:  # noqa: SIM105  # `suppress` costs every head what this costs only upgrades
            self._parser(collector).feed_data(raw)
        except HttpParserUpgrade:
            pass  # a CONNECT or an upgrade: the head is complete all the same
        names = tuple(fields)
        return self._shapes.get(names) or self._learn(names), fields

    def _learn(self, names: tuple[bytes, ...]) -> Shape:
        shape = Shape(names, self._kinds)
        if len(self._shapes) >= MAX_SHAPES:
            self._shapes.clear()  # whoever invents shapes must not keep the usual ones out
        self._shapes[names] = shape
        return shape

    def read_lines(self, raw: bytes) -> Lines:
        """Take apart, line by line, a head that `read` has checked."""
        return Lines(raw, self._kinds)


class Lines:
    """A head line by line. A line is dropped by making it empty: the rest joined travels on.

    llhttp has checked them: each ends in CRLF, none is folded, each has a name, a colon and a
    value. Repeated fields are combined (RFC 9110 5.3); where repetition is an error it shows in the
    value.
    """

    __slots__ = ("_kinds", "_lines", "special", "watched")

    def __init__(self, raw: bytes, kinds: dict[bytes, Field]) -> None:
        self._kinds = kinds
        self._lines = raw[:-2].splitlines(keepends=True)  # the start line first
        self.special: dict[int, bytes] = {}
        self.watched: dict[bytes, bytes] = {}
        for at, line in enumerate(self._lines):
            name, _, value = line.partition(b":")
            name = name.lower()
            kind = kinds.get(name, Field.ORDINARY)
            if at == 0 or kind is Field.ORDINARY:
                continue
            value = value.strip()
            if kind is Field.WATCHED:
                known = self.watched.get(name)
                if known is not None:
                    value = known + (b"; " if name == b"cookie" else b", ") + value
                self.watched[name] = value
                continue
            known = self.special.get(kind)
            self.special[int(kind)] = value if known is None else known + b", " + value
            if kind not in _IN_PLACE:
                self._lines[at] = b""

    @property
    def first(self) -> bytes:
        """The start line."""
        return self._lines[0]

    def start(self, line: bytes) -> None:
        """Replace the start line."""
        self._lines[0] = line

    def drop(self, name: bytes) -> None:
        """Drop all lines of one field, given by its lower-case name."""
        for at in range(1, len(self._lines)):
            if self._lines[at].partition(b":")[0].lower() == name:
                self._lines[at] = b""

    def drop_named(self, options: list[bytes]) -> None:
        """Drop the fields Connection names (RFC 9110 7.6.1), but none that frames or routes."""
        plain = (Field.ORDINARY, Field.WATCHED)
        named = {one for one in options if self._kinds.get(one, Field.ORDINARY) in plain}
        for at in range(1, len(self._lines)):
            if self._lines[at].partition(b":")[0].lower() in named:
                self._lines[at] = b""

    def add(self, line: bytes) -> None:
        """Add a field line."""
        self._lines.append(line)

    def kept(self) -> bytes:
        """What travels on."""
        return b"".join(self._lines)


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated list of case-insensitive tokens (RFC 9110 5.6.1)."""
    return [token for part in value.lower().split(b",") if (token := part.strip())]
