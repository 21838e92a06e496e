"""Who was counted already in this period: each entity counts once.

Periods are aligned to 1970, so that all workers begin them together. Each worker remembers for
itself: an entity whose requests are spread over `w` workers counts up to `w` times.

The table is bounded. Entities that find no place in it are counted every time, and said to be
`UNTRACKED`: leaving them out would blind the later part of every busy period.

Pure: the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

CAPACITY: Final = 262_144  # about 20 MB of hashes at the most


class Sight(Enum):
    """What the table says of an entity."""

    FIRST = "not seen before in this period"
    REPEATED = "seen before"
    UNTRACKED = "perhaps seen before: the table is full"


class EntityTable:
    """Remembers entities of this period, for all watches of a worker, by their hashes.

    Two of 262,144 entities have the same 64-bit hash with a probability of 2e-9.
    """

    def __init__(
        self, period_s: float, wall_ns: Callable[[], int], capacity: int = CAPACITY
    ) -> None:
        self.period_s = period_s
        self._period_ns = int(period_s * 1e9)
        self._wall_ns = wall_ns
        self._capacity = capacity
        self._period = -1
        self._seen: set[int] = set()

    def see(self, watch: int, entity: str) -> Sight:
        """Ask about an entity, and remember it."""
        period = self._wall_ns() // self._period_ns
        seen = self._seen
        if period != self._period:
            self._period = period
            seen.clear()
        key = hash((watch, entity))
        if key in seen:
            return Sight.REPEATED
        if len(seen) >= self._capacity:
            return Sight.UNTRACKED
        seen.add(key)
        return Sight.FIRST
