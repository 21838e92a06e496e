"""A baseline: what a model's inputs and answers looked like when it was accepted.

It holds the columns (how values are counted from now on) and the counts of the reference, of all
rows and of each segment. A window is compared with it, never added to it.

Must not know: files and their form (`text`), how it was learned, what drift is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from sidecar.baseline.records import BusinessFigure, Performance, Provenance, TimeSpan, Traffic
from sidecar.model import ColumnPart
from sidecar.sketch.columns import Column
from sidecar.sketch.distribution import Distribution

ORDER_OF_PARTS = (ColumnPart.FEATURE, ColumnPart.PREDICTION, ColumnPart.SCORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSegment:
    """The same counts, kept apart by the values of a key. Raises ValueError when parts are missing.

    rows:          of each of `values`, then of `other`: those whose value is none of them
    distributions: in the same order, for each one per column of the baseline
    """

    name: str
    values: tuple[str, ...]
    rows: tuple[int, ...]
    distributions: tuple[tuple[Distribution, ...], ...]

    def __post_init__(self) -> None:
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"segment {self.name}: a value is given twice")
        if {len(self.rows), len(self.distributions)} != {len(self.values) + 1}:
            raise ValueError(f"segment {self.name}: counts for each value, and for `other`")

    def place(self, value: str | None) -> int:
        """Where a value stands; None, or one that is not told apart, is `other`, the last."""
        return self.values.index(value) if value in self.values else len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Raises ValueError when its parts do not fit together.

    distributions: one per column: features in the order of the data, prediction, score, confidence
    measured:      one per measure of requests; empty when learned from files
    positive:      the category of predictions that counts as positive, when there is one
    provisional:   learned from the first rows that came; nobody has accepted it
    content_hash:  the same for baselines that hold the same counts, 16 hexadecimal digits; where
                   they come from does not matter
    """

    model: str
    rows: int
    distributions: tuple[Distribution, ...]
    measured: tuple[Distribution, ...] = ()
    segments: tuple[BaselineSegment, ...] = ()
    provisional: bool = False
    positive: str | None = None
    performance: Performance | None = None
    business: dict[str, BusinessFigure] = field(default_factory=dict)
    traffic: Traffic | None = None
    span: TimeSpan | None = None
    provenance: Provenance = field(default_factory=Provenance)
    content_hash: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = [column.part for column in self.columns]
        if ColumnPart.MEASURE in parts or parts != sorted(parts, key=ORDER_OF_PARTS.index):
            raise ValueError("columns are features, then predictions, then scores")
        if any(column.part is not ColumnPart.MEASURE for column in self.measures):
            raise ValueError("what is measured is no column of rows")
        everything = (*self.columns, *self.measures)
        if len({(column.part, column.name) for column in everything}) < len(everything):
            raise ValueError("a column is given twice")
        for segment in self.segments:
            for distributions in segment.distributions:
                if tuple(one.column for one in distributions) != self.columns:
                    raise ValueError(f"segment {segment.name} has other columns")
        # Once: with 50 segments it takes 20 ms, and every look at the status shows it.
        object.__setattr__(self, "content_hash", self._hashed())

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is counted of each row."""
        return tuple(distribution.column for distribution in self.distributions)

    @property
    def measures(self) -> tuple[Column, ...]:
        """What was counted of each request."""
        return tuple(distribution.column for distribution in self.measured)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the order of the data."""
        return tuple(one.name for one in self.columns if one.part is ColumnPart.FEATURE)

    def distribution(
        self, column: str | Column, segment: str | None = None, value: str | None = None
    ) -> Distribution:
        """The counts of a column: of all rows, or of those where the segment key has this value.

        Without `value`, or with one that is not told apart, those of `other`. Of two columns with
        the same name, a name means the one that comes first. Raises KeyError.
        """
        if segment is None:
            return _named(column, (*self.distributions, *self.measured))
        for one in self.segments:
            if one.name == segment:
                return _named(column, one.distributions[one.place(value)])
        raise KeyError(segment)

    def _hashed(self) -> str:
        digest = hashlib.blake2b(digest_size=8)
        for name, distributions in self._groups():
            digest.update(msgspec.json.encode(name))
            for one in distributions:
                digest.update(one.column.content_hash.encode())
                digest.update(one.counts.astype("<i8").tobytes())
                digest.update(one.sums.astype("<f8").tobytes())
        return digest.hexdigest()

    def _groups(self) -> Iterable[tuple[list[str | None], tuple[Distribution, ...]]]:
        yield [], self.distributions
        yield [None], self.measured
        for segment in self.segments:
            for value, distributions in zip(
                (*segment.values, None), segment.distributions, strict=True
            ):
                yield [segment.name, value], distributions


def _named(column: str | Column, distributions: Iterable[Distribution]) -> Distribution:
    for one in distributions:
        same = one.column.name == column if isinstance(column, str) else one.column == column
        if same:
            return one
    raise KeyError(column if isinstance(column, str) else column.name)
