"""Rows that workers send, collected until they are enough to make a reference of. Pure.

The rows of all workers of one primary count together. A reference is made of them once: columns
over all rows (a name that some rows lack is missing there), and for each segment key the values to
tell apart: the listed ones, else the most frequent.

Clients may choose names. As many are learned as one row may have; where each row has others, that
is what the first rows have, and memory stays that of `rows_wanted` wide rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sidecar.baseline import Baseline, provisional
from sidecar.config.monitoring import Segment
from sidecar.control.messages import Learned
from sidecar.control.observation.subjects import Lesson
from sidecar.model import CellKey
from sidecar.payload import Protocol, Value
from sidecar.payload.columns import MOST_COLUMNS


class Lessons:
    """What is being learned: for each primary the rows that came so far, `rows_wanted` at most."""

    def __init__(self) -> None:
        self._collected: dict[CellKey, _Collected] = {}

    def rows(self, primary: CellKey) -> int:
        """How many rows of a primary there are."""
        collected = self._collected.get(primary)
        return 0 if collected is None else collected.count

    def take(self, learned: Learned, *, rows_wanted: int) -> bool:
        """Collect the rows of a message; True when it is the one that makes them enough.

        Messages whose lists do not fit together are left out: they are of no use to anybody.
        """
        if not learned.consistent:
            return False
        collected = self._collected.setdefault(learned.key, _Collected())
        missing = rows_wanted - collected.count
        if missing <= 0:
            return False
        collected.add(learned, missing)
        return collected.count >= rows_wanted

    def made(self, primary: CellKey, segments: Sequence[Segment]) -> Lesson:
        """What the rows of a primary teach. Cost: sorts every column. Raises KeyError."""
        collected = self._collected[primary]
        protocol = collected.protocols.most_common(1)[0][0]
        return Lesson(baseline=collected.baseline(primary.model, segments), protocol=protocol)

    def forget(self, primary: CellKey) -> None:
        """Let go of the rows of a primary: they were learned from, or nobody wants them."""
        self._collected.pop(primary, None)


class _Collected:
    """The rows of one primary, column by column; every list is as long as there are rows."""

    def __init__(self) -> None:
        self.count = 0
        self.protocols: Counter[Protocol] = Counter()
        self._features: dict[str, list[Value]] = {}
        self._segments: dict[str, list[Value]] = {}
        self._predictions: list[Value] = []
        self._scores: list[Value] = []

    def add(self, learned: Learned, most: int) -> None:
        rows = learned.rows[:most]
        self.protocols[learned.protocol] += len(rows)
        room = MOST_COLUMNS - len(self._features)
        new = [name for name in learned.names if name not in self._features]
        left_out = frozenset(new[room:])
        values = {
            name: [row[at] for row in rows]
            for at, name in enumerate(learned.names)
            if name not in left_out
        }
        _extend(self._features, values, self.count, len(rows))
        of_segments = {name: list(found[:most]) for name, found in learned.segments.items()}
        _extend(self._segments, of_segments, self.count, len(rows))  # type: ignore[arg-type]  # texts
        absent: list[Value] = [None] * len(rows)
        self._predictions += learned.predictions[:most] or absent
        self._scores += learned.scores[:most] or absent
        self.count += len(rows)

    def baseline(self, model: str, segments: Sequence[Segment]) -> Baseline:
        rows = list(zip(*self._features.values(), strict=True)) or [()] * self.count
        return provisional(
            model,
            tuple(self._features),
            rows,
            self._predictions,
            self._scores,
            {
                segment.name: self._segments.get(segment.name, [None] * self.count)
                for segment in segments
            },
            segment_values={segment.name: segment.values or segment.top for segment in segments},
        )


def _extend(
    columns: dict[str, list[Value]], found: dict[str, list[Value]], before: int, count: int
) -> None:
    """Lengthen every column by `count` values; who is new or was not found has none of them."""
    for name in found:
        columns.setdefault(name, [None] * before)
    for name, column in columns.items():
        column.extend(found.get(name, [None] * count))
