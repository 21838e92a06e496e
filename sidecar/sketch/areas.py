"""What is counted of one watch (a model in its role on a route), as one stretch of numbers.

An area is `int64[layout.words]`. Workers write into theirs, readers sum copies of them:

    watch counters    int64[watch_counter]
    block 0           one block per value of a segment key; without segments a single one
    block 1
    ...

and every block, `layout.block_words` long:

    block counters    int64[block_counter]
    counts            int64[bucket]           of every column, then of every measure, side by side
    sums              float64[summed bucket]  in the same order: the same words read as floats
    outcomes          int64[bin, 2]           how many of a bin's rows failed; their latencies in
                                              nanoseconds, summed over those that have one

Along the axis `bin` each column has its bins of drift, one bin of missing values and one of
infinities: which values go with failures and with slow answers can be asked of all of them.

Areas of one layout add (workers) and subtract (windows): integers exactly, sums as floats.

Must not know: shared memory, who writes, what a watch is, what drift is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

import numpy as np

from sidecar.sketch.columns import SPECIALS, Column
from sidecar.sketch.distribution import Distribution, FloatArray
from sidecar.sketch.kernels import IntArray


class WatchCounter(IntEnum):
    """What became of the exchanges that a watch was offered.

    `UNREAD_*` are bodies that could not be read, by the reasons of the payload package. `REPEATED`
    and `UNTRACKED` count rows whose entity was seen before in its period, or found no place to be
    remembered. `PAIRED`, `AGREED` and `UNPAIRED` compare a shadow's answers with the primary's.
    """

    OFFERED = 0
    READ = 1
    SHED = 2
    QUEUE_FULL = 3
    UNREAD_TOO_LARGE = 4
    UNREAD_ENCODING = 5
    UNREAD_NOT_JSON = 6
    UNREAD_TOO_DEEP = 7
    UNREAD_SHAPE = 8
    UNREAD_UNKNOWN = 9
    UNREAD_INCOMPLETE = 10
    REPEATED = 11
    UNTRACKED = 12
    PAIRED = 13
    AGREED = 14
    UNPAIRED = 15

    @classmethod
    def of_unread(cls, reason: str) -> WatchCounter:
        """The counter of bodies that could not be read for this reason."""
        return cls[f"UNREAD_{reason.upper()}"]


class BlockCounter(IntEnum):
    """What is counted of a block as a whole; a counter of failures follows what may fail."""

    REQUESTS = 0
    FAILED = 1
    ROWS = 2
    FAILED_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the numbers of a column stand: along the axes of counts, of sums and of bins."""

    column: Column
    counts: slice
    sums: slice
    bins: slice

    @property
    def value_bins(self) -> slice:
        """The bins by which drift is judged: without those of missing values and infinities."""
        return slice(self.bins.start, self.bins.stop - SPECIALS)


@dataclass(frozen=True, slots=True)
class AreaLayout:
    """Which columns are counted in how many blocks, and so where each number stands (in words).

    `columns` are counted per row, `measures` per request. The rest follows from them: `places` and
    `bin_slices` are in the order of the columns, then the measures; `counts`, `sums`, `failed` and
    `latency` are slices of a block, the last two with a step of 2. Raises ValueError when two
    columns cannot be told apart or there is no block.
    """

    columns: tuple[Column, ...]
    measures: tuple[Column, ...] = ()
    block_count: int = 1
    places: tuple[Place, ...] = field(init=False, compare=False, repr=False)
    bin_count: int = field(init=False, compare=False)
    block_words: int = field(init=False, compare=False)
    counts: slice = field(init=False, compare=False, repr=False)
    sums: slice = field(init=False, compare=False, repr=False)
    failed: slice = field(init=False, compare=False, repr=False)
    latency: slice = field(init=False, compare=False, repr=False)
    _bin_starts: IntArray = field(init=False, compare=False, repr=False)
    _found: dict[object, Place] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.block_count < 1:
            raise ValueError("an area has one block or more")
        places: list[Place] = []
        bin_starts: list[int] = []
        counts = sums = bins = 0
        for column in (*self.columns, *self.measures):
            bin_starts += [counts + first for first in column.bins]
            bin_starts += range(counts + column.value_buckets, counts + column.width)
            place = Place(
                column=column,
                counts=slice(counts, counts + column.width),
                sums=slice(sums, sums + len(column.summed)),
                bins=slice(bins, len(bin_starts)),
            )
            places.append(place)
            counts, sums, bins = place.counts.stop, place.sums.stop, place.bins.stop
        found: dict[object, Place] = {
            (place.column.part, place.column.name): place for place in places
        }
        if len(found) < len(places):
            raise ValueError("two columns of the same part have the same name")
        for place in places:
            found.setdefault(place.column.name, place)
        counts_at = len(BlockCounter)
        sums_at, outcomes_at = counts_at + counts, counts_at + counts + sums
        derived = {
            "places": tuple(places),
            "bin_count": bins,
            "block_words": outcomes_at + 2 * bins,
            "counts": slice(counts_at, sums_at),
            "sums": slice(sums_at, outcomes_at),
            "failed": slice(outcomes_at, outcomes_at + 2 * bins, 2),
            "latency": slice(outcomes_at + 1, outcomes_at + 2 * bins, 2),
            "_bin_starts": np.array(bin_starts, dtype=np.intp),
            "_found": found,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def blocks_at(self) -> int:
        """Where the first block begins: after the watch counters."""
        return len(WatchCounter)

    @property
    def words(self) -> int:
        """How long an area is."""
        return self.blocks_at + self.block_count * self.block_words

    @property
    def bin_slices(self) -> tuple[slice, ...]:
        """Along the axis of bins: the bins of drift of each column, then of each measure."""
        return tuple(place.value_bins for place in self.places)

    def block_at(self, block: int) -> int:
        """Where a block begins in the area. Raises IndexError."""
        if not 0 <= block < self.block_count:
            raise IndexError(f"no block {block}: the area has {self.block_count}")
        return self.blocks_at + block * self.block_words

    def place(self, column: str | Column) -> Place:
        """Where a column stands. Raises KeyError when it is not counted here.

        A feature may be called like a measure; a bare name then means the one that comes first.
        """
        key = column if isinstance(column, str) else (column.part, column.name)
        return self._found[key]

    def blocks_of(self, words: IntArray) -> IntArray:
        """`int64[block, word]`: the blocks of an area's words, without copying."""
        return words[self.blocks_at :].reshape(self.block_count, self.block_words)

    def sums_of(self, blocks: IntArray) -> FloatArray:
        """`float64[..., summed bucket]` of `int64[..., word]`: the sums of blocks, not copied."""
        sums: FloatArray = blocks[..., self.sums].view(np.float64)
        return sums

    def bins_of(self, blocks: IntArray) -> IntArray:
        """`int64[..., bin]` of `int64[..., word]`: how many rows are in each bin."""
        if not self.bin_count:
            return np.zeros((*blocks.shape[:-1], 0), np.int64)
        bins: IntArray = np.add.reduceat(blocks[..., self.counts], self._bin_starts, axis=-1)
        return bins


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """How the rows of each bin of a column fared, `int64[bins + 2]` each; see the module's text.

    Ends with the bins of missing values and of infinities. `latency_ns` is a sum over the rows
    whose latency was measured.
    """

    rows: IntArray
    failed: IntArray
    latency_ns: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What was counted in a block, or in several: `words: int64[layout.block_words]`, read-only."""

    layout: AreaLayout
    words: IntArray

    def counter(self, counter: BlockCounter) -> int:
        """A counter of the block as a whole."""
        return int(self.words[counter])

    def distribution(self, column: str | Column) -> Distribution:
        """The counts and sums of a column. Raises KeyError; see `AreaLayout.place`."""
        place = self.layout.place(column)
        return Distribution(
            place.column,
            self.words[self.layout.counts][place.counts],
            self.layout.sums_of(self.words)[place.sums],
        )

    def outcomes(self, column: str | Column) -> Outcomes:
        """How the rows of each of the column's bins fared. Raises KeyError."""
        bins = self.layout.place(column).bins
        return Outcomes(
            rows=self.binned()[bins],
            failed=self.words[self.layout.failed][bins],
            latency_ns=self.words[self.layout.latency][bins],
        )

    def binned(self) -> IntArray:
        """`int64[layout.bin_count]`: the rows of every bin of every column; see `bin_slices`."""
        return self.layout.bins_of(self.words)

    def merge(self, other: Self) -> Self:
        """What both counted. Raises ValueError when the layouts differ."""
        _require_same(self.layout, other.layout)
        return type(self)(self.layout, _combined(self.layout, np.add, self.words, other.words))


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """`words: int64[layout.words]`, read-only. Raises ValueError when there are more or fewer.

    An array that can be written is copied; another is taken as it is.
    """

    layout: AreaLayout
    words: IntArray

    def __post_init__(self) -> None:
        words = np.ascontiguousarray(self.words, dtype=np.int64)
        if words.shape != (self.layout.words,):
            raise ValueError(f"{words.shape} words for an area of {self.layout.words}")
        if words.flags.writeable:
            words = words.copy()
            words.flags.writeable = False
        object.__setattr__(self, "words", words)

    @classmethod
    def empty(cls, layout: AreaLayout) -> Self:
        """Nothing counted yet."""
        return cls(layout, np.zeros(layout.words, np.int64))

    def counter(self, counter: WatchCounter) -> int:
        """A counter of the watch as a whole."""
        return int(self.words[counter])

    def block(self, block: int) -> Block:
        """What was counted in one block. Raises IndexError."""
        at = self.layout.block_at(block)
        return Block(self.layout, self.words[at : at + self.layout.block_words])

    def total(self, blocks: Iterable[int]) -> Block:
        """What was counted in several blocks; those of one segment key sum to everything."""
        chosen = self.layout.blocks_of(self.words)[list(blocks)]
        words = chosen.sum(axis=0)
        self.layout.sums_of(words)[...] = self.layout.sums_of(chosen).sum(axis=0)
        return Block(self.layout, _frozen(words))

    def bins(self) -> IntArray:
        """`int64[block, layout.bin_count]`: the rows of every bin, for gates over all at once."""
        return self.layout.bins_of(self.layout.blocks_of(self.words))

    def merge(self, other: Self) -> Self:
        """What both counted. Raises ValueError when the layouts differ."""
        return self._combined(np.add, other)

    def since(self, earlier: Self) -> Self:
        """What was counted after `earlier`, a snapshot of the same area.

        Raises ValueError when the layouts differ or a number is now lower: it was begun anew.
        """
        window = self._combined(np.subtract, earlier)
        layout, blocks = self.layout, self.layout.blocks_of(window.words)
        whole_numbers = (
            window.words[: layout.blocks_at],
            blocks[:, : layout.sums.start],
            blocks[:, layout.sums.stop :],
        )
        if any((numbers < 0).any() for numbers in whole_numbers):
            raise ValueError("a number fell between the snapshots: they are not of the same area")
        return window

    def _combined(self, combine: np.ufunc, other: Self) -> Self:
        _require_same(self.layout, other.layout)
        layout, at = self.layout, self.layout.blocks_at
        words = np.empty_like(self.words)
        words[:at] = combine(self.words[:at], other.words[:at])
        layout.blocks_of(words)[...] = _combined(
            layout, combine, layout.blocks_of(self.words), layout.blocks_of(other.words)
        )
        return type(self)(layout, _frozen(words))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Area)
            and self.layout == other.layout
            and bool(np.array_equal(self.words, other.words))
        )

    def __hash__(self) -> int:
        return hash((self.layout, self.words.tobytes()))


def _combined(layout: AreaLayout, combine: np.ufunc, one: IntArray, other: IntArray) -> IntArray:
    """Blocks added or subtracted: first as if all were integers, then the sums as what they are."""
    blocks: IntArray = combine(one, other)
    layout.sums_of(blocks)[...] = combine(layout.sums_of(one), layout.sums_of(other))
    return _frozen(blocks)


def _frozen(words: IntArray) -> IntArray:
    words.flags.writeable = False
    return words


def _require_same(one: AreaLayout, other: AreaLayout) -> None:
    if one != other:
        raise ValueError("areas of different layouts neither add nor subtract")
