"""Where the cells of a numeric column begin and end, learned from values of it.

Most cells hold equal shares of the reference, so that a distribution function is known to within
0.4 %. Everything else is there for what quantiles alone get wrong:

    256 quantiles   from q.001 to q.999
    32 even edges   over the same range, so that no cell of it is wider than 3.3 % of the range
    24 tail cells   on each side, each 1.5 times as wide as the one before; the first is 0.05 IQR
                    wide, or 1 % of the way from the median where that is more: a shift by 1,600 IQR
                    is still seen in cells, and heavy tails too
    atoms           values that hold 1/200 of the values or more, and all of them when at most 96
                    are distinct, in cells `[v, next float)` of their own
    deciles         the bounds of the bins of drift, which are so unions of cells

Beside atoms, quantiles are those of the other values, as many as these need.

A cell stands for its values by its middle, where that is near enough. Sums are kept beside the
counts of all others: tail cells, cells wider than 2 % of the range, or than 2 % of the IQR and 4 %
of their distance from the median, cells beside atoms, and those that the reference leaves empty.

A constant has three buckets: below, the value, above.

All arithmetic that could leave the range of float64 is done on values scaled by a power of two;
edges that would be infinite are left out.

Must not know: files, rows, what drift is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch.columns import Column

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

QUANTILES: Final = 256
FEWEST_QUANTILES: Final = 64  # of values beside atoms, however few these are
EVEN_EDGES: Final = 32
OUTERMOST: Final = 0.001
TAIL_CELLS: Final = 24
FIRST_TAIL_CELL: Final = 0.05  # of the IQR
FIRST_FAR_CELL: Final = 0.01  # of the distance from the median
TAIL_GROWTH: Final = 1.5
FEW_DISTINCT: Final = 96
# A cell may hide a difference of its mass from KS, which shall be exact to 0.005.
ATOMS_AT_MOST: Final = 200
BINS: Final = 10

WIDE_IN_RANGE: Final = 0.02
WIDE_IN_IQR: Final = 0.02
WIDE_IN_DISTANCE: Final = 0.04

# Differences and sums of a few values below 2**1000 stay finite.
_HUGE: Final = 2.0**1000
_SCALE_OF_HUGE: Final = 2.0**-24


def numeric_column(name: str, part: ColumnPart, values: FloatArray) -> Column:
    """The column that counts values such as `values: float64[n]`; those not finite are left out.

    Cost: O(n log n). Raises ValueError when no value is finite.
    """
    finite = np.sort(values[np.isfinite(values)]) + 0.0  # -0.0 becomes 0.0: one atom, not two
    if not finite.size:
        raise ValueError(f"{name}: no value to learn from")
    distinct, repeats = np.unique(finite, return_counts=True)
    if distinct.size == 1:
        edges = _cells_of(distinct)
        bins, summed = [0, 1, 2], [0, 2]
    else:
        shape = _Shape(finite, _atoms(distinct, repeats))
        edges = shape.edges()
        bins, summed = _bins(edges, shape.deciles, finite), shape.summed(edges)
    return Column(
        name=name,
        part=part,
        kind=ColumnKind.NUMERIC,
        edges=tuple(edges.tolist()),
        center=_mean(finite),
        summed=tuple(summed),
        bins=tuple(bins),
    )


class _Shape:
    """What the cells of a column that is no constant are made from.

    finite: float64[n], sorted, at least two distinct; atoms: those of them with their own cells.
    Names with `scaled` are in units in which differences are finite.
    """

    def __init__(self, finite: FloatArray, atoms: FloatArray) -> None:
        self._finite = finite
        self._atoms = atoms
        self._scale = _SCALE_OF_HUGE if np.abs(finite[[0, -1]]).max() > _HUGE else 1.0
        scaled = finite * self._scale
        self._others_scaled = scaled[~np.isin(finite, atoms)]
        self._low, self._first, self._median, self._third, self._high = np.quantile(
            scaled, [OUTERMOST, 0.25, 0.5, 0.75, 1 - OUTERMOST]
        )
        self._whole = float(scaled[-1] - scaled[0])
        self.deciles = self._deciles(scaled)

    def _deciles(self, scaled: FloatArray) -> FloatArray:
        """The inner bounds of ten bins of equal frequency, as far as the values allow.

        Where deciles coincide, an atom holds a tenth or more: its upper end is a bound too, so
        that it has a bin of its own.
        """
        shares = np.arange(1, BINS) / BINS
        deciles: FloatArray = np.quantile(scaled, shares) / self._scale
        distinct, repeats = np.unique(deciles, return_counts=True)
        bounds = np.unique(np.concatenate([distinct, _next(distinct[repeats > 1])]))
        return np.asarray(bounds[np.isfinite(bounds)], dtype=np.float64)

    def edges(self) -> FloatArray:
        """`float64[m]`, strictly rising and finite."""
        scaled = [
            np.linspace(self._low, self._high, EVEN_EDGES),
            self._low - self._reach(self._median - self._low),
            self._high + self._reach(self._high - self._median),
        ]
        others = self._others_scaled
        if others.size:
            share = others.size / self._finite.size
            count = max(round(QUANTILES * share), FEWEST_QUANTILES)
            scaled.append(np.quantile(others, np.linspace(OUTERMOST, 1 - OUTERMOST, count)))
        with np.errstate(over="ignore"):
            cells = np.concatenate(scaled) / self._scale
        edges = np.unique(np.concatenate([cells, _cells_of(self._atoms), self.deciles]))
        return np.asarray(edges[np.isfinite(edges)], dtype=np.float64)

    def summed(self, edges: FloatArray) -> list[int]:
        """The buckets whose middle says too little about their values."""
        lower = np.concatenate([[-np.inf], edges * self._scale])
        upper = np.concatenate([edges * self._scale, [np.inf]])
        width = upper - lower
        iqr, spread = self._third - self._first, self._high - self._low
        distance = np.minimum(np.abs(lower - self._median), np.abs(upper - self._median))
        wide = (width > WIDE_IN_RANGE * spread) | (
            (width > WIDE_IN_IQR * iqr) & (width > WIDE_IN_DISTANCE * distance)
        )
        tail = (upper <= self._low) | (lower >= self._high)
        filled = np.searchsorted(edges, self._finite, side="right")
        empty = np.bincount(filled, minlength=width.size) == 0
        starts, ends = np.concatenate([[-np.inf], edges]), np.concatenate([edges, [np.inf]])
        beside_atom = np.isin(ends, self._atoms) | np.isin(starts, _next(self._atoms))
        own_cell = _next(starts) == ends
        chosen = (wide | tail | empty | beside_atom) & ~own_cell
        return [int(bucket) for bucket in np.flatnonzero(chosen)]

    def _reach(self, from_median: float) -> FloatArray:
        """How far the tail cells of a side reach, the bulk ending so far from the median."""
        first = max(FIRST_TAIL_CELL * self._spread(), FIRST_FAR_CELL * from_median)
        return np.cumsum(first * TAIL_GROWTH ** np.arange(TAIL_CELLS))

    def _spread(self) -> float:
        """The IQR; where an atom has swallowed it, the next best measure of width above 0."""
        if self._third > self._first:
            return float(self._third - self._first)
        if self._others_scaled.size >= 4:
            first, third = np.quantile(self._others_scaled, [0.25, 0.75])
            if third > first:
                return float(third - first)
        return float(self._high - self._low or self._whole) / 4


def _atoms(distinct: FloatArray, repeats: npt.NDArray[np.intp]) -> FloatArray:
    """Values that deserve a cell of their own."""
    if distinct.size <= FEW_DISTINCT:
        return distinct
    frequent = (repeats * ATOMS_AT_MOST >= repeats.sum()) & (repeats > 1)
    return np.asarray(distinct[frequent], dtype=np.float64)


def _next(values: FloatArray) -> FloatArray:
    """The next larger float of each; infinity after the largest."""
    with np.errstate(over="ignore"):
        return np.asarray(np.nextafter(values, np.inf), dtype=np.float64)


def _cells_of(atoms: FloatArray) -> FloatArray:
    """Two edges around each; the largest float has none above it, and shares the overflow."""
    above = _next(atoms)
    edges = np.unique(np.concatenate([atoms, above[np.isfinite(above)]]))
    if edges.size == 1:
        edges = np.array([np.nextafter(edges[0], -np.inf), edges[0]])
    return np.asarray(edges, dtype=np.float64)


def _bins(edges: FloatArray, bounds: FloatArray, finite: FloatArray) -> list[int]:
    """The first bucket of each bin; bounds that part no values of the reference are left out."""
    below = np.searchsorted(finite, bounds, side="left")
    inner = (below > 0) & (below < finite.size)
    _, firsts = np.unique(below[inner], return_index=True)
    starts = np.searchsorted(edges, bounds[inner][firsts]) + 1
    return [0, *(int(start) for start in starts)]


def _mean(finite: FloatArray) -> float:
    """The mean, of sorted values whose sum may not be a float64."""
    with np.errstate(over="ignore"):  # shares are rounded: even their sum may be beyond the largest
        total = np.sum(finite / finite.size)
    return float(np.clip(total, finite[0], finite[-1]))
