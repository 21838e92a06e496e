"""A baseline from rows: one look to learn the columns, a second to count every row.

    survey = Survey(roles)            for every chunk: survey.add(chunk)
    blueprint = draw(survey)
    count = Count(blueprint)          for every chunk again: count.add(chunk)
    baseline = count.baseline(model)

Data larger than memory are read twice; rows that are in memory go through `learn` at once. The
second look counts exactly, whatever the first one sampled.

Must not know: files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sidecar.baseline.baseline import Baseline, BaselineSegment
from sidecar.baseline.blueprint import CONFIDENCE, Blueprint, draw
from sidecar.baseline.counting import Tally, Value, Values, as_codes, as_numbers, buckets_of
from sidecar.baseline.edges import FloatArray, IntArray
from sidecar.baseline.roles import Chunk, Roles
from sidecar.baseline.survey import Survey
from sidecar.model import ColumnPart
from sidecar.sketch.columns import Column


class Count:
    """Counts of every row by a blueprint, of all and by segment."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.rows = 0
        self._blueprint = blueprint
        self._totals = [Tally(counted.column) for counted in blueprint.counted]
        self._segments = [
            _SegmentCount(name, values, [one.column for one in blueprint.counted])
            for name, values in blueprint.segments
        ]

    def add(self, chunk: Chunk) -> None:
        """The next rows."""
        absent: list[Value] = [None] * chunk.rows
        blocks = [one.blocks(chunk.columns.get(one.name, absent)) for one in self._segments]
        for place, counted in enumerate(self._blueprint.counted):
            values = chunk.columns.get(counted.source, absent)
            buckets, deviations = buckets_of(counted.column, self._numbers(counted.column, values))
            self._totals[place].add(buckets, deviations)
            for segment, block in zip(self._segments, blocks, strict=True):
                segment.tallies[place].add(buckets, deviations, block)
        self.rows += chunk.rows

    def baseline(self, model: str) -> Baseline:
        """The baseline of what was counted."""
        return Baseline(
            model=model,
            rows=self.rows,
            distributions=tuple(tally.distributions()[0] for tally in self._totals),
            segments=tuple(segment.done() for segment in self._segments),
            positive=self._blueprint.positive,
        )

    def _numbers(self, column: Column, values: Values) -> FloatArray:
        numbers = as_numbers(column, values)
        if column.part is ColumnPart.SCORE and column.name == CONFIDENCE:
            return self._blueprint.confidence.confidences(numbers)
        return numbers


class _SegmentCount:
    """The same, kept apart by the values of a key."""

    def __init__(self, name: str, values: tuple[str, ...], columns: Sequence[Column]) -> None:
        self.name = name
        self._values = values
        self._rows = np.zeros(len(values) + 1, np.int64)
        self.tallies = [Tally(column, len(values) + 1) for column in columns]

    def blocks(self, values: Values) -> IntArray:
        """`int64[n]`: the place of each row's value; missing ones are `other`."""
        codes = np.nan_to_num(as_codes(self._values, values), nan=len(self._values))
        blocks = codes.astype(np.int64)
        self._rows += np.bincount(blocks, minlength=self._rows.size)
        return blocks

    def done(self) -> BaselineSegment:
        by_column = [tally.distributions() for tally in self.tallies]
        return BaselineSegment(
            name=self.name,
            values=self._values,
            rows=tuple(self._rows.tolist()),
            distributions=tuple(
                tuple(column[place] for column in by_column) for place in range(self._rows.size)
            ),
        )


def learn(model: str, columns: Mapping[str, Values], roles: Roles | None = None) -> Baseline:
    """A baseline of rows in memory: `columns[name]` are the values of all rows, equally many.

    Raises ConfigError when the data will not do.
    """
    rows = len(next(iter(columns.values()), ()))
    chunk = Chunk(1, rows, columns)
    survey = Survey(roles or Roles())
    survey.add(chunk)
    count = Count(draw(survey))
    count.add(chunk)
    return count.baseline(model)
