"""Message heads: from raw bytes to what the proxy must know, with llhttp's strictness and our own.

A head arrives here whole, from the first byte of its start line to its empty line, and each head
gets a fresh llhttp parser: bodies are framed by `chunked` and by counting, so that the end of a
message is always known to the byte and nothing a parser remembers outlives a message.

What llhttp refuses: bare CR and LF, NUL and other controls in fields, obs-fold, white space before
the colon, Content-Length with Transfer-Encoding, repeated or malformed Content-Length, unknown
methods. What it lets pass and is refused here: protocols other than HTTP/1.0 and 1.1, more than one
space in the request line, target forms that do not fit the method, bytes outside ASCII in the
target, missing, repeated or malformed Host, codings other than `chunked`, Transfer-Encoding in
HTTP/1.0.

What is forwarded (`kept`) is the head as it came, less what ends at this hop; see `fields`.
"""

from __future__ import annotations

import re
from typing import Final

from httptools import HttpParserError, HttpRequestParser, HttpResponseParser

from sidecar.config.settings import Limits
from sidecar.errors import ClientError, UpstreamError
from sidecar.proxy.fields import (
    REQUEST_FIELDS,
    RESPONSE_FIELDS,
    Field,
    FieldReader,
    Lines,
    Shape,
    tokens,
)

REQUEST_LINE: Final = re.compile(rb"([A-Z][A-Z-]*) ([\x21-\x22\x24-\x7e]+) HTTP/1\.([01])\r\n")
# RFC 9110 15: a status has one of five classes.
STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
ABSOLUTE_TARGET: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(/?)([^?]*(?:\?.*)?)")
# RFC 3986 3.2.2: reg-name, IPv4address or [IP-literal], and an optional port.
AUTHORITY: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::[0-9]{0,5})?"
)
# What was checked once and comes again: start lines and hosts. Each memory is bounded in entries
# and in their length, and begins anew when it is full.
MAX_KNOWN: Final = 1024
MAX_KNOWN_BYTES: Final = 256
_NOT_TUNNELLED: Final = frozenset((b"h2c", b"h2", b""))
_TRACE_LINE: Final = b"\r\ntraceparent: "


class _Head:
    """What both kinds of heads share. `special` holds values by `Field`."""

    # Class attributes are the defaults: a head sets only what it meets.
    kept = b""  # what travels on: start line and field lines, each with its CRLF
    minor = 1
    content_length = -1  # -1: not given
    chunked = False
    close = False
    upgrade: bytes | None = None

    def __init__(self) -> None:
        self.special: dict[int, bytes] = {}

    def drop(self, name: bytes) -> None:
        """Drop what is kept of one field, given by its lower-case name."""
        start, *lines = self.kept.splitlines(keepends=True)
        self.kept = start + b"".join(
            [line for line in lines if line.partition(b":")[0].lower() != name]
        )


class RequestHead(_Head):
    """A request's head.

    `path` is the target in origin form, with its query; `host` the authority meant; `trace_at` is
    where the value of traceparent stands in `kept`, -1 when it is not there.
    """

    method = b""
    path = b""
    host: bytes | None = None
    expect_continue = False
    client_address = ""
    trace_at = -1

    def __init__(self) -> None:
        self.special = {}
        self.watched: dict[bytes, bytes] = {}

    def drop(self, name: bytes) -> None:
        """Drop what is kept of one field; `trace_at` follows."""
        super().drop(name)
        if self.trace_at >= 0:
            self.trace_at = self.kept.find(_TRACE_LINE) + len(_TRACE_LINE)

    @property
    def idempotent(self) -> bool:
        """RFC 9110 9.2.2: may be repeated when no answer came."""
        return self.method in (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE")


class ResponseHead(_Head):
    """A response's head."""

    status = 0
    bodiless = False  # RFC 9112 6.3: answers to HEAD, 1xx, 204 and 304 end with their head
    keep_alive_s: float | None = None  # what the model's Keep-Alive field promises


class RequestParser:
    """Reads request heads; knows which field names routing wants to see."""

    def __init__(self, watched: frozenset[bytes], *, limits: Limits) -> None:
        kinds = dict(REQUEST_FIELDS)
        self._watched_special = tuple(
            (kinds[name], name)
            for name in watched
            if kinds.get(name, Field.DROPPED) is not Field.DROPPED
        )
        kinds.update((name, Field.WATCHED) for name in watched if name not in kinds)
        self._reader = FieldReader(kinds, HttpRequestParser)
        self._line_ends = limits.header_count + 2
        self._line_bytes = limits.request_line + 2
        self._known_lines: dict[bytes, tuple[bytes, bytes, bytes]] = {}
        self._known_hosts: set[bytes] = set()

    def parse(self, raw: bytes) -> RequestHead:
        """Read one head, `raw` ending in its empty line. Raises ClientError."""
        line = raw[: raw.find(b"\n") + 1]
        method, target, minor = self._known_lines.get(line) or self._read_line(line)
        try:
            shape, fields = self._reader.read(raw)
        except HttpParserError as error:
            raise ClientError(f"malformed request head: {_reason(error)}") from None
        head = RequestHead()
        head.method = method
        head.path = target
        line_ends = raw.count(b"\n")
        if line_ends > self._line_ends:
            raise ClientError("too many header fields", code="too_many_fields", status=431)
        if not (
            shape.plain
            and line_ends == shape.lines
            and minor == b"1"
            and target[0] == 47  # "/": the origin form, almost always
            and _read_plain(head, shape, fields, raw)
        ):
            self._read_lines(head, self._reader.read_lines(raw), minor)
        host = head.host
        if host not in self._known_hosts:
            self._check_host(host, head.minor)
        for kind, name in self._watched_special:
            if kind in head.special:
                head.watched[name] = head.special[kind]
        return head

    def _read_line(self, line: bytes) -> tuple[bytes, bytes, bytes]:
        """A request line's method, target and minor version."""
        if len(line) > self._line_bytes:
            raise ClientError("the request line is too long", code="target_too_long", status=414)
        found = REQUEST_LINE.fullmatch(line)
        if found is None:
            raise ClientError("the request line is not HTTP/1.1 or HTTP/1.0")
        parts = (found[1], found[2], found[3])
        if len(line) <= MAX_KNOWN_BYTES:
            if len(self._known_lines) >= MAX_KNOWN:
                self._known_lines.clear()
            self._known_lines[line] = parts
        return parts

    def _read_lines(self, head: RequestHead, lines: Lines, minor: bytes) -> None:
        """The long way: for all heads that do not travel on as they came."""
        special = head.special = lines.special
        head.watched = lines.watched
        head.host = special.get(Field.HOST)
        if minor == b"0":
            head.minor = 0
            head.close = True
            lines.start(b"%b %b HTTP/1.1\r\n" % (head.method, head.path))
        if head.path[0] != 47:
            _other_target_form(head, lines)
        length = special.get(Field.CONTENT_LENGTH)
        if length is not None:
            head.content_length = int(length)
            lines.drop(b"content-length")  # one spelling for all parsers, whatever its zeros
            lines.add(b"Content-Length: %d\r\n" % head.content_length)
        if Field.TRANSFER_ENCODING in special:
            _request_coding(head, special)
        if Field.CONNECTION in special:
            _request_connection(head, lines)
        if head.minor and special.get(Field.EXPECT, b"").lower() == b"100-continue":
            head.expect_continue = True
        head.kept = lines.kept()
        trace = special.get(Field.TRACEPARENT)
        if trace is not None:
            at = head.kept.find(_TRACE_LINE + trace + b"\r\n")
            if at >= 0:
                head.trace_at = at + len(_TRACE_LINE)
            else:
                head.drop(b"traceparent")  # repeated, or spelled in another way: written anew

    def _check_host(self, host: bytes | None, minor: int) -> None:
        if host is None:
            if minor:
                raise ClientError("an HTTP/1.1 request needs a Host field")
            return
        if AUTHORITY.fullmatch(host) is None:
            raise ClientError("Host is repeated or malformed")
        if len(host) <= MAX_KNOWN_BYTES:
            if len(self._known_hosts) >= MAX_KNOWN:
                self._known_hosts.clear()
            self._known_hosts.add(host)


def _read_plain(head: RequestHead, shape: Shape, fields: dict[bytes, bytes], raw: bytes) -> bool:
    """The short way: nearly all of `raw` travels on. False when it does not."""
    kept = raw[:-2]
    if shape.connection is not None:
        # Clients that say so in every request are common; all other options take the long way.
        if fields[shape.connection] != b"keep-alive":
            return False
        kept = kept.replace(shape.keep_alive_line, b"\r\n", 1)
        if len(kept) == len(raw) - 2:
            return False  # spelled in an unusual way
    if shape.length is not None:
        digits = fields[shape.length]
        if digits[0] == 48 and len(digits) > 1:
            return False
        head.content_length = int(digits)
    special = head.special
    for kind, name in shape.special:
        special[kind] = fields[name].strip()  # llhttp leaves what stands behind a value
    if shape.watched:
        head.watched = {lower: fields[name].strip() for lower, name in shape.watched}
    if 10 in special:
        at = kept.find(_TRACE_LINE + special[10] + b"\r\n")
        if at < 0:
            return False
        head.trace_at = at + len(_TRACE_LINE)
    head.host = special.get(3)
    head.kept = kept
    return True


def _other_target_form(head: RequestHead, lines: Lines) -> None:
    """RFC 9112 3.2.2 to 3.2.4: absolute form, authority form (CONNECT), asterisk form (OPTIONS)."""
    target = head.path
    if head.method == b"CONNECT":
        if AUTHORITY.fullmatch(target) is None or b":" not in target:
            raise ClientError("CONNECT needs an authority as its target")
        head.path = b"/"
        return
    if target == b"*" and head.method == b"OPTIONS":
        return
    absolute = ABSOLUTE_TARGET.fullmatch(target)
    if absolute is None:
        raise ClientError("the request target has a form that its method does not allow")
    if head.minor and Field.HOST not in head.special:
        raise ClientError("an HTTP/1.1 request needs a Host field")
    # RFC 9112 3.2.2: the authority of an absolute target replaces Host; its userinfo is dropped.
    head.host = absolute[1].rpartition(b"@")[2]
    head.path = b"/" + absolute[3]
    if head.method == b"OPTIONS" and not (absolute[2] or absolute[3]):
        head.path = b"*"  # RFC 9112 3.2.4
    lines.drop(b"host")
    lines.start(b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, head.path, head.host))


def _request_coding(head: RequestHead, special: dict[int, bytes]) -> None:
    if head.minor == 0:
        raise ClientError("Transfer-Encoding is not defined for HTTP/1.0")  # RFC 9112 6.1
    if Field.CONTENT_LENGTH in special:
        raise ClientError("Content-Length beside Transfer-Encoding")  # RFC 9112 6.3
    if special[Field.TRANSFER_ENCODING].lower() != b"chunked":
        raise ClientError(
            "only the transfer coding `chunked` is understood", code="unknown_coding", status=501
        )
    head.chunked = True


def _request_connection(head: RequestHead, lines: Lines) -> None:
    named = tokens(head.special[Field.CONNECTION])
    if b"close" in named:
        head.close = True
    elif head.minor == 0 and b"keep-alive" in named:
        head.close = False
    if b"upgrade" in named and head.minor and not head.chunked and head.content_length <= 0:
        # RFC 9113 3.1: h2c is obsolete, and a tunnel for it would carry requests past all checks.
        protocols = [one.strip() for one in head.special.get(Field.UPGRADE, b"").split(b",")]
        upgrade = b", ".join(one for one in protocols if one.lower() not in _NOT_TUNNELLED)
        if upgrade:
            head.upgrade = upgrade
    lines.drop_named(named)


class ResponseParser:
    """Reads response heads of models."""

    def __init__(self) -> None:
        self._reader = FieldReader(RESPONSE_FIELDS, HttpResponseParser)
        self._known_lines: dict[bytes, tuple[bytes, int]] = {}

    def parse(self, raw: bytes, *, head_request: bool) -> ResponseHead:
        """Read one head, `raw` ending in its empty line. Raises UpstreamError."""
        line = raw[: raw.find(b"\n") + 1]
        minor, status = self._known_lines.get(line) or self._read_line(line)
        try:
            shape, fields = self._reader.read(raw)
        except HttpParserError as error:
            raise broken_response(_reason(error)) from None
        head = ResponseHead()
        head.status = status
        kept: bytes | None = None
        if shape.plain and minor == b"1" and raw.count(b"\n") == shape.lines:
            kept = raw[:-2]
            if shape.connection is not None:
                kept = kept.replace(shape.keep_alive_line, b"\r\n", 1)
                if len(kept) == len(raw) - 2:
                    kept = None  # another option, or an unusual spelling
            if shape.length is not None:
                head.content_length = int(fields[shape.length])
        if kept is None:
            kept = _read_response_lines(head, self._reader.read_lines(raw), minor)
        head.kept = kept
        if status < 200 or status in (204, 304) or head_request:
            head.bodiless = True
            head.chunked = False
            if head.content_length >= 0 and (status < 200 or status == 204):
                head.drop(b"content-length")  # RFC 9110 8.6: a client might wait for so many bytes
        return head

    def _read_line(self, line: bytes) -> tuple[bytes, int]:
        """A status line's minor version and status."""
        found = STATUS_LINE.fullmatch(line)
        if found is None:
            raise broken_response("its status line is not HTTP/1.1 or HTTP/1.0")
        parts = (found[1], int(found[2]))
        if len(line) <= MAX_KNOWN_BYTES:
            if len(self._known_lines) >= MAX_KNOWN:
                self._known_lines.clear()
            self._known_lines[line] = parts
        return parts


def _read_response_lines(head: ResponseHead, lines: Lines, minor: bytes) -> bytes:
    """The long way; returns what travels on."""
    special = head.special = lines.special
    if minor == b"0":
        head.minor = 0
        head.close = True
        lines.start(b"HTTP/1.1" + lines.first[8:])
    length = special.get(Field.CONTENT_LENGTH)
    if length is not None:
        head.content_length = int(length)
    if Field.TRANSFER_ENCODING in special:
        if length is not None:
            raise broken_response("Content-Length beside Transfer-Encoding")
        if head.minor == 0 or special[Field.TRANSFER_ENCODING].lower() != b"chunked":
            raise broken_response("a transfer coding other than `chunked`")
        head.chunked = True
    if Field.CONNECTION in special:
        named = tokens(special[Field.CONNECTION])
        if b"close" in named:
            head.close = True
        elif head.minor == 0 and b"keep-alive" in named:
            head.close = False
        lines.drop_named(named)
    if Field.KEEP_ALIVE in special:
        head.keep_alive_s = _keep_alive_timeout(special[Field.KEEP_ALIVE])
    if head.status == 101:
        head.upgrade = special.get(Field.UPGRADE)
    return lines.kept()


def broken_response(why: str) -> UpstreamError:
    """The model's answer breaks HTTP: `why` completes the sentence."""
    return UpstreamError(f"the model's answer is malformed: {why}", code="upstream_broken")


def _keep_alive_timeout(value: bytes) -> float | None:
    found = re.search(rb"timeout=([0-9]{1,6})", value, re.IGNORECASE)
    return float(found[1]) if found else None


def _reason(error: HttpParserError) -> str:
    # llhttp's reasons are its own words ("Invalid header value char") and quote nothing of it.
    text = str(error)
    return text[:1].lower() + text[1:] if text else "not HTTP"
