"""From an exchange that is over to the bytes of its record.

Written for the time between two requests: a record is not built as a `Record` first, which would
cost more than all the rest, but as the row that one is written as (`Record`, by position). A test
holds the two together.

Texts of requests that come again and again (paths, methods) are decoded once; that memory is
bounded, and begins anew when it is full.

Must not know: queues, the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final

import msgspec

from sidecar.board import CellCounter
from sidecar.logbook.ended import Ended
from sidecar.logbook.identity import RecordIds
from sidecar.logbook.subjects import Subject
from sidecar.model import StatusClass
from sidecar.monitor import Observation
from sidecar.payload import Value
from sidecar.payload.row_answers import RowAnswers
from sidecar.records import MOST_PREDICTIONS, SCHEMA_VERSION, Captured, Why

FAILED: Final = frozenset({int(CellCounter.ERROR), int(CellCounter.STATUS_5XX)})
"""The endings that are the model's failure: what a dead letter is made of."""

_OUTCOMES: Final = {int(CellCounter.of_status(status)): status.value for status in StatusClass}
_TRACE_FIELD: Final = b"\r\ntraceparent: 00-"
_TRACE_DIGITS: Final = 32
_MOST_KNOWN: Final = 1024
_LONGEST_KNOWN: Final = 256  # bytes of a path that is remembered

LONGEST_PREDICTION: Final = 200
"""Characters of a prediction that is a text: classes have names, and all else is a body."""

Findings = tuple[int, Sequence[Value], bool, Sequence[float | None], Mapping[str, str | None]]
"""Rows, predictions, whether there are more of them, scores, segments."""

_NO_FINDINGS: Final[Findings] = (0, (), False, (), {})

Row = tuple[object, ...]
"""The values of a `Record`, in the order of its fields."""


class Composer:
    """Makes the records of one worker. `ids` names them."""

    def __init__(self, worker: int, ids: RecordIds) -> None:
        self._worker = worker
        self._ids = ids
        self._encode = msgspec.msgpack.Encoder().encode
        self._known: dict[bytes, str] = {}
        self._said: dict[RowAnswers, tuple[list[float], list[float]]] = {}

    def begin(self, wall_ns: int) -> None:
        """What follows is written at this time."""
        self._ids.at(wall_ns)
        self._said.clear()

    def compose(self, ended: Ended, subject: Subject, offset_ns: int, why: Why | None) -> bytes:
        """The record of an exchange, as `sidecar.records.encode` would write it.

        `offset_ns` is what its clock lacks to the wall clock; `why` says why bodies are kept, None:
        they are not. Raises OverflowError or UnicodeEncodeError for values that cannot be written.
        """
        captured = None if why is None else subject.capturing.capture(ended, why)
        return self._encode(self._row(ended, subject, offset_ns, captured))

    def _row(
        self, ended: Ended, subject: Subject, offset_ns: int, captured: Captured | None
    ) -> Row:
        request = ended.request
        known = self._known
        path = known.get(request.path)
        if path is None:
            path = self._learn(request.path)
        method = known.get(request.method)
        if method is None:
            method = self._learn(request.method)
        observed = ended.observed
        if observed is None:
            rows, predictions, cut, scores, segments = _NO_FINDINGS
            unusual = None
        else:
            rows, predictions, cut, scores, segments = self._findings(observed, subject)
            unusual = observed.unusual
        return (
            SCHEMA_VERSION,
            self._ids.next(),
            ended.request_id.decode("latin-1"),
            ended.started_ns + offset_ns,
            subject.route,
            subject.model,
            subject.role,
            ended.status,
            _OUTCOMES[ended.counter],
            ended.failure,
            method,
            path,
            ended.request_bytes,
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
            ended.version,
            trace_of(ended.wire, ended.body_at),
            self._worker,
            ended.shadow_of,
            captured,
        )

    def _findings(self, observed: Observation, subject: Subject) -> Findings:
        finished, said = observed.finished, observed.said
        inputs = finished.request.inputs
        rows = 1 if inputs is None else len(inputs.rows)
        predictions: Sequence[Value] = ()
        scores: Sequence[float | None] = ()
        count = 0
        if isinstance(said, tuple):
            predictions, scores = self._row_of(*said)
        elif said is not None:
            count = len(said.predictions)
            predictions = [_writable(value) for value in said.predictions[:MOST_PREDICTIONS]]
            scores = [
                value if isfinite(value) else None for value in said.scores[:MOST_PREDICTIONS]
            ]
        segments: Mapping[str, str | None] = {}
        if observed.segments:
            keys = finished.watcher.watch.segments
            segments = {key.name: text for key, text in zip(keys, observed.segments, strict=True)}
        if subject.redactor.names_columns:
            predictions, scores, segments = subject.redactor.findings(predictions, scores, segments)
        return rows or count, predictions, count > MOST_PREDICTIONS, scores, segments

    def _row_of(
        self, answers: RowAnswers, at: int
    ) -> tuple[Sequence[Value], Sequence[float | None]]:
        """What one of many answers says that were read at once: its only row."""
        known = self._said.get(answers)
        if known is None:
            known = (answers.predictions.tolist(), answers.scores.tolist())
            self._said[answers] = known
        prediction: Value = known[0][at]
        score = known[1][at]
        if not isfinite(known[0][at]):
            predictions: Sequence[Value] = ()
        elif answers.labels:
            predictions = (_writable(answers.labels[int(known[0][at])]),)
        else:
            predictions = (prediction,)
        return predictions, (score,) if isfinite(score) else ()

    def _learn(self, text: bytes) -> str:
        """A path without its query, or a method; Latin-1, so that no byte is lost."""
        decoded = text.partition(b"?")[0].decode("latin-1")
        if len(text) <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[text] = decoded
        return decoded


def trace_of(wire: bytes, body_at: int) -> str:
    """The trace that the model was told to be part of; empty when it was told of none."""
    at = wire.rfind(_TRACE_FIELD, 0, body_at)  # one that we made ourselves is the last field
    if at < 0:
        return ""
    at += len(_TRACE_FIELD)
    return wire[at : at + _TRACE_DIGITS].decode("latin-1")


def _writable(value: Value) -> Value:
    """A prediction as a record has it: a text of bounded length, a number that JSON can write."""
    if isinstance(value, str):
        return value[:LONGEST_PREDICTION]
    return None if isinstance(value, float) and not isfinite(value) else value
