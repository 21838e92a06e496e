"""From the bytes of an exchange that is over to what a codec reads.

Most bodies are JSON and look like it: they are read as such at once, and only one that turns out to
be something else is read again by what its head says. So the heads of most exchanges are never
looked into.

Must not know: columns, counters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sidecar.monitor.capture import Pieces
from sidecar.monitor.exchanges import Ended, Request
from sidecar.monitor.fields import FieldFinder
from sidecar.payload import (
    Body,
    Codec,
    Inputs,
    Outputs,
    PayloadSettings,
    Reason,
    StreamReader,
    Undecodable,
    stream_reader,
)

_CLOSED_BY: Final = {ord("{"): ord("}"), ord("["): ord("]")}
_LONGEST_LENGTH: Final = 12  # digits of Inference-Header-Content-Length

Dechunk = Callable[[bytes], bytes]
"""Takes the chunked coding, as the proxy itself writes it, away from a whole body."""


class BodyReader:
    """Reads requests and answers with one codec. Raises Undecodable."""

    __slots__ = ("_answers", "_dechunk", "_requests", "_settings", "codec")

    def __init__(self, settings: PayloadSettings, codec: Codec, dechunk: Dechunk) -> None:
        self._settings = settings
        self.codec = codec
        self._dechunk = dechunk
        self._requests = _Describer()
        self._answers = _Describer()

    def inputs(self, request: Request) -> Inputs:
        """What a request says."""
        if request.unread is not None:
            raise Undecodable(request.unread, "it was tried before")
        if not request.complete:
            raise Undecodable(Reason.INCOMPLETE, "the request ended early")
        wire, body_at, pieces = request.wire, request.body_at, request.pieces
        if pieces is None:
            data = wire[body_at:]
            if request.chunked:
                data = self._dechunk(data)
        else:
            data = _whole(pieces)
        read = self.codec.read_request
        plain = Body(data, request.path)
        if looks_like_json(data):
            try:
                return read(plain)
            except Undecodable:
                described = self._requests.describe(plain, wire, body_at)
                if described is plain:
                    raise
        else:
            described = self._requests.describe(plain, wire, body_at)
        return read(described)

    def outputs(self, ended: Ended, inputs: Inputs) -> Outputs:
        """What an answer says."""
        data, capture = ended.answer, ended.capture
        if capture is not None:
            if capture.reader is not None:
                return capture.reader.finish()
            data = data or _whole(capture.answer)
        read = self.codec.read_response
        plain = Body(data, ended.request.path)
        if looks_like_json(data):
            try:
                return read(plain, inputs)
            except Undecodable:
                described = self._answers.describe(plain, ended.answer_head, len(ended.answer_head))
                if described is plain:
                    raise
        else:
            described = self._answers.describe(plain, ended.answer_head, len(ended.answer_head))
        return read(described, inputs)

    def stream(self, head: bytes, started_ns: int) -> StreamReader | None:
        """A reader of the stream of events that follows this head; None when there is none."""
        encoding = FieldFinder(b"content-encoding").find(head, len(head)) or b""
        return stream_reader(self._settings, started_ns=started_ns, content_encoding=encoding)


def _whole(pieces: Pieces) -> bytes:
    if isinstance(pieces.loss, Reason):
        raise Undecodable(pieces.loss, "it was not kept")
    return pieces.data


def looks_like_json(data: bytes) -> bool:
    """Whether it begins and ends like an object or an array."""
    return data != b"" and _CLOSED_BY.get(data[0]) == data[-1]


class _Describer:
    """Looks up in a head what a codec wants to know of a body."""

    __slots__ = ("_encoding", "_json_bytes", "_type")

    def __init__(self) -> None:
        self._type = FieldFinder(b"content-type")
        self._encoding = FieldFinder(b"content-encoding")
        self._json_bytes = FieldFinder(b"inference-header-content-length")

    def describe(self, body: Body, head: bytes, end: int) -> Body:
        """The body as its head describes it; the same when that adds nothing to JSON."""
        content_type = self._type.find(head, end) or b""
        encoding = self._encoding.find(head, end) or b""
        length = self._json_bytes.find(head, end)
        json_bytes = None
        if length is not None and length.isdigit() and len(length) <= _LONGEST_LENGTH:
            json_bytes = int(length)
        if not encoding and json_bytes is None and content_type[:16].lower() == b"application/json":
            return body
        if not (content_type or encoding or json_bytes is not None):
            return body
        return Body(body.data, body.path, content_type, encoding, json_bytes)


def is_event_stream(head: bytes) -> bool:
    """Whether the answer with this head is a stream of events, to be read as it comes."""
    found = FieldFinder(b"content-type").find(head, len(head))
    return found is not None and found.lower().startswith(b"text/event-stream")
