"""Which snapshots are kept: all of the last hours, fewer of the last days. Pure.

A window is as exact as snapshots stand near its ends, and old windows are looked at from further
away: `day` and `week` compare with the same hours a day or a week ago. So of the snapshots of an
age one per `spacing_s` is kept, the first in each span of that length (spans are counted from 1970,
so that thinning again keeps what it kept before):

    the last 180 intervals            two per interval: all that are due, and few of those beside,
                                      as every call for a live baseline takes one
    the last 3 hours                  one a minute
    the last 50 hours                 one per 5 minutes        (a day's window, and the one before)
    8 days and 2 hours, or more       one per half hour        (a day's window, a week ago)

Beside those stays the last snapshot of each series that is in none of the newer ones: its totals
are nowhere else, and it goes on from them if it comes back.

That is about 1,200 files. Where they are more bytes than `drift.history` allows, all distances are
doubled until they fit; at last the oldest go. Pinned snapshots are never dropped, and the newest
few neither: what pins take is taken from the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from sidecar.config.monitoring import DriftSettings

FINEST_INTERVALS: Final = 180
NEWEST: Final = 8
"""So many are kept whatever the budget: without them there are no windows at all."""

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_STRETCHES: Final = tuple(2**doubling for doubling in range(13))
_NS: Final = 1_000_000_000


class Kept(Protocol):
    """What retention needs to know of a snapshot."""

    @property
    def taken_ns(self) -> int:
        """Its stamp."""

    @property
    def size_bytes(self) -> int:
        """What it takes."""

    @property
    def series(self) -> Collection[str]:
        """Whose totals it holds."""


class Level(Struct, frozen=True):
    """Of snapshots up to `reach_s` old one per `spacing_s` is kept."""

    reach_s: float
    spacing_s: float


def levels(drift: DriftSettings) -> tuple[Level, ...]:
    """How densely snapshots are kept by age, rising; older ones than the last reach are dropped."""
    longest_s = max(drift.windows, default=0.0)
    furthest_s = max(7 * _DAY_S + longest_s, 2 * longest_s, 8 * _DAY_S) + 2 * _HOUR_S
    return (
        Level(FINEST_INTERVALS * drift.interval, drift.interval / 2),
        Level(3 * _HOUR_S, _MINUTE_S),
        Level(50 * _HOUR_S, 5 * _MINUTE_S),
        Level(furthest_s, 30 * _MINUTE_S),
    )


def spacing_s(kept: Sequence[Level], age_s: float) -> float:
    """How far apart snapshots of an age are kept when the budget suffices."""
    return next((level.spacing_s for level in kept if age_s <= level.reach_s), kept[-1].spacing_s)


def dropped(
    snapshots: Sequence[Kept],
    *,
    now_ns: int,
    kept: Sequence[Level],
    budget_bytes: int,
    pinned: Collection[int],
) -> set[int]:
    """The stamps of those to drop, of `snapshots` (oldest first); `pinned` stay in any case."""
    sizes = {one.taken_ns: one.size_bytes for one in snapshots}
    safe = (set(pinned) | set(list(sizes)[-NEWEST:])) & set(sizes)
    last = {owner: one.taken_ns for one in snapshots for owner in one.series}
    oldest_ns = now_ns - round(kept[-1].reach_s * _NS)
    farewells = {stamp for stamp in last.values() if stamp >= oldest_ns}
    left = set(sizes)
    for stretch in _STRETCHES:
        left = _thinned(sizes, now_ns, kept, stretch) | farewells | safe
        if sum(sizes[stamp] for stamp in left) <= budget_bytes:
            return set(sizes) - left
    excess = sum(sizes[stamp] for stamp in left) - budget_bytes
    for stamp in sorted(left - safe):
        if excess <= 0:
            break
        left.discard(stamp)
        excess -= sizes[stamp]
    return set(sizes) - left


def _thinned(
    sizes: Mapping[int, int], now_ns: int, kept: Sequence[Level], stretch: int
) -> set[int]:
    """The first snapshot of each span of its level; none beyond the last level."""
    left: set[int] = set()
    seen: set[tuple[int, int]] = set()
    for stamp in sizes:
        age_s = (now_ns - stamp) / _NS
        level = next((one for one in kept if age_s <= one.reach_s), None)
        if level is None:
            continue
        span_ns = max(round(level.spacing_s * stretch * _NS), 1)
        if (span_ns, stamp // span_ns) not in seen:
            seen.add((span_ns, stamp // span_ns))
            left.add(stamp)
    return left
