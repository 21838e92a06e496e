"""What series said before: enough of it for increases over windows, and no more.

A track keeps at most about 60 points of one counter, however long its window: a newer point
replaces the last one until a sixtieth of the window has passed. So a window may be longer than
asked for by a sixtieth and one interval, or by a time in which nobody looked; a rate is over the
time really covered. After a time as long as the window, it begins anew.

A counter that falls began anew (the sidecar restarted): what it had is added from then on, so that
the track only rises. A series that was never seen before has no increase yet: what it counted
before may be a year old.

Pure: the time comes in; a clock that was set back empties what lies in the future.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from sidecar.config.signals import Read, Reading
from sidecar.control.alerts.samples import (
    Labels,
    Sample,
    Samples,
    SeriesKey,
    selected,
    series_key,
)

NS_PER_S: Final = 1_000_000_000
POINTS: Final = 60
MOST_TRACKS: Final = 20_000
"""Series x windows that are followed: 60 points each are 20 MB. Further series have no data, and it
is said."""

HISTOGRAM_SUFFIX: Final = "_bucket"


class Points(Struct, frozen=True, array_like=True):
    """Values and when they were read, oldest first."""

    at_ns: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def followed_by(self, value: float, now_ns: int, span_ns: int) -> Points:
        """With a newer value, thinned out, and without what is older than the span needs."""
        at_ns, values = self.at_ns, self.values
        if at_ns and not 0 < now_ns - at_ns[-1] <= span_ns:
            return Points((now_ns,), (value,))
        if len(at_ns) >= 2 and at_ns[-1] - at_ns[-2] < span_ns // POINTS:
            at_ns, values = at_ns[:-1], values[:-1]
        first = 0
        while first + 1 < len(at_ns) and at_ns[first + 1] <= now_ns - span_ns:
            first += 1
        return Points((*at_ns[first:], now_ns), (*values[first:], value))


class Increase(Struct, frozen=True):
    """What was added, and over which time."""

    amount: float
    elapsed_s: float


class Track(Struct, frozen=True, array_like=True):
    """A counter over one window. `lifted` is what it had counted before it last began anew."""

    raw: float
    lifted: float
    points: Points

    @classmethod
    def begun(cls, value: float, now_ns: int) -> Track:
        """The track of a series that is seen for the first time."""
        return cls(value, 0.0, Points((now_ns,), (value,)))

    def followed_by(self, value: float, now_ns: int, window_ns: int) -> Track:
        """With a newer reading."""
        lifted = self.lifted + (self.raw if value < self.raw else 0.0)
        return Track(value, lifted, self.points.followed_by(value + lifted, now_ns, window_ns))

    def increase(self) -> Increase | None:
        """From the oldest point kept to the newest; None with only one."""
        at_ns, values = self.points.at_ns, self.points.values
        if len(at_ns) < 2:
            return None
        return Increase(values[-1] - values[0], (at_ns[-1] - at_ns[0]) / NS_PER_S)


class Windows(Struct, frozen=True):
    """Everything remembered: tracks of counters by window, and earlier readings by rule.

    `left_out` is how many series there was no room for at the last look.
    """

    tracks: dict[int, dict[SeriesKey, Track]] = {}
    trails: dict[str, dict[Labels, Points]] = {}
    left_out: int = 0

    def followed_by(self, readings: Iterable[Reading], samples: Samples, now_ns: int) -> Windows:
        """With the samples of now, for all windows that these readings need."""
        tracks: dict[int, dict[SeriesKey, Track]] = {}
        room, left_out = MOST_TRACKS, 0
        for reading in readings:
            if reading.read is Read.VALUE:
                continue
            window_ns = round(reading.window_s * NS_PER_S)
            before, after = self.tracks.get(window_ns, {}), tracks.setdefault(window_ns, {})
            for sample in counters_of(reading, samples):
                key = series_key(sample)
                if key in after:
                    continue
                if not room:
                    left_out += 1
                    continue
                room -= 1
                known = before.get(key)
                after[key] = (
                    Track.begun(sample.value, now_ns)
                    if known is None
                    else known.followed_by(sample.value, now_ns, window_ns)
                )
        # Only once all readings have taken theirs is known which series are missing: one window
        # serves many readings. What is missing this once goes on where it was when it comes back.
        for window_ns, after in tracks.items():
            for key, track in self.tracks.get(window_ns, {}).items():
                if room and key not in after and track.points.at_ns[-1] > now_ns - window_ns:
                    room -= 1
                    after[key] = track
        return Windows(tracks, self.trails, left_out)

    def increase(self, sample: Sample, window_s: float) -> Increase | None:
        """The increase of the series that a sample is of; None while it is unknown."""
        track = self.tracks.get(round(window_s * NS_PER_S), {}).get(series_key(sample))
        return None if track is None else track.increase()


def counters_of(reading: Reading, samples: Samples) -> Iterable[Sample]:
    """The samples of all counters that a reading is made of."""
    suffix = HISTOGRAM_SUFFIX if reading.read is Read.QUANTILE else ""
    yield from selected(samples, reading.of, suffix)
    if reading.to is not None:
        yield from selected(samples, reading.to)


def earlier(points: Points, ago_ns: int, now_ns: int) -> float | None:
    """The newest value that is at least so old; None when there is none."""
    found = None
    for at_ns, value in zip(points.at_ns, points.values, strict=True):
        if at_ns > now_ns - ago_ns:
            break
        found = value
    return found
