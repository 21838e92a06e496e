"""Classic Prometheus buckets out of the board's fine ones.

Must not know: metrics, labels, cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from prometheus_client.utils import floatToGoString

from sidecar.errors import ConfigError
from sidecar.sketch import Edges, IntArray

NS_PER_S = 1_000_000_000


class ClassicBuckets:
    """Upper bounds in seconds, each snapped to the nearest edge (in nanoseconds).

    `bounds` are the values of the `le` label, the last one `+Inf`. The label stays as configured
    where the bound was moved: by less than half a percent, and not at all where it is 1, 1.5, 2,
    2.5, 3, 4, 5, 6, 7.5 or 8 times a power of ten. Raises ConfigError when the bounds do not rise,
    or lie outside of the edges, where values can no longer be told apart.
    """

    def __init__(self, bounds_s: Sequence[float], edges: Edges) -> None:
        lowest_s, highest_s = edges.values[0] / NS_PER_S, edges.values[-1] / NS_PER_S
        for place, bound_s in enumerate(bounds_s):
            if not lowest_s <= bound_s <= highest_s:
                raise ConfigError(
                    f"a bucket's bound is between {lowest_s:g} and {highest_s:g} seconds, "
                    f"not {bound_s:g}",
                    path=f"$.metrics.buckets[{place}]",
                )
        for place, (lower_s, upper_s) in enumerate(pairwise(bounds_s)):
            if lower_s >= upper_s:
                raise ConfigError(
                    f"bounds of buckets rise, {upper_s:g} is not above {lower_s:g}",
                    path=f"$.metrics.buckets[{place + 1}]",
                )
        self.bounds = (*map(floatToGoString, bounds_s), "+Inf")
        # Below edge `i` are the buckets 0..i: `cumulative[i]` of the fine counts.
        self._places = np.array([edges.nearest(bound_s * NS_PER_S) for bound_s in bounds_s] + [-1])

    def labelled(self, counts: IntArray) -> list[tuple[str, int]]:
        """`(le, how many values are below it)` for fine `counts: int64[bucket]`; `+Inf` is all."""
        return list(zip(self.bounds, np.cumsum(counts)[self._places].tolist(), strict=True))
