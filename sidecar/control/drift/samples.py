"""The two sides of a comparison: a window of the history, or the counts of a baseline.

Both are asked the same things: the distributions of all columns, of everything or of one block (a
value of a segment key), the same as one array for the gate, and how dependent the rows are (phi). A
baseline was counted from rows that are taken as independent, so its phi is 1.

A baseline that does not know a segment key, or a value of it, is asked for that block in vain: then
the whole of it stands in, and `stands_in` says so.

Must not know: which windows and references there are, what is called drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from sidecar.baseline import Baseline
from sidecar.control.drift.packing import Packed, Packing
from sidecar.control.observation import Watched, Window
from sidecar.drift import Span, dispersions, equal_parts
from sidecar.sketch import Block, BlockCounter, Distribution

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

PARTS_ASKED: Final = 12
"""Of how many pieces a window is asked for, to be put together to ten of about equal count: each is
read from a snapshot, which for a model with many segments is not cheap."""

_NS: Final = 1_000_000_000


class Sample(Protocol):
    """One side of a comparison.

    span:      its name and time
    floor:     what phi is at least, known without looking
    blocks:    the bins of every block, `[block, column, ...]`
    stands_in: bool[block]        the whole is shown in place of a block that is not known
    """

    @property
    def span(self) -> Span:
        """Its name and time."""

    @property
    def floor(self) -> float:
        """What phi is at least."""

    @property
    def blocks(self) -> Packed:
        """The bins of every block."""

    @property
    def stands_in(self) -> BoolArray:
        """Where the whole is shown in place of a block."""

    def phi(self, block: int | None = None) -> FloatArray:
        """How dependent the rows are, of one block or of everything: `float64[column]`."""

    def rows(self, block: int | None = None) -> int:
        """How many rows there are of one block, or of everything."""

    def distributions(self, block: int | None = None) -> tuple[Distribution, ...]:
        """Of each column, of one block, or of everything."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowSample:
    """What passed in a window."""

    watched: Watched
    packing: Packing
    window: Window
    span: Span
    floor: float
    whole_phi: FloatArray
    blocks: Packed

    @classmethod
    def of(
        cls,
        watched: Watched,
        packing: Packing,
        window: Window,
        *,
        name: str,
        entity_s: float | None,
    ) -> WindowSample:
        """Of a window. `entity_s` is the period in which a declared entity counts once, if any."""
        floor = max(1.0, window.length_s / entity_s) if entity_s else 1.0
        return cls(
            watched=watched,
            packing=packing,
            window=window,
            span=Span(name=name, start_ns=window.start_ns, end_ns=window.end_ns),
            floor=floor,
            whole_phi=_phi(packing, window, list(watched.whole), floor),
            blocks=packing.of(window.area.bins()),
        )

    @property
    def stands_in(self) -> BoolArray:
        """Nowhere: a window has all blocks."""
        return np.zeros(self.watched.layout.block_count, dtype=np.bool_)

    def counted(self, block: int | None = None) -> Block:
        """All that was counted of one block, or of everything."""
        area = self.window.area
        return area.total(self.watched.whole) if block is None else area.block(block)

    def rows(self, block: int | None = None) -> int:
        """How many rows there are of one block, or of everything."""
        return self.counted(block).counter(BlockCounter.ROWS)

    def phi(self, block: int | None = None) -> FloatArray:
        """How dependent the rows are, of one block or of everything."""
        if block is None:
            return self.whole_phi
        return _phi(self.packing, self.window, [block], self.floor)

    def distributions(self, block: int | None = None) -> tuple[Distribution, ...]:
        """Of each column, of one block, or of everything."""
        found = self.counted(block)
        return tuple(found.distribution(column) for column in self.watched.columns)


class BaselineSample:
    """What was counted when the model was accepted, or learned of the first rows."""

    def __init__(self, watched: Watched, packing: Packing, baseline: Baseline) -> None:
        self._baseline = baseline
        self._columns = watched.columns
        self._known = _known_blocks(watched, baseline)
        name = "provisional baseline" if baseline.provisional else "baseline"
        self.span = Span(name=name, **_span_ns(baseline))
        self.floor = 1.0
        self.stands_in: BoolArray = np.array([known is None for known in self._known])
        if not watched.segments:
            self.stands_in[:] = False
        self.blocks = _packed(
            packing, [self.distributions(block) for block in range(len(self._known))]
        )

    def phi(self, _block: int | None = None) -> FloatArray:
        """Rows of a baseline are taken as independent."""
        return np.ones(len(self._columns))

    def rows(self, block: int | None = None) -> int:
        """How many rows there are of one block, or of everything."""
        known = None if block is None else self._known[block]
        if known is None:
            return self._baseline.rows
        name, value = known
        segment = next(one for one in self._baseline.segments if one.name == name)
        return segment.rows[segment.place(value)]

    def distributions(self, block: int | None = None) -> tuple[Distribution, ...]:
        """Of each column, of one block, or of everything."""
        known = None if block is None else self._known[block]
        if known is None:
            return tuple(self._baseline.distribution(column) for column in self._columns)
        segment, value = known
        return tuple(
            self._baseline.distribution(column, segment, value) for column in self._columns
        )


def _phi(packing: Packing, window: Window, blocks: list[int], floor: float) -> FloatArray:
    """phi of every column of some blocks, between parts of about equal count."""
    if not packing.columns:
        return np.ones(0)
    parts = packing.of(window.parts[:, blocks].sum(axis=1)).values
    columns = [
        equal_parts(parts[:, place, :width]) for place, width in enumerate(packing.bins.tolist())
    ]
    return dispersions(columns, floor=floor)


def _known_blocks(watched: Watched, baseline: Baseline) -> list[tuple[str, str | None] | None]:
    """For each block, what the baseline calls it; None: it does not know it.

    `other` is the same rows only where the same values are told apart.
    """
    if not watched.segments:
        return [None]
    values = {segment.name: segment.values for segment in baseline.segments}
    known: list[tuple[str, str | None] | None] = []
    for segment in watched.segments:
        theirs = values.get(segment.name)
        known += [
            (segment.name, value) if theirs is not None and value in theirs else None
            for value in segment.values
        ]
        same = theirs is not None and set(theirs) == set(segment.values)
        known.append((segment.name, None) if same else None)
    return known


def _packed(packing: Packing, blocks: Sequence[Sequence[Distribution]]) -> Packed:
    shape = (len(blocks), len(packing.columns))
    values = np.zeros((*shape, int(packing.bins.max(initial=1))), np.int64)
    missing, rows = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for at, distributions in enumerate(blocks):
        for place, distribution in enumerate(distributions):
            values[at, place, : packing.bins[place]] = distribution.binned
            missing[at, place] = distribution.missing
            rows[at, place] = distribution.rows
    return Packed(values, missing, rows)


def _span_ns(baseline: Baseline) -> dict[str, int]:
    """The time of a baseline's rows, when it knows it."""
    if baseline.span is None:
        return {}
    return {
        "start_ns": round(datetime.fromisoformat(baseline.span.start).timestamp() * _NS),
        "end_ns": round(datetime.fromisoformat(baseline.span.end).timestamp() * _NS),
    }
