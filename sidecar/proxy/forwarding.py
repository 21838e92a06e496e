"""The heads this proxy writes: requests to models, answers to clients, copies to shadows.

What is added, and why: `Via` (RFC 9110 7.6.3), `X-Forwarded-For/-Proto/-Host` (the client's address
is appended, the others are set when absent), `X-Request-Id` (kept when it is 1 to 128 visible ASCII
bytes, else a UUIDv7), W3C `traceparent` (a new parent id per hop; restarted when invalid). A
request without trace context starts a *sampled* trace: with flags 00 a model whose sampler follows
its parent would fall silent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Final

from sidecar.proxy.fields import Field
from sidecar.proxy.head import RequestHead, ResponseHead

# A later version is read as far as known:
# https://www.w3.org/TR/trace-context/#versioning-of-traceparent.
LATER_TRACEPARENT: Final = re.compile(
    rb"(?!00|ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?"
)
_TRACE_ID_AT: Final = len(b"00-")
_OWN_TRACE_BYTES: Final = 55 + len(b"\r\n\r\n")  # of one that was not there, and so is last
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16
SPAN_BLOCK: Final = 256  # span ids per draw of random bits
VIA: Final = b"1.1 sidecar"

RandomBits = Callable[[int], int]


def uuid7(random_bits: RandomBits) -> bytes:
    """A new UUID version 7 (RFC 9562 5.7): 48 bits of Unix milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    bits = random_bits(74)
    text = b"%012x7%03x%016x" % (milliseconds, bits >> 62, (bits & (1 << 62) - 1) | 1 << 63)
    return b"-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class Ids:
    """Names for requests and spans of one worker. Span ids are cut from blocks of random digits."""

    __slots__ = ("_bits", "span")

    def __init__(self, random_bits: RandomBits) -> None:
        self._bits = random_bits
        self.span = _digits(random_bits).__next__  # 16 hexadecimal digits

    def uuid7(self) -> bytes:
        """A new request id."""
        return uuid7(self._bits)


def _digits(random_bits: RandomBits) -> Iterator[bytes]:
    while True:
        block = random_bits(SPAN_BLOCK * 64).to_bytes(SPAN_BLOCK * 8).hex().encode()
        for at in range(0, len(block), 16):
            yield block[at : at + 16]


def request_id(head: RequestHead, ids: Ids) -> bytes:
    """The client's request id when it is fit to be repeated, else a new one."""
    given = head.special.get(9)
    # llhttp let no control pass but HTAB, so this leaves visible ASCII.
    if given and len(given) <= 128 and given.isascii() and b" " not in given and b"\t" not in given:
        return given
    return ids.uuid7()


def _trace(head: RequestHead, ids: Ids) -> bytes:
    """The trace context of the next hop."""
    given = head.special.get(10)
    if given is not None:
        if (
            len(given) == 55
            and given[:3] == b"00-"
            and given[35] == given[52] == 45
            and given.translate(None, b"0123456789abcdef") == b"---"
            and given[3:35] != _NO_TRACE
            and given[36:52] != _NO_SPAN
        ):
            return given[:36] + ids.span() + given[52:]
        found = LATER_TRACEPARENT.fullmatch(given)
        if found is not None:
            return b"00-%b-%b-%b" % (found[1], ids.span(), found[2])
    if 11 in head.special:
        head.drop(b"tracestate")  # it belongs to a trace that ends here, or to none
    return b"00-%b%b-%b-01" % (ids.span(), ids.span(), ids.span())


class Hop:
    """What is the same for all requests of one client connection."""

    __slots__ = ("address", "fresh", "peer", "proto")

    def __init__(self, *, peer: str, tls: bool) -> None:
        self.peer = peer
        self.address = peer.encode("ascii", "replace")
        self.proto = b"https" if tls else b"http"
        # The fields as they are when the client is the first hop; the host follows.
        self.fresh = (
            b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nVia: %b\r\nX-Forwarded-Host: "
        ) % (self.address, self.proto, VIA)


def upstream_head(
    head: RequestHead, hop: Hop, *, request_id: bytes, default_host: bytes, ids: Ids
) -> bytes:
    """The head of the request as a model gets it, its empty line included."""
    special = head.special
    trace = _trace(head, ids)
    given_id = special.get(9)
    if given_id is not None and given_id != request_id:
        head.drop(b"x-request-id")
    kept = head.kept
    at = head.trace_at
    pieces = [kept[:at], trace, kept[at + len(special[10]) :]] if at >= 0 else [kept]
    host = head.host
    if host is None:  # RFC 9112 3.2: HTTP/1.0 may leave it out, 1.1 may not
        host = default_host
        pieces += (b"Host: ", host, b"\r\n")
    if 12 in special or 13 in special or 14 in special or 15 in special:
        pieces.append(_later_hop(special, hop, host))
    else:
        pieces += (hop.fresh, host)
    if head.chunked:
        pieces.append(b"\r\nTransfer-Encoding: chunked")
    if head.expect_continue:
        pieces.append(b"\r\nExpect: 100-continue")
    if head.upgrade is not None:
        pieces += (b"\r\nConnection: Upgrade\r\nUpgrade: ", head.upgrade)
    if given_id != request_id:
        pieces += (b"\r\nX-Request-Id: ", request_id)
    if at < 0:
        pieces += (b"\r\ntraceparent: ", trace)
    pieces.append(b"\r\n\r\n")
    return b"".join(pieces)


def trace_at(head: RequestHead, end: int) -> int:
    """Where the trace's id is in the request as a model gets it, whose head ends at `end`."""
    begin = head.trace_at if head.trace_at >= 0 else end - _OWN_TRACE_BYTES
    return begin + _TRACE_ID_AT


def _later_hop(special: dict[int, bytes], hop: Hop, host: bytes) -> bytes:
    """The forwarding fields when a proxy before us has set some of them."""
    forwarded_for = special.get(Field.FORWARDED_FOR)
    via = special.get(Field.VIA)
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nVia: %b\r\nX-Forwarded-Host: %b" % (
        hop.address if not forwarded_for else forwarded_for + b", " + hop.address,
        special.get(Field.FORWARDED_PROTO) or hop.proto,
        VIA if not via else via + b", " + VIA,
        special.get(Field.FORWARDED_HOST) or host,
    )


def client_head(
    head: ResponseHead, model_line: bytes, request_id: bytes, *, chunked: bool, connection: bytes
) -> bytes:
    """The head of an answer as the client gets it.

    `model_line` is the field line that names the model, `connection` a Connection field line or
    empty; `chunked` says whether *we* frame the body in chunks.
    """
    pieces = [head.kept]
    if chunked:
        pieces.append(b"Transfer-Encoding: chunked\r\n")
    via = head.special.get(12)
    if via is not None:
        pieces += (b"Via: ", via, b", 1.1 sidecar\r\n")
    else:
        pieces.append(b"Via: 1.1 sidecar\r\n")
    pieces += (connection, model_line, b"X-Request-Id: ", request_id, b"\r\n\r\n")
    return b"".join(pieces)


def interim_head(head: ResponseHead) -> bytes:
    """A 1xx answer, passed on (RFC 9110 15.2)."""
    return b"".join((head.kept, b"\r\n"))


def switching_head(head: ResponseHead, model_line: bytes, request_id: bytes) -> bytes:
    """A 101 answer: after it both sides speak another protocol."""
    upgrade = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade if head.upgrade else b""
    return b"".join((head.kept, upgrade, model_line, b"X-Request-Id: ", request_id, b"\r\n\r\n"))


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
        """The primary's request head with the shadow's edits. Framing fields stay."""
        start, *lines = head[:-2].splitlines(keepends=True)
        kept = [line for line in lines if line.partition(b":")[0].lower() not in self._dropped]
        return b"".join((start, *kept, self._set, b"\r\n"))
