"""Message heads: from raw bytes to what the proxy must know, with llhttp's strictness and our own.

A head arrives here whole, from the first byte of its start line to its empty line, and each head gets a
fresh llhttp parser: bodies are framed by `chunked` and by counting, so that the end of a message is
always known to the byte and nothing a parser remembers outlives a message.

What llhttp refuses: bare CR and LF, NUL and other controls in fields, obs-fold, white space before the
colon, Content-Length with Transfer-Encoding, repeated or malformed Content-Length, unknown methods.
What it lets pass and is refused here: protocols other than HTTP/1.0 and 1.1, more than one space in the
request line, target forms that do not fit the method, bytes outside ASCII in the target, missing, repeated
or malformed Host, codings other than `chunked`, Transfer-Encoding in HTTP/1.0.

Fields are kept as flat pieces `[name, b": ", value, b"\\r\\n", ...]`, ready to be joined: in their order,
with their spelling, less those that end at this hop. Names are looked up as they are spelled, so that the
usual spellings cost one dictionary access.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from httptools import (
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
    HttpResponseParser,
)

from sidecar.config.settings import Limits
from sidecar.errors import ClientError, UpstreamError

REQUEST_LINE: Final = re.compile(rb"([A-Z][A-Z-]*) ([\x21-\x22\x24-\x7e]+) HTTP/1\.([01])\r\n")
STATUS_LINE: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n"
)
ABSOLUTE_TARGET: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(/?)([^?]*(?:\?.*)?)")
# RFC 3986 3.2.2: reg-name, IPv4address or [IP-literal], and an optional port.
AUTHORITY: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::[0-9]{0,5})?"
)
MAX_LEARNED_NAMES: Final = 4096  # spellings remembered per parser; further ones are looked up anew


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


REQUEST_FIELDS: Final[dict[bytes, int]] = {
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
RESPONSE_FIELDS: Final[dict[bytes, int]] = {
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


class FieldNames:
    """Field names as they are spelled on the wire, and what each is to the proxy."""

    __slots__ = ("_by_lower", "spelled")

    def __init__(self, by_lower: dict[bytes, int]) -> None:
        self._by_lower = by_lower
        self.spelled: dict[bytes, int] = {}
        for name, kind in by_lower.items():
            self.spelled[name] = int(kind)
            self.spelled[name.title()] = int(kind)

    def learn(self, name: bytes) -> int:
        """What a spelling not seen before is; remembered while there is room."""
        kind = int(self._by_lower.get(name.lower(), Field.ORDINARY))
        if len(self.spelled) < MAX_LEARNED_NAMES:
            self.spelled[name] = kind
        return kind


class _Head:
    """What both kinds of heads share; llhttp calls `on_header` for each field line."""

    # Class attributes are the defaults: a head sets only what it meets.
    minor = 1
    content_length = -1  # -1: not given
    chunked = False
    close = False
    upgrade: bytes | None = None

    def __init__(self, names: FieldNames) -> None:
        self.names = names
        self.kinds = names.spelled
        self.fields: list[bytes] = [b""]  # place 0 is for the start line
        self.special: dict[int, bytes] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        kind = self.kinds.get(name)
        if kind is None:
            kind = self.names.learn(name)
        if kind == 0:
            self.fields += (name, b": ", value, b"\r\n")
            return
        special = self.special
        if kind == 1:
            self.fields += (name, b": ", value, b"\r\n")
            self._watch(name.lower(), value)
        elif kind in special:
            # RFC 9110 5.3: repeated fields combine. Where repetition is an error it shows in the value.
            special[kind] += b", " + value
        else:
            special[kind] = value

    def _watch(self, name: bytes, value: bytes) -> None:
        raise NotImplementedError

    def drop_named(self, tokens: list[bytes]) -> None:
        """Remove the fields that Connection names (RFC 9110 7.6.1)."""
        named = {token for token in tokens if token not in (b"close", b"keep-alive", b"upgrade")}
        if not named:
            return
        fields = self.fields
        self.fields = fields[:1]
        for at in range(1, len(fields), 4):
            if fields[at].lower() not in named:
                self.fields += fields[at : at + 4]


class RequestHead(_Head):
    """A request's head. `path` is the target in origin form, with its query; `host` the authority meant."""

    method = b""
    target = b""
    path = b""
    host: bytes | None = None
    expect_continue = False
    client_address = ""
    watched: dict[bytes, bytes]

    def __init__(self, names: FieldNames) -> None:
        super().__init__(names)
        self.watched = {}

    def _watch(self, name: bytes, value: bytes) -> None:
        before = self.watched.get(name)
        if before is not None:
            value = before + (b"; " if name == b"cookie" else b", ") + value
        self.watched[name] = value

    @property
    def idempotent(self) -> bool:
        """RFC 9110 9.2.2: may be repeated when no answer came."""
        return self.method in (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE")


class ResponseHead(_Head):
    """A response's head. `start` is its status line as the client gets it."""

    status = 0
    start = b""
    bodiless = False  # RFC 9112 6.3: answers to HEAD, 1xx, 204 and 304 end with their head
    keep_alive_s: float | None = None  # what the model's Keep-Alive field promises


class RequestParser:
    """Reads request heads; knows which field names routing wants to see."""

    def __init__(self, watched: frozenset[bytes], *, limits: Limits) -> None:
        names = dict(REQUEST_FIELDS)
        self._watched_special = tuple(
            (names[name], name)
            for name in watched
            if names.get(name, Field.DROPPED) != Field.DROPPED
        )
        names.update((name, Field.WATCHED) for name in watched if name not in names)
        self._names = FieldNames(names)
        self._header_count = limits.header_count
        self._line_bytes = limits.request_line + 2

    def parse(self, raw: bytes) -> RequestHead:
        """Read one head, `raw` ending in its empty line. Raises ClientError."""
        line = REQUEST_LINE.match(raw)
        if (line.end() if line is not None else raw.find(b"\n")) > self._line_bytes:
            raise ClientError("the request line is too long", code="target_too_long", status=414)
        if line is None:
            raise ClientError("the request line is not HTTP/1.1 or HTTP/1.0")
        head = RequestHead(self._names)
        try:
            HttpRequestParser(head).feed_data(raw)
        except HttpParserUpgrade:
            pass  # a CONNECT or an upgrade: the head is complete all the same
        except HttpParserError as error:
            raise ClientError(f"malformed request head: {_reason(error)}") from None
        head.method, target, minor = line.groups()
        special = head.special
        if len(special) + len(head.fields) // 4 > self._header_count:
            raise ClientError("too many header fields", code="too_many_fields", status=431)
        host = special.get(3)
        if minor == b"0":
            head.minor = 0
            head.close = True
        elif host is None:
            raise ClientError("an HTTP/1.1 request needs a Host field")
        if host is not None:
            if AUTHORITY.fullmatch(host) is None:
                raise ClientError("Host is repeated or malformed")
            head.host = host
        head.target = target
        if target[0] == 47:  # "/": the origin form, almost always
            head.path = target
        else:
            _other_target_form(head, target)
        length = special.get(4)
        if length is not None:
            head.content_length = int(length)
        if 5 in special:
            _request_coding(head, special)
        if 6 in special:
            _request_connection(head, special[6])
        if 7 in special and head.minor and special[7].lower() == b"100-continue":
            head.expect_continue = True
        if self._watched_special:
            for kind, name in self._watched_special:
                if kind in special:
                    head.watched[name] = special[kind]
        return head


def _other_target_form(head: RequestHead, target: bytes) -> None:
    """RFC 9112 3.2.2 to 3.2.4: absolute-form, authority-form for CONNECT, asterisk-form for OPTIONS."""
    if head.method == b"CONNECT":
        if AUTHORITY.fullmatch(target) is None or b":" not in target:
            raise ClientError("CONNECT needs an authority as its target")
        head.path = b"/"
        return
    if target == b"*" and head.method == b"OPTIONS":
        head.path = target
        return
    absolute = ABSOLUTE_TARGET.fullmatch(target)
    if absolute is None:
        raise ClientError("the request target has a form that its method does not allow")
    # RFC 9112 3.2.2: the authority of an absolute target replaces Host; userinfo is never passed on.
    host = absolute[1].rpartition(b"@")[2]
    if AUTHORITY.fullmatch(host) is None:
        raise ClientError("the request target has no valid authority")
    head.host = host
    head.target = head.path = b"/" + absolute[3]


def _request_coding(head: RequestHead, special: dict[int, bytes]) -> None:
    if head.minor == 0:
        raise ClientError("Transfer-Encoding is not defined for HTTP/1.0")  # RFC 9112 6.1
    if Field.CONTENT_LENGTH in special:
        raise ClientError("Content-Length beside Transfer-Encoding")  # RFC 9112 6.3
    if special[Field.TRANSFER_ENCODING].strip().lower() != b"chunked":
        raise ClientError(
            "only the transfer coding `chunked` is understood", code="unknown_coding", status=501
        )
    head.chunked = True


def _request_connection(head: RequestHead, value: bytes) -> None:
    tokens = [token.strip(b" \t") for token in value.lower().split(b",")]
    if b"close" in tokens:
        head.close = True
    elif head.minor == 0 and b"keep-alive" in tokens:
        head.close = False
    if b"upgrade" in tokens and head.minor and not head.chunked and head.content_length <= 0:
        upgrade = head.special.get(Field.UPGRADE)
        # RFC 9113 3.1: h2c is obsolete, and a tunnel for it would carry requests past every check here.
        if upgrade is not None and upgrade.lower() not in (b"h2c", b"h2"):
            head.upgrade = upgrade
    head.drop_named(tokens)


class ResponseParser:
    """Reads response heads of models."""

    def __init__(self) -> None:
        self._names = FieldNames(RESPONSE_FIELDS)

    def parse(self, raw: bytes, *, head_request: bool) -> ResponseHead:
        """Read one head, `raw` ending in its empty line. Raises UpstreamError."""
        line = STATUS_LINE.match(raw)
        if line is None:
            raise broken_response("its status line is not HTTP/1.1 or HTTP/1.0")
        head = ResponseHead(self._names)
        try:
            HttpResponseParser(head).feed_data(raw)
        except HttpParserUpgrade:
            pass
        except HttpParserError as error:
            raise broken_response(_reason(error)) from None
        status = head.status = int(line[2])
        special = head.special
        if line[1] == b"0":
            head.minor = 0
            head.close = True
            head.start = b"HTTP/1.1 " + raw[9 : line.end()]
        else:
            head.start = line[0]
        length = special.get(4)
        if length is not None:
            head.content_length = int(length)
        if 5 in special:
            if length is not None:
                raise broken_response("Content-Length beside Transfer-Encoding")
            if head.minor == 0 or special[5].strip().lower() != b"chunked":
                raise broken_response("a transfer coding other than `chunked`")
            head.chunked = True
        if 6 in special:
            tokens = [token.strip(b" \t") for token in special[6].lower().split(b",")]
            if b"close" in tokens:
                head.close = True
            elif head.minor == 0 and b"keep-alive" in tokens:
                head.close = False
            head.drop_named(tokens)
        if 16 in special:
            head.keep_alive_s = _keep_alive_timeout(special[16])
        if status == 101:
            head.upgrade = special.get(Field.UPGRADE)
        if head_request or status in (204, 304) or status < 200:
            head.bodiless = True
            head.chunked = False
        return head


def broken_response(why: str) -> UpstreamError:
    """The model's answer breaks HTTP: `why` completes the sentence."""
    return UpstreamError(f"the model's answer is malformed: {why}", code="upstream_broken")


def _keep_alive_timeout(value: bytes) -> float | None:
    found = re.search(rb"timeout=([0-9]{1,6})", value, re.IGNORECASE)
    return float(found[1]) if found else None


def _reason(error: HttpParserError) -> str:
    # llhttp's reasons are its own words ("Invalid header value char"): they quote nothing of the message.
    text = str(error)
    return text[:1].lower() + text[1:] if text else "not HTTP"
