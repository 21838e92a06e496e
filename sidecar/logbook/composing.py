"""From an exchange that is over to the bytes of its record.

Written for the time between two requests: a record is not built as a `Record` first, which would
cost more than all the rest, but as the row that one is written as (`Record`, by position). A test
holds the two together.

Texts of requests that come again and again (paths, methods) are decoded once; that memory is
bounded, and begins anew when it is full.

Must not know: queues, the journal.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.board import CellCounter
from sidecar.logbook.findings import NOTHING_FOUND
from sidecar.logbook.identity import RecordIds
from sidecar.logbook.subjects import Subject
from sidecar.model import StatusClass
from sidecar.monitor import Ended, Found
from sidecar.records import SCHEMA_VERSION, Why

FAILED: Final = frozenset({int(CellCounter.ERROR), int(CellCounter.STATUS_5XX)})
"""The endings that are the model's failure: what a dead letter is made of."""

_OUTCOMES: Final = {int(CellCounter.of_status(status)): status.value for status in StatusClass}
_TRACE_DIGITS: Final = 32
_MOST_KNOWN: Final = 1024
_LONGEST_KNOWN: Final = 256  # bytes of a path that is remembered

Row = tuple[object, ...]
"""The values of a `Record`, in the order of its fields."""


class Composer:
    """Makes the records of one worker. `ids` names them."""

    def __init__(self, worker: int, ids: RecordIds) -> None:
        self._worker = worker
        self._ids = ids
        self._encode = msgspec.msgpack.Encoder().encode
        self._known: dict[bytes, str] = {}

    def names(self, count: int, wall_ns: int) -> list[str]:
        """Ids for so many records that are written at this time."""
        self._ids.at(wall_ns)
        return self._ids.take(count)

    def compose(
        self,
        ended: Ended,
        found: Found,
        subject: Subject,
        record_id: str,
        offset_ns: int,
        why: Why | None,
    ) -> bytes:
        """The record of an exchange, as `sidecar.records.encode` would write it.

        `offset_ns` is what its clock lacks to the wall clock; `why` says why bodies are kept, None:
        they are not. Raises OverflowError or UnicodeEncodeError for values that cannot be written.
        """
        request = ended.request
        rows, predictions, cut, scores, segments, unusual = found
        captured = None
        if why is not None:
            was_read = found is not NOTHING_FOUND
            captured = subject.capturing.capture(ended, why, was_read=was_read)
        known = self._known
        path = known.get(request.path)
        if path is None:
            path = self._learn(request.path)
        method = known.get(request.method)
        if method is None:
            method = self._learn(request.method)
        if subject.names_columns:
            predictions, scores, segments = subject.redactor.findings(predictions, scores, segments)
        trace = b""
        if request.trace_at >= 0:
            trace = request.wire[request.trace_at : request.trace_at + _TRACE_DIGITS]
        row: Row = (
            SCHEMA_VERSION,
            record_id,
            request.id.decode("latin-1"),
            ended.started_ns + offset_ns,
            subject.route,
            subject.model,
            subject.role,
            ended.status,
            _OUTCOMES[ended.counter],
            ended.failure,
            method,
            path,
            request.size,
            ended.answer_bytes,
            ended.total_ns,
            ended.upstream_ns,
            ended.first_byte_ns,
            rows,
            predictions,
            cut,
            scores,
            segments,
            unusual,
            ended.unread,
            request.version,
            trace.decode("latin-1"),
            self._worker,
            ended.shadow_of,
            captured,
        )
        return self._encode(row)

    def _learn(self, text: bytes) -> str:
        """A path without its query, or a method; Latin-1, so that no byte is lost."""
        decoded = text.partition(b"?")[0].decode("latin-1")
        if len(text) <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[text] = decoded
        return decoded
