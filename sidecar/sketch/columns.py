"""A column: how the values of one feature, prediction, score or measure are counted.

Every column has `width` counters. The first `value_buckets` of them hold values:

    numeric       edge count + 1 buckets, as in `Edges`: underflow, cells, overflow
    categorical   one per known category, in order, then `other`

and the last two hold what is no value: `missing` (absent, null, NaN) and `nonfinite` (infinities;
of a categorical column always 0). Beside the counts of `summed` buckets (the tails, and cells too
wide to stand for their values) float64 sums of `value - center` are kept, so that means and
Wasserstein distances stay exact there; unshifted sums would lose their variance to cancellation.
What one value adds is cut at `reach`: a sum that once held 1e300 would never show anything else.

`bins` are the first buckets of the bins by which drift is judged: unions of neighbouring buckets,
fixed when the reference was made.

A column is a value: it travels to workers, stands in baseline files, and two columns that are equal
count alike.

Must not know: memory, processes, what drift is.
"""

from __future__ import annotations

import hashlib
import sys
from itertools import pairwise
from math import isfinite

import msgspec
from msgspec import Struct

from sidecar.model import ColumnKind, ColumnPart

MISSING = -2
"""The index of the counter of missing values, from the end."""
NONFINITE = -1
"""The index of the counter of infinities, from the end."""
SPECIALS = 2
"""How many counters follow those of values."""


class Column(Struct, frozen=True, kw_only=True):
    """How one column is counted; see the module's text. Raises ValueError when inconsistent.

    edges:      finite, strictly rising, at least two; empty for a categorical column
    categories: texts, each once; empty for a numeric column
    center:     finite; subtracted from what is summed: the mean of the reference
    summed:     buckets beside whose count a sum is kept, rising
    bins:       the first bucket of each bin, rising from 0
    """

    name: str
    part: ColumnPart
    kind: ColumnKind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    center: float = 0.0
    summed: tuple[int, ...] = ()
    bins: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        numeric = self.kind is ColumnKind.NUMERIC
        if numeric != (len(self.edges) >= 2) or (numeric and self.categories):
            raise ValueError(f"{self.name}: a numeric column has two edges or more, no other has")
        for what, values in (("edges", self.edges), ("summed", self.summed), ("bins", self.bins)):
            if not all(low < high for low, high in pairwise(values)):  # nor NaN among them
                raise ValueError(f"{self.name}: {what} are not strictly rising")
        if not all(map(isfinite, (*self.edges[:1], *self.edges[-1:], self.center))):
            raise ValueError(f"{self.name}: edges and center are finite")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"{self.name}: a category is given twice")
        if not self.bins or self.bins[0] != 0 or self.bins[-1] >= self.value_buckets:
            raise ValueError(f"{self.name}: bins begin at bucket 0 and end before {self.width}")
        if self.summed and not 0 <= self.summed[0] <= self.summed[-1] < self.value_buckets:
            raise ValueError(f"{self.name}: summed buckets are buckets of values")

    @property
    def value_buckets(self) -> int:
        """How many counters hold values; they come first."""
        return len(self.edges or self.categories) + 1

    @property
    def width(self) -> int:
        """How many counters the column has."""
        return self.value_buckets + SPECIALS

    @property
    def reach(self) -> float:
        """The most that one value adds to a sum, up or down: far beyond any value that is real.

        2 ** 30 times the largest number of the reference; what is added later is then still known
        to 2 ** -23 of that number, and no sum overflows.
        """
        if not self.edges:
            return 0.0
        largest = max(abs(self.edges[0]), abs(self.edges[-1]), abs(self.center))
        if largest < sys.float_info.min:  # a column of zeros has no scale of its own
            largest = 1.0
        return min(largest * 2.0**30, 1e290)

    @property
    def content_hash(self) -> str:
        """The same for columns that count alike, 16 hexadecimal digits."""
        return hashlib.blake2b(msgspec.msgpack.encode(self), digest_size=8).hexdigest()
