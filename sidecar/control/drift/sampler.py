"""Finds the two sides of a comparison in the history of one watched model.

    baseline    the counts of its baseline
    previous    the window of the same length that ends where this one begins
    day, week   the window of the same length that ended a day, a week earlier
    a name      the window of the same length that ended when that snapshot was taken

A side that is not there is an `Unavailable`, which says why and from when on it will be: nothing is
left out in silence. No window is compared with rows of its own: where a reference would reach into
the window it ends where that begins, and a window longer than the step back is not compared at all.

Everything here may block for reading snapshots.

Must not know: verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sidecar.config.monitoring import DriftSettings
from sidecar.control.drift.packing import Packing
from sidecar.control.drift.question import window_name
from sidecar.control.drift.samples import PARTS_ASKED, BaselineSample, Sample, WindowSample
from sidecar.control.observation import History, Watched, Window

BASELINE: Final = "baseline"
PREVIOUS: Final = "previous"
NOW: Final = "now"
"""As the name of a snapshot: the newest, whether it has a name or not."""

STEPS_BACK_S: Final = {"day": 86_400.0, "week": 7 * 86_400.0}
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A side of a comparison that is not there, and why."""

    why: str


class Sampler:
    """The samples of one model, as of the snapshot `end_ns`.

    `baseline` is what it is compared with (None: nothing yet); `learned` says how far learning is.
    """

    def __init__(
        self,
        watched: Watched,
        packing: Packing,
        history: History,
        settings: DriftSettings,
        *,
        end_ns: int,
        baseline: BaselineSample | None,
        learned: str,
    ) -> None:
        self.watched = watched
        self.packing = packing
        self._history = history
        self._settings = settings
        self._end_ns = end_ns
        self._baseline = baseline
        self._learned = learned
        entity = settings.entity
        shortest_s = float(min(settings.windows, default=0.0))
        self._entity_s = None if entity is None else float(entity.per or shortest_s)

    def window(self, length_s: float) -> WindowSample | Unavailable:
        """What passed in the time of this length up to the snapshot."""
        if not self.packing.columns:
            return Unavailable(self._learned)
        window = self._history.window(
            self.watched.owner, self._end_ns, length_s, most_parts=PARTS_ASKED
        )
        if window is None:
            return Unavailable(
                f"no whole window of {window_name(length_s)} yet: this model has been watched "
                "for less, in this form"
            )
        return self._sample(window, window_name(length_s))

    def between(self, first: str, last: str) -> WindowSample | Unavailable:
        """What passed between two named snapshots. Raises ClientError: no such names."""
        if not self.packing.columns:
            return Unavailable(self._learned)
        owner, history = self.watched.owner, self._history
        if last != NOW or NOW in history.pins:
            window = history.between(owner, first, last, most_parts=PARTS_ASKED)
        elif first in history.pins and history.pins[first].taken_ns >= self._end_ns:
            return Unavailable(f"no snapshot has been taken since {first!r} yet")
        else:
            window = self._since(first)
        if window is None:
            return Unavailable(
                f"this model was not watched, in this form, when {first!r} or {last!r} was taken"
            )
        return self._sample(window, f"{first}..{last}")

    def reference(self, name: str, current: WindowSample) -> Sample | Unavailable:
        """What a window is compared with under this name."""
        if name == BASELINE:
            return self._baseline or Unavailable(self._learned)
        window = current.window
        length_s = window.length_s if window.asked_s is None else window.asked_s
        if name == PREVIOUS:
            return self._earlier(name, window.start_ns, length_s)
        if name in STEPS_BACK_S:
            back_s = STEPS_BACK_S[name]
            if length_s > back_s:
                return Unavailable(f"the window is longer than a {name}: it would meet itself")
            end_ns = min(window.end_ns - round(back_s * _NS), window.start_ns)
            return self._earlier(name, end_ns, length_s)
        pin = self._history.pins.get(name)
        if pin is None:
            return Unavailable(
                f"there is no snapshot named {name!r} yet; take one with "
                f"`sidecar snapshot take {name}`"
            )
        if pin.taken_ns > window.start_ns:
            return Unavailable(f"snapshot {name!r} was taken after the window began")
        return self._earlier(name, pin.taken_ns, length_s)

    def _earlier(self, name: str, end_ns: int, length_s: float) -> WindowSample | Unavailable:
        window = self._history.window(self.watched.owner, end_ns, length_s, most_parts=PARTS_ASKED)
        if window is None:
            return Unavailable(
                f"no snapshots of {name!r} over {window_name(round(length_s))}: this model was "
                "not watched then, in this form"
            )
        return self._sample(window, name)

    def _since(self, first: str) -> Window | None:
        """From a named snapshot to the newest. Raises ClientError: no such name."""
        pin = self._history.pins.get(first)
        if pin is None:
            return self._history.between(self.watched.owner, first, first)  # it has the words
        length_s = (self._end_ns - pin.taken_ns) / _NS
        window = self._history.window(
            self.watched.owner, self._end_ns, length_s, most_parts=PARTS_ASKED
        )
        return window if window is not None and window.start_ns == pin.taken_ns else None

    def _sample(self, window: Window, name: str) -> WindowSample:
        return WindowSample.of(
            self.watched, self.packing, window, name=name, entity_s=self._entity_s
        )
