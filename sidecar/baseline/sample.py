"""A sample of rows, every row as likely as any other, in bounded memory.

Edges, intervals and rank statistics need values, not counts. As long as the data have no more rows
than the sample holds, it is the data, in their order. Beyond that it is a uniform sample (Vitter's
algorithm R), the same every time for the same data in the same chunks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from sidecar.baseline.counting import Value, Values
from sidecar.baseline.edges import FloatArray

ROWS_AT_MOST: Final = 200_000
VALUES_AT_MOST: Final = 16_000_000  # 128 MB of numbers

Places = npt.NDArray[np.intp]


def capacity_for(columns: int) -> int:
    """How many rows a sample of that many columns holds."""
    return max(1, min(ROWS_AT_MOST, VALUES_AT_MOST // max(columns, 1)))


class RowSample:
    """Which rows are in the sample; the columns follow it. `rng` is seeded by the caller."""

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self.capacity = capacity
        self._rng = rng
        self._seen = 0

    @property
    def size(self) -> int:
        """How many rows are in it."""
        return min(self._seen, self.capacity)

    def choose(self, rows: int) -> tuple[Places, Places]:
        """For the next `rows` rows: which of them come in, and at which places of the sample."""
        first = self._seen
        self._seen += rows
        indices = np.arange(first, first + rows)
        places = indices.copy()
        late = indices >= self.capacity
        places[late] = self._rng.integers(0, indices[late] + 1)
        chosen = np.flatnonzero(places < self.capacity)
        return chosen, places[chosen]


class SampledNumbers:
    """The sampled numbers of a column; grows with the sample, NaN where there is none."""

    def __init__(self) -> None:
        self._values: FloatArray = np.full(0, np.nan)

    def put(self, values: FloatArray, chosen: Places, places: Places) -> None:
        """Take the chosen values of a chunk to their places."""
        if not chosen.size:
            return
        needed = int(places.max()) + 1
        if needed > self._values.size:
            grown = np.full(max(needed, self._values.size * 2), np.nan)
            grown[: self._values.size] = self._values
            self._values = grown
        self._values[places] = values[chosen]  # of several to one place, the last stays

    def values(self, size: int) -> FloatArray:
        """`float64[size]`."""
        found = np.full(size, np.nan)
        kept = self._values[:size]
        found[: kept.size] = kept
        return found


class SampledValues:
    """The sampled values of a column that may hold texts."""

    def __init__(self) -> None:
        self._values: list[Value] = []

    def put(self, values: Values, chosen: Places, places: Places) -> None:
        """Take the chosen values of a chunk to their places."""
        if not chosen.size:
            return
        missing = int(places.max()) + 1 - len(self._values)
        self._values.extend([None] * max(missing, 0))
        plain = values.tolist() if isinstance(values, np.ndarray) else values
        for place, row in zip(places.tolist(), chosen.tolist(), strict=True):
            self._values[place] = plain[row]

    def values(self, size: int) -> list[Value]:
        """As many as the sample has rows."""
        return [*self._values[:size], *[None] * (size - len(self._values))]
