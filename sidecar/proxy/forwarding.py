"""The heads this proxy writes: requests to models, answers to clients, copies to shadows.

What is added, and why: `Via` (RFC 9110 7.6.3), `X-Forwarded-For/-Proto/-Host` (the client's address is
appended, the others are set when absent), `X-Request-Id` (kept when it is 1 to 128 visible ASCII bytes, else
a UUIDv7), W3C `traceparent` (a new parent id per hop; restarted when invalid). A request without trace
context starts a *sampled* trace: with flags 00 a model whose sampler follows its parent would fall silent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from sidecar.proxy.head import Field, RequestHead, ResponseHead

REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header: a future version may carry more after the flags.
TRACEPARENT: Final = re.compile(
    rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})|"
    rb"(?!00|ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?"
)
VIA: Final = b"1.1 sidecar"
SHADOW_MARK: Final = b"X-Sidecar-Shadow: 1\r\n"

RandomBits = Callable[[int], int]


def uuid7(random_bits: RandomBits) -> bytes:
    """A new UUID version 7 (RFC 9562 5.7): 48 bits of Unix milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    bits = random_bits(74)
    text = b"%012x7%03x%016x" % (milliseconds, bits >> 62, (bits & (1 << 62) - 1) | 1 << 63)
    return b"-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def request_id(head: RequestHead, random_bits: RandomBits) -> bytes:
    """The client's request id when it is fit to be repeated, else a new one."""
    given = head.special.get(9)
    if given is not None and REQUEST_ID.fullmatch(given) is not None:
        return given
    return uuid7(random_bits)


def _trace(head: RequestHead, random_bits: RandomBits) -> bytes:
    given = head.special.get(10)
    if given is not None:
        # RFC-like strictness: one field, lower case, non-zero ids.
        found = TRACEPARENT.fullmatch(given)
        if found is not None:
            trace_id = found[1] or found[3]
            state = head.special.get(11)
            if state is not None:
                head.fields += (b"tracestate", b": ", state, b"\r\n")
            return b"00-%b-%016x-%b" % (trace_id, random_bits(64) | 1, found[2] or found[4])
    return b"00-%032x-%016x-01" % (random_bits(128) | 1, random_bits(64) | 1)


class Hop:
    """What is the same for all requests of one client connection."""

    __slots__ = ("address", "fresh", "proto")

    def __init__(self, *, address: str, tls: bool) -> None:
        self.address = address.encode("ascii", "replace")
        self.proto = b"https" if tls else b"http"
        # The three fields as they are when the client is the first hop.
        self.fresh = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nVia: %b\r\n" % (
            self.address,
            self.proto,
            VIA,
        )


def upstream_head(
    head: RequestHead, hop: Hop, *, request_id: bytes, default_host: bytes, random_bits: RandomBits
) -> bytes:
    """The head of the request as a model gets it, its empty line included."""
    host = head.host if head.host is not None else default_host
    special = head.special
    trace = _trace(head, random_bits)
    fields = head.fields
    fields[0] = b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, head.target, host)
    if 12 in special or 13 in special or 14 in special or 15 in special:
        fields.append(_later_hop(special, hop, host))
    else:
        fields += (hop.fresh, b"X-Forwarded-Host: ", host, b"\r\n")
    if head.content_length >= 0:
        fields.append(b"Content-Length: %d\r\n" % head.content_length)
    elif head.chunked:
        fields.append(b"Transfer-Encoding: chunked\r\n")
    if head.expect_continue:
        fields.append(b"Expect: 100-continue\r\n")
    if head.upgrade is not None:
        fields += (b"Connection: Upgrade\r\nUpgrade: ", head.upgrade, b"\r\n")
    fields += (b"X-Request-Id: ", request_id, b"\r\ntraceparent: ", trace, b"\r\n\r\n")
    return b"".join(fields)


def _later_hop(special: dict[int, bytes], hop: Hop, host: bytes) -> bytes:
    """The forwarding fields when a proxy before us has set some of them."""
    forwarded_for = special.get(Field.FORWARDED_FOR)
    via = special.get(Field.VIA)
    return (
        b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nVia: %b\r\nX-Forwarded-Host: %b\r\n"
        % (
            hop.address if not forwarded_for else forwarded_for + b", " + hop.address,
            special.get(Field.FORWARDED_PROTO) or hop.proto,
            VIA if not via else via + b", " + VIA,
            special.get(Field.FORWARDED_HOST) or host,
        )
    )


def client_head(
    head: ResponseHead, model_line: bytes, request_id: bytes, *, chunked: bool, connection: bytes
) -> bytes:
    """The head of an answer as the client gets it.

    `model_line` is the field line that names the model, `connection` a Connection field line or empty;
    `chunked` says whether *we* frame the body in chunks.
    """
    fields = head.fields
    fields[0] = head.start
    if head.content_length >= 0:
        fields.append(b"Content-Length: %d\r\n" % head.content_length)
    elif chunked:
        fields.append(b"Transfer-Encoding: chunked\r\n")
    via = head.special.get(12)
    if via is not None:
        fields += (b"Via: ", via, b", 1.1 sidecar\r\n")
    else:
        fields.append(b"Via: 1.1 sidecar\r\n")
    fields += (connection, model_line, b"X-Request-Id: ", request_id, b"\r\n\r\n")
    return b"".join(fields)


def interim_head(head: ResponseHead) -> bytes:
    """A 1xx answer, passed on (RFC 9110 15.2)."""
    head.fields[0] = head.start
    return b"".join((*head.fields, b"\r\n"))


def switching_head(head: ResponseHead, model_line: bytes, request_id: bytes) -> bytes:
    """A 101 answer, or the 2xx answer to CONNECT: after it both sides speak another protocol."""
    head.fields[0] = head.start
    upgrade = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade if head.upgrade else b""
    return b"".join((*head.fields, upgrade, model_line, b"X-Request-Id: ", request_id, b"\r\n\r\n"))


class HeaderRewrite:
    """Header edits for one shadow, prepared once."""

    __slots__ = ("_dropped", "_set")

    def __init__(self, *, set_fields: dict[str, str], remove: tuple[str, ...]) -> None:
        self._dropped = frozenset(name.lower().encode() for name in (*remove, *set_fields))
        self._set = b"".join(
            b"%b: %b\r\n" % (name.encode(), value.encode("latin-1"))
            for name, value in set_fields.items()
        )

    def apply(self, head: bytes) -> bytes:
        """The primary's request head with the shadow's mark and edits. Framing fields stay."""
        if self._dropped:
            start, *lines = head[:-4].split(b"\r\n")
            kept = [line for line in lines if line.partition(b":")[0].lower() not in self._dropped]
            head = b"\r\n".join((start, *kept)) + b"\r\n\r\n"
        return b"%b%b%b\r\n" % (head[:-2], self._set, SHADOW_MARK)
