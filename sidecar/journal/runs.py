"""Records that were read, and what a consumer makes of them: entries, failures or mere counts.

Records are told apart no sooner than somebody asks for them. Who counts needs no payload, and who
looks for failures needs few: those pay for a run of a thousand records, not for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count, pairwise

import numpy as np
from msgspec import Struct

from sidecar.frames.layout import FAILURE, FRAME_BYTES, SUBJECT_BITS, UNKNOWN_CELL, Subjects
from sidecar.frames.walk import Walked
from sidecar.model.cells import CellKey


class Entry(Struct, frozen=True, gc=False):
    """A record and where it stood. `failed`: it is of what an answering model failed."""

    slot: int
    segment: int
    offset: int
    number: int
    subject: int
    cell: CellKey
    failed: bool
    payload: bytes


class Run(Struct, frozen=True, kw_only=True):
    """Records that stand one after the other in a segment, with consecutive numbers.

    `data` is a window of the segment that begins at `offset` there; `number` is that of the first
    record, `walked` tells where in `data` they stand, `table` what their subjects mean.
    """

    slot: int
    segment: int
    offset: int
    number: int
    table: Subjects
    data: bytes
    walked: Walked

    def __len__(self) -> int:
        return len(self.walked.subjects)

    @property
    def payload_bytes(self) -> int:
        """What the records take without the heads of their frames."""
        return self.size_bytes - FRAME_BYTES * len(self)

    @property
    def size_bytes(self) -> int:
        """What the records take in the segment."""
        starts = self.walked.starts
        return int(starts[-1] - starts[0])

    def counts(self) -> Counter[CellKey]:
        """How many records there are of whom."""
        counts: Counter[CellKey] = Counter()
        subjects = np.bincount(self.walked.subjects & SUBJECT_BITS)
        for subject in subjects.nonzero()[0].tolist():
            counts[self.table.get(subject, UNKNOWN_CELL)] += int(subjects[subject])
        return counts

    def payloads(self) -> list[bytes]:
        """What the records say, in their order."""
        data = self.data
        return [data[at + FRAME_BYTES : end] for at, end in pairwise(self.walked.starts.tolist())]

    def cells(self) -> list[CellKey]:
        """Whose the records are, in their order."""
        subjects = (self.walked.subjects & SUBJECT_BITS).tolist()
        known = {subject: self.table.get(subject, UNKNOWN_CELL) for subject in set(subjects)}
        return [known[subject] for subject in subjects]

    def entries(self) -> Iterator[Entry]:
        """All records, in their order."""
        slot, segment, offset = self.slot, self.segment, self.offset
        records = zip(
            count(self.number),
            self.walked.starts.tolist(),
            self.walked.subjects.tolist(),
            self.cells(),
            self.payloads(),
            strict=False,  # numbers go on, and there is a last end
        )
        for number, at, said, cell, payload in records:
            failed = said & FAILURE != 0
            yield Entry(
                slot, segment, offset + at, number, said & SUBJECT_BITS, cell, failed, payload
            )

    def failures(self) -> Iterator[Entry]:
        """The records of what an answering model failed, in their order."""
        starts = self.walked.starts
        for place in np.flatnonzero(self.walked.subjects & FAILURE).tolist():
            at, end = int(starts[place]), int(starts[place + 1])
            subject = int(self.walked.subjects[place]) & SUBJECT_BITS
            yield Entry(
                self.slot,
                self.segment,
                self.offset + at,
                self.number + place,
                subject,
                self.table.get(subject, UNKNOWN_CELL),
                True,
                self.data[at + FRAME_BYTES : end],
            )
