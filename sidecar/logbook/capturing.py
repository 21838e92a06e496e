"""What is kept of heads and bodies: chosen first, then cut and redacted, and only then copied.

    why         request             answer              header fields and query
    FAILED      up to `full_body`   up to `max_body`    all of the request's that are not secret
    otherwise   up to `max_body`    up to `max_body`    those that `capture` names

A failed request may have to be sent again, so all that went to the model is kept, but for what is
secret. Of a body that was too large to be held at all, the length is kept.

Must not know: why an exchange was chosen, how a record is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from sidecar.config.recording import CaptureSettings
from sidecar.monitor import Ended
from sidecar.monitor.exchanges import SHORT_BYTES
from sidecar.payload import Body
from sidecar.records import Captured, Kept, Redactor, Why

Dechunk = Callable[[bytes], bytes]
"""Takes the chunked coding, as the proxy itself writes it, away from a whole body."""

Field = tuple[str, str]

_CONTENT_TYPE: Final = "content-type"
_CONTENT_ENCODING: Final = "content-encoding"
_BINARY_LENGTH: Final = "inference-header-content-length"
_NOTHING: Final = Kept()


class Capturing(Struct, frozen=True, kw_only=True):
    """How it is done on one route. `full_body` is `dead_letters.full_body`."""

    settings: CaptureSettings
    redactor: Redactor
    full_body: int
    dechunk: Dechunk

    def capture(self, ended: Ended, why: Why, *, was_read: bool) -> Captured:
        """What is kept of an exchange; `was_read`: the monitor found rows."""
        failed = why is Why.FAILED
        request_fields: Sequence[Field] = ()
        answer_fields: Sequence[Field] = ()
        if failed or self.settings.headers or self.redactor.reads_bodies:
            request_fields = fields_of(ended.request.head)
            answer_fields = fields_of(ended.answer_head)
        request = self._request(ended, request_fields, failed=failed, was_read=was_read)
        answer = self._answer(ended, answer_fields)
        return Captured(
            why=why,
            request_headers=self._headers(request_fields, failed=failed),
            query=self._query(ended.request.path, failed=failed),
            request_body=request.data,
            request_cut=request.cut,
            request_withheld=request.withheld,
            response_headers=self._headers(answer_fields, failed=False),
            response_body=answer.data,
            response_cut=answer.cut,
            response_withheld=answer.withheld,
            redacted=request.redacted or answer.redacted,
            request_redacted=request.redacted,
        )

    def _headers(self, fields: Sequence[Field], *, failed: bool) -> tuple[Field, ...]:
        redactor = self.redactor
        if failed:
            return tuple(one for one in fields if not redactor.is_secret_field(one[0]))
        if not self.settings.headers:
            return ()
        wanted = {name.lower() for name in self.settings.headers}
        return redactor.headers(one for one in fields if one[0].lower() in wanted)

    def _query(self, target: bytes, *, failed: bool) -> str | None:
        if not (failed or self.settings.query):
            return None
        _, mark, query = target.partition(b"?")
        return self.redactor.query(query.decode("latin-1")) if mark else None

    def _request(
        self, ended: Ended, fields: Sequence[Field], *, failed: bool, was_read: bool
    ) -> Kept:
        sent = ended.request
        data: bytes = sent.wire[sent.body_at :]
        if ended.pieces is not None:
            data = b"".join(ended.pieces)
        elif ended.shadow_of is not None and len(sent.wire) > SHORT_BYTES:
            data = b""  # by now it may be there or not: a large body is not held for a copy
        elif sent.chunked:
            data = self.dechunk(data)
        if not data:
            # It was larger than may be held, or there was none.
            return Kept(cut=sent.size) if sent.size else _NOTHING
        most = self.full_body if failed else int(self.settings.max_body)
        if not self.redactor.reads_bodies:
            return _beginning(data, most)
        names, expected = _names(ended, was_read=was_read)
        body = _described(data, ended.request.path, fields)
        return self.redactor.request_body(body, most, names=names, expected=expected)

    def _answer(self, ended: Ended, fields: Sequence[Field]) -> Kept:
        data = ended.answer
        if ended.answer_pieces is not None:
            data = b"".join(ended.answer_pieces)
        if not data:
            return Kept(cut=ended.answer_bytes) if ended.answer_bytes else _NOTHING
        most = int(self.settings.max_body)
        if not self.redactor.reads_bodies:
            return _beginning(data, most)
        body = _described(data, ended.request.path, fields)
        return self.redactor.response_body(body, most)


def _beginning(data: bytes, most: int) -> Kept:
    """What is kept of a body that nothing in it is secret of."""
    return Kept(data) if len(data) <= most else Kept(data[:most], len(data))


def fields_of(head: bytes) -> list[Field]:
    """The fields of a head, behind its start line; bytes read as Latin-1, so that none is lost."""
    lines = head.decode("latin-1").split("\r\n")
    parted = [line.partition(":") for line in lines[1:]]
    return [(name, value.strip(" \t")) for name, colon, value in parted if colon]


def _names(ended: Ended, *, was_read: bool) -> tuple[Sequence[str], bool]:
    """The columns of a row: as the body names them, else as the baseline expects them."""
    if not was_read or ended.watcher is None:
        return (), False
    inputs = ended.request.inputs
    if inputs is not None and inputs.names:
        return inputs.names, False
    return ended.watcher.watch.features, True


def _described(data: bytes, path: bytes, fields: Sequence[Field]) -> Body:
    said = {name.lower(): value.encode("latin-1") for name, value in fields}
    length = said.get(_BINARY_LENGTH, b"")
    return Body(
        data,
        path,
        said.get(_CONTENT_TYPE, b""),
        said.get(_CONTENT_ENCODING, b""),
        int(length) if length.isdigit() and len(length) < 12 else None,
    )
