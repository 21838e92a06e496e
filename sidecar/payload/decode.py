"""From the bytes of a body to a document, at a cost that its sender cannot choose.

Three promises, each with a test that tries to break it:

- What a body expands to is bounded while it expands; a bomb ends at the bound, not in memory.
- JSON is read by orjson. What orjson refuses although model servers send it is read a second time,
  slower: `NaN` and `Infinity` (TensorFlow Serving, Python's own `json`), numbers too large for a
  float, a byte order mark. NaN becomes None, since it says "no value"; infinities stay.
- A number of 100,000 digits is a float, for CPython's limit on `int()` raises (and its absence
  would take quadratic time); nesting of any depth is `Reason.TOO_DEEP`, never a RecursionError.

Must not know: protocols, fields.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import Final

import numpy as np
import orjson

from sidecar.payload.extract import Body, Undecodable
from sidecar.payload.names import Reason

# RFC 9110 8.4.1; `x-gzip` is to be read as `gzip`. An empty list element says nothing.
_IDENTITY: Final = frozenset({b"", b"identity"})
_GZIP: Final = frozenset({b"gzip", b"x-gzip"})
_DEFLATE: Final = b"deflate"
_MOST_CODINGS: Final = 2  # nobody compresses twice but by mistake; more is an attack
_MOST_MEMBERS: Final = 16  # of a gzip body (RFC 1952 2.2): empty ones cost time and yield nothing
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_RAW_WINDOW: Final = -zlib.MAX_WBITS

_REFUSED_BY_ORJSON: Final = re.compile(rb"NaN|Infinity|[0-9]{300}|[eE]\+?[0-9]{3}|\A\xef\xbb\xbf")
_BOM: Final = b"\xef\xbb\xbf"
_MOST_LEVELS: Final = 256  # of the second reading, whose recursion shares the interpreter's stack
_LONGEST_INTEGER: Final = 20  # characters; as orjson: beyond 64 bits a number is a float

_QUOTE: Final = ord('"')
_STEPS: Final = np.zeros(256, dtype=np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_STEPS.flags.writeable = False


def opened(body: Body, max_bytes: int) -> tuple[object, bytes | memoryview]:
    """The document of a body, and the binary tensors that follow it. Raises Undecodable."""
    content = body.data
    if body.content_encoding or len(content) > max_bytes:
        content = content_of(body, max_bytes)
    tail: bytes | memoryview = b""
    if body.json_bytes is not None:
        content, tail = _parts(content, body.json_bytes)
    return document_of(content), tail


def document_of(data: bytes | memoryview) -> object:
    """The JSON document in these bytes. Raises Undecodable."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _read_again(bytes(data), error.pos)


def content_of(body: Body, max_bytes: int) -> bytes | memoryview:
    """The content without its codings, of at most `max_bytes`. Raises Undecodable."""
    data = body.data
    if len(data) > max_bytes:
        raise Undecodable(Reason.TOO_LARGE, f"more than {max_bytes} bytes")
    codings = [coding.strip().lower() for coding in body.content_encoding.split(b",")]
    codings = [coding for coding in codings if coding not in _IDENTITY]
    if len(codings) > _MOST_CODINGS:
        raise Undecodable(Reason.ENCODING, f"{len(codings)} content codings")
    for coding in reversed(codings):  # RFC 9110 8.4: listed in the order in which they were applied
        if coding in _GZIP:
            data = _gunzipped(data, max_bytes)
        elif coding == _DEFLATE:
            data = _inflated(data, max_bytes)
        else:
            raise Undecodable(Reason.ENCODING, "a content coding other than gzip and deflate")
    return data


def _parts(content: bytes | memoryview, json_bytes: int) -> tuple[memoryview, memoryview]:
    if not 0 <= json_bytes <= len(content):
        raise Undecodable(Reason.SHAPE, "more JSON announced than there are bytes")
    view = memoryview(content)  # what is cut from it is not copied
    return view[:json_bytes], view[json_bytes:]


def _read_again(data: bytes, failed_at: int) -> object:
    """What orjson refused, with more patience. Raises Undecodable when it is no JSON at all."""
    if deepest_nesting(data) > _MOST_LEVELS:
        raise Undecodable(Reason.TOO_DEEP, f"nested more than {_MOST_LEVELS} levels deep")
    if not _REFUSED_BY_ORJSON.search(data):
        raise Undecodable(Reason.NOT_JSON, f"no JSON from character {failed_at} on")
    try:
        text = data.removeprefix(_BOM).decode()
        document = _LENIENT.decode(text)
        if "\\u" in text:
            # Unlike orjson, `json` lets half a surrogate pair pass, a text that nobody can encode.
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:  # we were called from deep down ourselves
        raise Undecodable(Reason.TOO_DEEP, "nested too deep") from None
    except json.JSONDecodeError as error:
        raise Undecodable(Reason.NOT_JSON, f"at character {error.pos}") from None
    except UnicodeError:
        raise Undecodable(Reason.NOT_JSON, "not UTF-8") from None
    return document


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < _LONGEST_INTEGER else float(digits)


_CONSTANTS: Final = {"NaN": None, "Infinity": float("inf"), "-Infinity": float("-inf")}
_LENIENT: Final = json.JSONDecoder(parse_int=_whole, parse_constant=_CONSTANTS.__getitem__)


def deepest_nesting(data: bytes) -> int:
    """The most brackets that are open at once, outside of strings."""
    # Without escaped backslashes and then escaped quotes, every quote begins or ends a string.
    text = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = np.frombuffer(text, dtype=np.uint8)
    # How many quotes came before, modulo 256: enough to tell odd from even.
    inside = np.cumsum(marks == _QUOTE, dtype=np.uint8) & 1
    steps = _STEPS[marks] * (1 - inside.astype(np.int8))
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _gunzipped(data: bytes | memoryview, max_bytes: int) -> bytes:
    """All members of a gzip body, one after the other (RFC 1952 2.2)."""
    content = b""
    for _ in range(_MOST_MEMBERS):
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        content += _expanded(inflater, data, max_bytes - len(content))
        data = inflater.unused_data
        if not data:
            return content
    raise Undecodable(Reason.ENCODING, f"more than {_MOST_MEMBERS} gzip members")


def _inflated(data: bytes | memoryview, max_bytes: int) -> bytes:
    """`deflate` is the zlib format (RFC 9110 8.4.1.2); some senders leave its wrapper out."""
    is_zlib = len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    window = zlib.MAX_WBITS if is_zlib else _RAW_WINDOW
    return _expanded(zlib.decompressobj(window), data, max_bytes)


def _expanded(inflater: zlib._Decompress, data: bytes | memoryview, room: int) -> bytes:
    try:
        content = inflater.decompress(data, room + 1)
    except zlib.error:
        raise Undecodable(Reason.ENCODING, "broken compression") from None
    if len(content) > room:
        raise Undecodable(Reason.TOO_LARGE, "expands beyond the bound")
    if not inflater.eof:
        raise Undecodable(Reason.ENCODING, "compression without an end")
    return content
