"""The bins of all columns of an area as one array, so that the gate judges them in one call.

Columns have different numbers of bins; side by side in `[..., column, width]` the shorter ones are
followed by zeros, which the gate is told not to count. Missing values and infinities are no bins of
drift and stand apart.

Must not know: windows, references, what drift is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sidecar.sketch import AreaLayout, Column, IntArray

IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Counts of columns.

    values:  int64[..., column, width]    by the bins of drift, then zeros
    missing: int64[..., column]           absent, null, NaN
    rows:    int64[..., column]           all: values, missing ones and infinities
    """

    values: IntArray
    missing: IntArray
    rows: IntArray

    def at(self, index: int) -> Packed:
        """One of those along the first axis."""
        return Packed(self.values[index], self.missing[index], self.rows[index])


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """How the columns of a layout (not its measures) are packed.

    bins:  int64[column]    how many bins each column has
    """

    layout: AreaLayout
    columns: tuple[Column, ...] = field(init=False)
    bins: IntArray = field(init=False)
    _values: IndexArray = field(init=False)
    _missing: IndexArray = field(init=False)
    _infinite: IndexArray = field(init=False)

    def __post_init__(self) -> None:
        columns = self.layout.columns
        places = self.layout.places[: len(columns)]
        bins = np.array([len(column.bins) for column in columns], dtype=np.int64)
        nothing = self.layout.bin_count  # the place of a zero behind all bins
        values = np.full((len(columns), int(bins.max(initial=1))), nothing, dtype=np.intp)
        for row, place in zip(values, places, strict=True):
            own = place.value_bins
            row[: own.stop - own.start] = np.arange(own.start, own.stop)
        stops = np.array([place.value_bins.stop for place in places], dtype=np.intp)
        for name, value in (
            ("columns", columns), ("bins", bins), ("_values", values),
            ("_missing", stops), ("_infinite", stops + 1),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def of(self, bins: IntArray) -> Packed:
        """`int64[..., layout.bin_count]`, as areas give it, packed."""
        with_zero = np.concatenate([bins, np.zeros((*bins.shape[:-1], 1), np.int64)], axis=-1)
        values = with_zero[..., self._values]
        missing = bins[..., self._missing]
        rows = values.sum(axis=-1) + missing + bins[..., self._infinite]
        return Packed(values, missing, rows)
