"""Where the cells of a numeric column begin and end, learned from values of it.

Most cells hold equal shares of the reference, so that a distribution function is known to within
0.4 %. Everything else is there for what quantiles alone get wrong:

    256 quantiles   from q.001 to q.999
    32 even edges   over the same range, so that no cell of it is wider than 3.3 % of the range
    24 tail cells   on each side, the first 0.05 IQR wide, each next one 1.5 times as wide: a shift
                    by 1,600 IQR is still seen in cells
    atoms           values that hold 1/128 of the values or more, and all of them when at most 96
                    are distinct, in cells `[v, next float)` of their own
    deciles         the bounds of the bins of drift, which are so unions of cells

Sums are kept beside the counts of tail cells and of cells wider than 2 % of the range: there the
middle of a cell would say too little about its values.

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
EVEN_EDGES: Final = 32
OUTERMOST: Final = 0.001
TAIL_CELLS: Final = 24
FIRST_TAIL_CELL: Final = 0.05  # of the IQR
TAIL_GROWTH: Final = 1.5
FEW_DISTINCT: Final = 96
ATOMS_AT_MOST: Final = 128
WIDE: Final = 0.02  # of the range
BINS: Final = 10

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
        bins = _all_buckets(edges)
        summed: tuple[int, ...] = (0, edges.size)
    else:
        atoms = _atoms(distinct, repeats)
        shape = _Shape(finite, atoms)
        deciles = shape.deciles()
        edges = np.unique(np.concatenate([shape.cells(), _cells_of(atoms), deciles]))
        edges = edges[np.isfinite(edges)]
        bins = _bins(edges, deciles, finite)
        summed = _summed(edges, shape.low, shape.high)
    return Column(
        name=name,
        part=part,
        kind=ColumnKind.NUMERIC,
        edges=tuple(edges.tolist()),
        center=_mean(finite),
        summed=summed,
        bins=bins,
    )


class _Shape:
    """What the cells of a column that is no constant are made from."""

    def __init__(self, finite: FloatArray, atoms: FloatArray) -> None:
        self._finite = finite
        self._atoms = atoms
        self._scale = scale = _SCALE_OF_HUGE if np.abs(finite[[0, -1]]).max() > _HUGE else 1.0
        self._scaled = finite * scale
        low, high = np.quantile(self._scaled, [OUTERMOST, 1 - OUTERMOST])
        self._low, self._high = float(low), float(high)
        self.low, self.high = float(low / scale), float(high / scale)

    def deciles(self) -> FloatArray:
        """The inner bounds of ten bins of equal frequency, as far as the values allow.

        Where deciles coincide, an atom holds a tenth or more: its upper end is a bound too, so
        that it has a bin of its own.
        """
        shares = np.arange(1, BINS) / BINS
        deciles: FloatArray = np.quantile(self._scaled, shares) / self._scale
        distinct, repeats = np.unique(deciles, return_counts=True)
        ends: FloatArray = np.nextafter(distinct[repeats > 1], np.inf)
        return np.asarray(np.unique(np.concatenate([distinct, ends])), dtype=np.float64)

    def cells(self) -> FloatArray:
        """Quantiles, even edges and tails, in no order."""
        parts = [np.linspace(self._low, self._high, EVEN_EDGES), *self._tails()]
        if self._atoms.size < np.unique(self._finite).size:  # otherwise every value has its cell
            shares = np.linspace(OUTERMOST, 1 - OUTERMOST, QUANTILES)
            parts.append(np.quantile(self._scaled, shares))
        with np.errstate(over="ignore"):
            return np.asarray(np.concatenate(parts) / self._scale, dtype=np.float64)

    def _tails(self) -> tuple[FloatArray, FloatArray]:
        widths = FIRST_TAIL_CELL * self._spread() * TAIL_GROWTH ** np.arange(TAIL_CELLS)
        reach = np.cumsum(widths)
        return self._low - reach, self._high + reach

    def _spread(self) -> float:
        """The IQR; where an atom has swallowed it, the next best measure of width above 0."""
        others = self._scaled[~np.isin(self._finite, self._atoms)]
        for values in (self._scaled, others):
            if values.size >= 4:
                first, third = np.quantile(values, [0.25, 0.75])
                if third > first:
                    return float(third - first)
        whole = float(self._scaled[-1] - self._scaled[0])
        return (self._high - self._low or whole) / 4


def _atoms(distinct: FloatArray, repeats: npt.NDArray[np.intp]) -> FloatArray:
    """Values that deserve a cell of their own."""
    if distinct.size <= FEW_DISTINCT:
        return distinct
    atoms: FloatArray = distinct[(repeats * ATOMS_AT_MOST >= repeats.sum()) & (repeats > 1)]
    return atoms


def _cells_of(atoms: FloatArray) -> FloatArray:
    """Two edges around each; the largest float has none above it, and shares the overflow."""
    with np.errstate(over="ignore"):
        above = np.nextafter(atoms, np.inf)
    edges = np.unique(np.concatenate([atoms, above[np.isfinite(above)]]))
    if edges.size == 1:
        edges = np.array([np.nextafter(edges[0], -np.inf), edges[0]])
    return edges


def _all_buckets(edges: FloatArray) -> tuple[int, ...]:
    return tuple(range(edges.size + 1))


def _bins(edges: FloatArray, bounds: FloatArray, finite: FloatArray) -> tuple[int, ...]:
    """The first bucket of each bin; bounds that part no values of the reference are left out."""
    bounds = bounds[np.isfinite(bounds)]
    below = np.searchsorted(finite, bounds, side="left")
    inner = (below > 0) & (below < finite.size)
    _, firsts = np.unique(below[inner], return_index=True)
    starts = np.searchsorted(edges, bounds[inner][firsts]) + 1
    return (0, *starts.tolist())


def _summed(edges: FloatArray, low: float, high: float) -> tuple[int, ...]:
    """The buckets of the tails, and those too wide to stand for their values."""
    lower = np.concatenate([[-np.inf], edges])
    upper = np.concatenate([edges, [np.inf]])
    with np.errstate(over="ignore"):
        wide = upper / 4 - lower / 4 > WIDE * (high / 4 - low / 4)  # the difference may overflow
        atom = np.nextafter(lower, np.inf) == upper
    tails = (upper <= low) | (lower >= high)
    return tuple(np.flatnonzero((wide | tails) & ~atom).tolist())


def _mean(finite: FloatArray) -> float:
    """The mean, of values whose sum may not be a float64."""
    scale = 1.0 / finite.size
    return float(np.clip(np.sum(finite * scale), finite[0], finite[-1]))
