"""Codecs of whole bodies: content codings, media types and JSON on the way to a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.payload import detect
from sidecar.payload.codec import Codec, Dialect
from sidecar.payload.decode import content_of, opened
from sidecar.payload.extract import Body, Inputs, Outputs, Undecodable
from sidecar.payload.names import Protocol, Reason
from sidecar.payload.openai_stream import OpenAIStream

_MOST_PATHS: Final = 256  # remembered with their protocol; paths come from clients


class JsonBodies:
    """Bodies that are JSON, of one dialect."""

    def __init__(self, dialect: Dialect, max_bytes: int) -> None:
        self._dialect = dialect
        self._max_bytes = max_bytes

    def read_request(self, body: Body) -> Inputs:
        """See Codec."""
        document, tail = opened(body, self._max_bytes)
        return self._dialect.inputs(document, tail)

    def read_response(self, body: Body, inputs: Inputs | None = None) -> Outputs:
        """See Codec."""
        document, tail = opened(body, self._max_bytes)
        return self._dialect.outputs(document, tail, inputs)


class CompletionBodies(JsonBodies):
    """Bodies of completions, whose answers may be events; when those came is not known here."""

    def read_response(self, body: Body, inputs: Inputs | None = None) -> Outputs:
        """See Codec."""
        if detect.by_media_type(body.content_type) is not Protocol.OPENAI:
            return super().read_response(body, inputs)
        stream = OpenAIStream(None)
        stream.feed(content_of(body, self._max_bytes), 0)
        return stream.finish()


class CsvOrJson:
    """Bodies of which the head says whether they are CSV; `otherwise` reads where it does not."""

    def __init__(self, csv: Codec, json: Codec, *, otherwise: Codec) -> None:
        self._csv = csv
        self._json = json
        self._otherwise = otherwise

    def read_request(self, body: Body) -> Inputs:
        """See Codec."""
        return self._codec(body).read_request(body)

    def read_response(self, body: Body, inputs: Inputs | None = None) -> Outputs:
        """See Codec."""
        return self._codec(body).read_response(body, inputs)

    def _codec(self, body: Body) -> Codec:
        media_type = body.content_type.lower()
        if media_type.startswith(b"text/csv"):
            return self._csv
        return self._json if b"json" in media_type else self._otherwise


class AnyBodies:
    """Bodies whose protocol is told by path, media type or keys.

    `codecs` has one per protocol that can be told, `dialects` one per protocol of JSON.
    """

    def __init__(
        self,
        codecs: Mapping[Protocol, Codec],
        dialects: Mapping[Protocol, Dialect],
        max_bytes: int,
    ) -> None:
        self._codecs = codecs
        self._dialects = dialects
        self._max_bytes = max_bytes
        self._by_path: dict[bytes, Protocol | None] = {}

    def read_request(self, body: Body) -> Inputs:
        """See Codec."""
        protocol = self._told(body)
        if protocol is not None:
            return self._codecs[protocol].read_request(body)
        document, tail = _document(body, self._max_bytes)
        return self._dialects[_known(detect.of_request(document))].inputs(document, tail)

    def read_response(self, body: Body, inputs: Inputs | None = None) -> Outputs:
        """See Codec."""
        protocol = self._told(body)
        if protocol is not None:
            return self._codecs[protocol].read_response(body, inputs)
        document, tail = _document(body, self._max_bytes)
        return self._dialects[_known(detect.of_answer(document))].outputs(document, tail, inputs)

    def _told(self, body: Body) -> Protocol | None:
        """The protocol by path or media type."""
        path = body.path
        if path in self._by_path:
            found = self._by_path[path]
        else:
            found = detect.by_path(path)
            if len(self._by_path) < _MOST_PATHS:
                self._by_path[path] = found
        return found if found is not None else detect.by_media_type(body.content_type)


def protocol_of(body: Body, max_bytes: int, *, answer: bool = False) -> Protocol:
    """What `AnyBodies` takes a request, or an answer, for. Raises Undecodable."""
    told = detect.by_path(body.path) or detect.by_media_type(body.content_type)
    if told is not None:
        return told
    document, _ = _document(body, max_bytes)
    return _known(detect.of_answer(document) if answer else detect.of_request(document))


class NoBodies:
    """Bodies that are not looked at."""

    def read_request(self, body: Body) -> Inputs:  # noqa: ARG002
        """Nothing."""
        return Inputs((), ())

    def read_response(self, body: Body, inputs: Inputs | None = None) -> Outputs:  # noqa: ARG002
        """Nothing."""
        return Outputs()


def _document(body: Body, max_bytes: int) -> tuple[object, bytes | memoryview]:
    if not body.data:
        raise Undecodable(Reason.UNKNOWN, "an empty body")
    return opened(body, max_bytes)


def _known(protocol: Protocol | None) -> Protocol:
    if protocol is None:
        raise Undecodable(Reason.UNKNOWN, "no known protocol by path or form: set `payload.codec`")
    return protocol
