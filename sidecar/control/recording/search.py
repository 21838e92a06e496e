"""Reads records back from the journal: the newest, all, one by its id, what comes from now on.

Needs no sidecar that runs, only the directory. Filters are decided on decoded records; which
segments are looked into, by their times. Blocking.

Must not know: HTTP, terminals.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from sidecar.errors import ClientError
from sidecar.journal import Entry, Position, Reader, Segment, SlotPosition, survey
from sidecar.model import Role, StatusClass
from sidecar.records import Record, RecordError, decode

PORTION_RECORDS: Final = 2000
PORTION_BYTES: Final = 4 * 1024 * 1024
SLACK_NS: Final = 60_000_000_000
"""A record is written at most so long after its id was made, and the clock may be set."""

_MS: Final = 1_000_000
_CLASSES: Final = {status.value: status for status in StatusClass}


class Question(Struct, frozen=True, kw_only=True):
    """Which records are meant: those for which all holds that is given.

    Times are nanoseconds since 1970, of when the request began. `status` is one (`503`) or a class
    (`5xx`, `error`, ...). `segment` is a key and its value.
    """

    since_ns: int | None = None
    until_ns: int | None = None
    route: str | None = None
    model: str | None = None
    role: Role | None = None
    status: str | None = None
    segment: tuple[str, str] | None = None
    request_id: str | None = None

    def check(self) -> None:
        """Raises ClientError when a status is none."""
        status = self.status
        if status is not None and status not in _CLASSES and not status.isdecimal():
            raise ClientError(
                f"expected a status such as 503, or one of {', '.join(_CLASSES)}; got {status!r}",
                status=422,
                code="bad_query",
            )

    def means(self, record: Record) -> bool:
        """Whether a record is meant."""
        if self.since_ns is not None and record.at_ns < self.since_ns:
            return False
        if self.until_ns is not None and record.at_ns >= self.until_ns:
            return False
        if self.model not in {None, record.model} or self.route not in {None, record.route}:
            return False
        if self.role not in {None, record.role}:
            return False
        if self.request_id not in {None, record.request_id}:
            return False
        if self.segment is not None and record.segments.get(self.segment[0]) != self.segment[1]:
            return False
        return self.status is None or self.status in {record.outcome.value, str(record.status)}

    def may_be_in(self, segment: Segment) -> bool:
        """Whether a segment may hold any; only what lies before `since` can be ruled out."""
        return self.since_ns is None or segment.ended_ns + SLACK_NS >= self.since_ns


Progress = Callable[[int], None]
"""Told how many bytes of segments were looked through since it was told last."""


class JournalSearch:
    """Looks into the journal in `directory`, once.

    At most `most_bytes` of it are looked through, the newest segments first; `complete` says
    whether that was all there is to look for.
    """

    def __init__(self, directory: Path, *, most_bytes: int | None = None) -> None:
        self.complete = True
        self._directory = directory
        self._left_bytes = most_bytes

    def size_bytes(self, question: Question) -> int:
        """What has to be looked through for all that is meant."""
        return sum(one.size_bytes for one in self._segments(question))

    def all(self, question: Question, progress: Progress | None = None) -> Iterator[Record]:
        """Every record that is meant, segment by segment. Raises OSError."""
        for segment in self._segments(question):
            for record in self._records(segment):
                if question.means(record):
                    yield record
            if progress is not None:
                progress(segment.size_bytes)

    def newest(self, question: Question, most: int) -> list[Record]:
        """The records that began last, at most so many, the oldest of them first."""
        found: list[tuple[int, int, Record]] = []
        number = 0
        for segment in self._affordable(reversed(self._segments(question))):
            full = len(found) == most
            if full and segment.ended_ns + SLACK_NS < found[0][0]:
                break  # whatever is in there began before all that was found
            for record in self._records(segment):
                if not question.means(record):
                    continue
                number += 1
                one = (record.at_ns, number, record)
                if len(found) < most:
                    heapq.heappush(found, one)
                else:
                    heapq.heappushpop(found, one)
        return [record for _, _, record in sorted(found)]

    def find(self, name: str) -> list[Record]:
        """The record of this id, or the records of the request of this id; empty: there are none.

        A record's id tells when it was made, so few segments are looked into.
        """
        made_ns = _made_ns(name)
        if made_ns is not None:
            # The first segments that ended after it was made; clocks may differ a little.
            made = Question(since_ns=made_ns)
            for segment in self._affordable(self._segments(made)):
                for record in self._records(segment):
                    if record.id == name:
                        return [record]
        question = Question(request_id=name)
        found = [
            record
            for segment in self._affordable(reversed(self._segments(question)))
            for record in self._records(segment)
            if question.means(record)
        ]
        return sorted(found, key=lambda record: record.at_ns)

    def follow(self, question: Question) -> Callable[[], list[Record]]:
        """Gives, each time it is called, what was written since the last time."""
        reader = Reader(self._directory)
        position = self._end()

        def more() -> list[Record]:
            nonlocal position
            batch = reader.read(position, max_records=PORTION_RECORDS, max_bytes=PORTION_BYTES)
            position = batch.next
            decoded = (_decoded(entry) for entry in batch.entries)
            return [one for one in decoded if one is not None and question.means(one)]

        return more

    def _end(self) -> Position:
        """Behind all that is there: of each slot the last segment has to be read through."""
        last: dict[int, Segment] = {}
        for segment in survey(self._directory):
            newest = last.get(segment.slot)
            if newest is None or newest.sequence < segment.sequence:
                last[segment.slot] = segment
        position = Position(
            {slot: SlotPosition(sequence=one.sequence) for slot, one in last.items()}
        )
        reader = Reader(self._directory)
        try:
            while True:
                batch = reader.read(position, max_records=PORTION_RECORDS, max_bytes=PORTION_BYTES)
                if not batch.entries:
                    return batch.next
                position = batch.next
        finally:
            reader.close()

    def _affordable(self, segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:
            if self._left_bytes is not None:
                if self._left_bytes <= 0:
                    self.complete = False
                    return
                self._left_bytes -= segment.size_bytes
            yield segment

    def _segments(self, question: Question) -> list[Segment]:
        return [one for one in survey(self._directory) if question.may_be_in(one)]

    def _records(self, segment: Segment) -> Iterator[Record]:
        reader = Reader(self._directory)
        try:
            at = SlotPosition(sequence=segment.sequence)
            while True:
                portion = reader.slot(segment.slot).read(at, PORTION_RECORDS, PORTION_BYTES)
                for entry in portion.entries:
                    if entry.segment != segment.sequence:
                        return
                    record = _decoded(entry)
                    if record is not None:
                        yield record
                if portion.next == at or portion.next.sequence > segment.sequence:
                    return
                at = portion.next
        finally:
            reader.close()


def _decoded(entry: Entry) -> Record | None:
    """The record of an entry; None when another version wrote it in a way that we cannot read."""
    try:
        return decode(entry.payload)
    except RecordError:
        return None


def _made_ns(name: str) -> int | None:
    """When the id of a record was made; None when it is none."""
    digits = name.replace("-", "")
    if len(name) != 36 or len(digits) != 32 or digits[12] != "7":
        return None
    try:
        return int(digits[:12], 16) * _MS
    except ValueError:
        return None
