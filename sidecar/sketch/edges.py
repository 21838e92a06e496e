"""Where the cells of a histogram begin and end.

`n` edges make `n + 1` buckets: bucket 0 holds what is below the first edge (underflow), bucket `i`
the half-open cell `[edge[i-1], edge[i])`, and bucket `n` all from the last edge on (overflow). Two
histograms may meet only if their edges are the same; a hash of the content says so cheaply.

Must not know: what is measured, where the counts stand, who shows them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

from sidecar.model import LATENCY_DECADES, LONGEST_LATENCY_NS, SHORTEST_LATENCY_NS

# Where people put the bounds of latency buckets, in every decade. Each of them is an edge, so that
# a Prometheus bucket with such a bound counts exactly and not merely to within one cell.
_ROUND_NUMBERS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 8.0, 10.0)
_RELATIVE_WIDTH = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """`values: float64[n]`, read-only: at least two, finite, strictly rising; else ValueError."""

    values: npt.NDArray[np.float64]
    content_hash: str = field(init=False)

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64, order="C")  # ours: nobody else can write
        if values.ndim != 1 or values.size < 2:
            raise ValueError("edges are a vector of at least two values")
        if not np.isfinite(values).all() or not (np.diff(values) > 0).all():
            raise ValueError("edges are finite and strictly rising")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        # Little-endian, so that the hash means the same wherever it is read.
        digest = hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
        object.__setattr__(self, "content_hash", digest)

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Self:
        """Edges of anything NumPy reads as a vector of floats."""
        return cls(np.asarray(values, dtype=np.float64))

    @property
    def bucket_count(self) -> int:
        """Cells between the edges, underflow and overflow."""
        return int(self.values.size) + 1

    def bucket_of(self, value: float) -> int:
        """The bucket that holds `value`: the number of edges at or below it."""
        return int(np.searchsorted(self.values, value, side="right"))

    def bounds(self, bucket: int) -> tuple[float, float]:
        """`(lower, upper)` of a bucket; the outermost ones reach to infinity. Raises IndexError."""
        if not 0 <= bucket < self.bucket_count:
            raise IndexError(f"no bucket {bucket}: there are {self.bucket_count}")
        lower = -np.inf if bucket == 0 else float(self.values[bucket - 1])
        upper = np.inf if bucket == self.values.size else float(self.values[bucket])
        return lower, upper

    def nearest(self, value: float) -> int:
        """The index of the edge nearest to `value`; of two as near, the lower."""
        return int(np.argmin(np.abs(self.values - value)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edges) and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)


def latency_edges() -> Edges:
    """Edges in nanoseconds from 10 us to 1000 s, every cell at most 1 % wide: 1889 edges.

    Log-spaced between the round numbers of a decade, which are edges themselves. Any quantile is
    so known to within 1 %, whatever the distribution, at 15 KB a histogram.
    """
    ratios: list[float] = []
    for low, high in pairwise(_ROUND_NUMBERS):
        cells = int(np.ceil(np.log(high / low) / np.log1p(_RELATIVE_WIDTH)))
        # Rounded: math libraries differ in the last bit of a power, and the hash would show it.
        ratios += [round(low * (high / low) ** (cell / cells), 9) for cell in range(cells)]
    decades = [SHORTEST_LATENCY_NS * 10**power for power in range(LATENCY_DECADES)]
    inner = [decade * ratio for decade in decades for ratio in ratios]
    return Edges.of([*inner, LONGEST_LATENCY_NS])
