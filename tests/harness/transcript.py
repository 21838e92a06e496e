r"""HTTP messages written as people read them, and patterns of what must arrive to the byte.

`http` turns an indented block into bytes: every line ends in CRLF; a backslash at the end of the
last line leaves its CRLF off, as a body needs. Lines that begin with `@` stand for what the sidecar
always adds, so that tables show what differs:

    @first-hop HOST     the forwarding fields when the client is the first hop
    @ids                X-Request-Id and traceparent, both made here
    @answered           what every answer of the model `stable` is given

Names in angle brackets match anything of their kind; the same name is the same text wherever it
stands (`<id>` at the model is `<id>` at the client). Every byte of every line counts, and the order
of fields of one name; where fields of different names stand does not (RFC 9110 5.3).
"""

from __future__ import annotations

import re
from textwrap import dedent

EXPANSIONS = {
    "first-hop": (
        "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Proto: http\nVia: 1.1 sidecar\n"
        "X-Forwarded-Host: {}"
    ),
    "ids": "X-Request-Id: <id>\ntraceparent: 00-<trace>-<span>-01",
    "answered": "Via: 1.1 sidecar\nX-Sidecar-Model: stable\nX-Request-Id: <id>",
}
KINDS = {
    # RFC 9562 5.7: version 7, variant 10.
    "id": rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "trace": rb"(?!0{32})[0-9a-f]{32}",
    "span": rb"(?!0{16})[0-9a-f]{16}",
    "length": rb"[0-9]+",
    "message": rb"[^\"\r\n]+",
    "model": rb"127\.0\.0\.1:[0-9]+",
}
_LINE = re.compile(r"^@([a-z-]+)(?: (.*))?$", re.MULTILINE)
# A start line may stand right behind a body.
_START = re.compile(rb" HTTP/1\.1$|HTTP/1\.1 [0-9]{3}(?: |$)")
_NAME = re.compile(rb"<([a-z]+)([0-9]*)>")


def http(block: str) -> bytes:
    """The bytes that the block stands for; see the module's text."""
    text = dedent(block).removeprefix("\n")
    text = _LINE.sub(lambda found: EXPANSIONS[found[1]].format(found[2]), text)
    return text.rstrip(" ").replace("\n", "\r\n").encode("latin-1")


class Names:
    """What the names of a case stand for, as it was first met."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}

    def assert_match(self, pattern: bytes, data: bytes) -> None:
        """The data is exactly what the pattern says; names not met before are learned."""
        pattern, data = _in_order(pattern), _in_order(data)
        regex = b""
        at = 0
        new: list[bytes] = []
        for found in _NAME.finditer(pattern):
            regex += re.escape(pattern[at : found.start()])
            at = found.end()
            name = found[0]
            if name in self._known:
                regex += re.escape(self._known[name])
            elif name in new:
                regex += b"(?P=n%d)" % new.index(name)
            else:
                regex += b"(?P<n%d>%b)" % (len(new), KINDS[found[1].decode()])
                new.append(name)
        regex += re.escape(pattern[at:])
        match = re.fullmatch(regex, data)
        assert match is not None, f"expected:\n{_shown(pattern)}\ngot:\n{_shown(data)}"
        self._known.update({name: match[f"n{number}"] for number, name in enumerate(new)})


def _in_order(data: bytes) -> bytes:
    """The data with the fields of each head sorted by their names."""
    ordered: list[bytes] = []
    lines = data.split(b"\r\n")
    while lines:
        line = lines.pop(0)
        ordered.append(line)
        if _START.search(line):
            end = lines.index(b"") if b"" in lines else len(lines)
            ordered += sorted(lines[:end], key=lambda field: field.partition(b":")[0].lower())
            del lines[:end]
    return b"\r\n".join(ordered)


def _shown(data: bytes) -> str:
    return data.decode("latin-1").replace("\r\n", "␍␊\n")
