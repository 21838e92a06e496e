"""Which snapshots a window is the difference of. Pure.

Snapshots are totals since counting began. What came between two of them is their difference, exact
to the count, and so is each of its parts; only its length may differ from what was asked for,
because snapshots stand where they were taken. The nearest ones are used:

    asked           start_ns |-------------------------| end_ns
    snapshots     |      |      |      |      |      |      |
    window               |-------- parts ---------|...

Each end may be off by a quarter of the length. Where old snapshots have thinned out it may be off
by more, by the distance of the two around it, if that is at most four times what is meant to be
kept of that age: half hours of last week serve as a reference for five minutes of today. Beyond it
there is no window. Two ends that fall on one snapshot are moved apart to the snapshots around it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.sketch.areas import Area
from sidecar.sketch.kernels import IntArray

MOST_PARTS: Final = 30
"""Parts of one window: with as many the dispersion of ten bins is known to about 9 %."""

LENGTH_SLACK: Final = 0.25
"""By how much of its length each end of a window may be off."""

THINNED_SLACK: Final = 4
"""And by how many distances of snapshots of its age: `drift.history` may have stretched them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """What was counted after `start_ns` and up to `end_ns` (the stamps of two snapshots).

    `parts: int64[part, block, layout.bin_count]` are the bins of consecutive parts, at most
    MOST_PARTS, which add up to those of `area`; `asked_s` is the length that was asked for (None:
    between two named snapshots).
    """

    start_ns: int
    end_ns: int
    asked_s: float | None
    area: Area
    parts: IntArray

    @property
    def length_s(self) -> float:
        """How long it is in fact."""
        return (self.end_ns - self.start_ns) / 1e9


def pick_ends(
    stamps_ns: Sequence[int],
    start_ns: int,
    end_ns: int,
    *,
    start_slack_ns: int,
    end_slack_ns: int,
) -> tuple[int, int] | None:
    """The places in `stamps_ns` (rising) between which the window lies; None: there is none.

    The slacks are by how much each end may be off.
    """
    if len(stamps_ns) < 2:
        return None
    first, last = nearest(stamps_ns, start_ns), nearest(stamps_ns, end_ns)
    if first == last:
        first = max(bisect_right(stamps_ns, start_ns) - 1, 0)
        last = min(bisect_left(stamps_ns, end_ns), len(stamps_ns) - 1)
    if first >= last:
        return None
    if abs(stamps_ns[first] - start_ns) > start_slack_ns:
        return None
    if abs(stamps_ns[last] - end_ns) > end_slack_ns:
        return None
    return first, last


def gap_ns(stamps_ns: Sequence[int], at_ns: int) -> int:
    """How far apart the two stamps around a moment are; 0 when it is one, or has only one side."""
    after = bisect_left(stamps_ns, at_ns)
    if not 0 < after < len(stamps_ns) or stamps_ns[after] == at_ns:
        return 0
    return stamps_ns[after] - stamps_ns[after - 1]


def cut(stamps_ns: Sequence[int], first: int, last: int, *, most: int) -> tuple[int, ...]:
    """Places from `first` to `last`, both included, that cut a window into at most `most` parts.

    All of them if there are no more; else those nearest to cuts at even distances.
    """
    if last - first <= most:
        return tuple(range(first, last + 1))
    start_ns, length_ns = stamps_ns[first], stamps_ns[last] - stamps_ns[first]
    inner = {
        nearest(stamps_ns, start_ns + length_ns * part // most, first + 1, last - 1)
        for part in range(1, most)
    }
    return (first, *sorted(inner), last)


def nearest(stamps_ns: Sequence[int], at_ns: int, first: int = 0, last: int | None = None) -> int:
    """The place, from `first` to `last`, of the stamp nearest to `at_ns`; the earlier of two."""
    last = len(stamps_ns) - 1 if last is None else last
    after = min(bisect_left(stamps_ns, at_ns, first, last + 1), last)
    before = max(after - 1, first)
    return before if at_ns - stamps_ns[before] <= stamps_ns[after] - at_ns else after
