"""The past of every watch: windows of it, and snapshots that people have named.

A snapshot holds the totals of all series at one moment. Totals never fall
(`sidecar.control.observation.ledger`), stamps rise (`timeline`), so every window is an exact
difference and none is negative, through restarts, thinning and jumps of the clock.

Everything but the properties may block for the time of reading some files: from an event loop, call
it in a thread. One call at a time gets in; the others wait.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from threading import RLock
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from sidecar.config.monitoring import DriftSettings
from sidecar.control.observation.retention import dropped, levels, spacing_s
from sidecar.control.observation.store import Losses, Shelved, SnapshotStore
from sidecar.control.observation.windows import (
    LENGTH_SLACK,
    MOST_PARTS,
    THINNED_SLACK,
    Window,
    cut,
    gap_ns,
    pick_ends,
)
from sidecar.errors import ClientError
from sidecar.sketch.areas import Area, AreaLayout
from sidecar.sketch.kernels import IntArray

MOST_PINS: Final = 100
_PINS_FILE: Final = "pins.json"
_NS: Final = 1_000_000_000

log: Final = logging.getLogger("sidecar.control")


class Pin(Struct, frozen=True):
    """A named snapshot, and the stamps of all that its windows are made of."""

    taken_ns: int
    keeps: tuple[int, ...] = ()


class History:
    """What the snapshots of one sidecar can tell. Nothing is known before `load`."""

    def __init__(self, store: SnapshotStore, drift: DriftSettings) -> None:
        self.pins: Mapping[str, Pin] = {}
        self._store = store
        self._drift = drift
        self._layouts: Mapping[str, AreaLayout] = {}
        self._pins_written = True
        self._turn = RLock()

    @property
    def newest_ns(self) -> int:
        """The stamp of the newest snapshot; 0: there is none."""
        return self._store.newest_ns

    @property
    def shelf(self) -> tuple[Shelved, ...]:
        """The snapshots that are there, oldest first."""
        return self._store.shelf

    @property
    def size_bytes(self) -> int:
        """What they take."""
        return self._store.size_bytes

    @property
    def losses(self) -> Losses:
        """What went wrong since the start."""
        return self._store.losses

    def load(self) -> None:
        """Find what earlier processes have written."""
        with self._turn:
            self._store.load()
            try:
                content = self._store.read(_PINS_FILE)
                self.pins = {} if content is None else _decode_pins(content)
            except (OSError, msgspec.DecodeError) as error:
                log.error("the names of snapshots cannot be read", extra={"reason": str(error)})  # noqa: TRY400 - foreseen; the reason says it all

    def configure(self, drift: DriftSettings) -> None:
        """Keep snapshots by these settings from now on."""
        with self._turn:
            self._drift = drift

    def take(self, taken_ns: int, totals: Mapping[str, Area]) -> None:
        """Keep a snapshot of these totals (by owner), and thin out older ones.

        What was not written before, names included, is written now if the disk lets us. Raises
        ValueError when the stamp is not higher than those before.
        """
        with self._turn:
            if taken_ns <= self.newest_ns:
                raise ValueError("a snapshot is stamped earlier than the one before")
            self._layouts = {owner: area.layout for owner, area in totals.items()}
            self._store.put(taken_ns, totals)
            if not self._pins_written:
                self._write_pins()
            self._thin()

    def latest(self, owner: str, layout: AreaLayout) -> Area | None:
        """The newest total of a series; None: there is none that can be read."""
        with self._turn:
            totals = (self._store.total(one, owner, layout) for one in reversed(self.shelf))
            return next((total for total in totals if total is not None), None)

    # -- windows -------------------------------------------------------------------------------

    def window(
        self, owner: str, end_ns: int, length_s: float, *, most_parts: int = MOST_PARTS
    ) -> Window | None:
        """What a series counted in the `length_s` before `end_ns`; None: snapshots do not reach.

        `sidecar.control.observation.windows` says which snapshots are used and how far the ends may
        be off. Only series that are watched now have windows.
        """
        start_ns = end_ns - round(length_s * _NS)
        with self._turn:
            while True:
                shelf = self._shelf_of(owner)
                stamps = [one.taken_ns for one in shelf]
                ends = self._ends(stamps, start_ns, end_ns)
                if ends is None:
                    return None
                window = self._window(owner, shelf, ends, most_parts, asked_s=length_s)
                if window is not None or self._shelf_of(owner) == shelf:
                    return window
                # A snapshot turned out to be damaged and was left out: take the next best.

    def oldest_ns(self, owner: str) -> int | None:
        """The stamp of the oldest snapshot that has a series; None: none has."""
        return next((one.taken_ns for one in self.shelf if owner in one.series), None)

    def between(
        self, owner: str, first: str, last: str, *, most_parts: int = MOST_PARTS
    ) -> Window | None:
        """What a series counted from one named snapshot to another; None: one does not have it.

        Raises ClientError: no such name, or `last` was not taken after `first`.
        """
        with self._turn:
            start_ns, end_ns = self.pinned(first).taken_ns, self.pinned(last).taken_ns
            if start_ns >= end_ns:
                raise ClientError(
                    f"Snapshot {last!r} was not taken after {first!r}",
                    status=422,
                    code="wrong_order",
                )
            while True:
                shelf = self._shelf_of(owner)
                stamps = [one.taken_ns for one in shelf]
                if start_ns not in stamps or end_ns not in stamps:
                    return None
                ends = stamps.index(start_ns), stamps.index(end_ns)
                window = self._window(owner, shelf, ends, most_parts, asked_s=None)
                if window is not None or self._shelf_of(owner) == shelf:
                    return window

    def _window(
        self,
        owner: str,
        shelf: Sequence[Shelved],
        ends: tuple[int, int],
        most_parts: int,
        *,
        asked_s: float | None,
    ) -> Window | None:
        stamps, layout = [one.taken_ns for one in shelf], self._layouts[owner]
        first, last = (self._store.total(shelf[place], owner, layout) for place in ends)
        if first is None or last is None:
            return None
        counted: list[IntArray] = []
        for place in cut(stamps, *ends, most=most_parts):
            bins = self._store.bins(shelf[place], owner, layout)
            if bins is None:
                return None
            counted.append(bins)
        totals = np.array(counted)
        return Window(
            start_ns=stamps[ends[0]],
            end_ns=stamps[ends[1]],
            asked_s=asked_s,
            area=last.since(first),
            parts=totals[1:] - totals[:-1],
        )

    def _shelf_of(self, owner: str) -> list[Shelved]:
        return [one for one in self.shelf if owner in one.series] if owner in self._layouts else []

    def _ends(self, stamps: list[int], start_ns: int, end_ns: int) -> tuple[int, int] | None:
        return pick_ends(
            stamps,
            start_ns,
            end_ns,
            start_slack_ns=self._slack_ns(stamps, start_ns, end_ns - start_ns),
            end_slack_ns=self._slack_ns(stamps, end_ns, end_ns - start_ns),
        )

    def _slack_ns(self, stamps: list[int], at_ns: int, length_ns: int) -> int:
        """By how much an end of a window may be off; see `windows`."""
        age_s = (self.newest_ns - at_ns) / _NS
        apart_s = max(spacing_s(levels(self._drift), age_s), self._drift.interval)
        gap = gap_ns(stamps, at_ns)
        thinned = gap <= apart_s * THINNED_SLACK * _NS  # a longer one is a time nobody looked
        return max(round(length_ns * LENGTH_SLACK), gap if thinned else 0)

    # -- names ---------------------------------------------------------------------------------

    def pin(self, name: str) -> Pin:
        """Name the newest snapshot, and keep it and all that its windows are made of until `unpin`.

        A name that was another's moves. Raises ClientError: no snapshot yet, or too many names.
        """
        with self._turn:
            if not self.shelf:
                raise ClientError("There is no snapshot yet", status=409, code="no_snapshot")
            if name not in self.pins and len(self.pins) >= MOST_PINS:
                raise ClientError(
                    f"There are {MOST_PINS} named snapshots already; drop one first "
                    "(`sidecar snapshot drop NAME`)",
                    status=409,
                    code="too_many_snapshots",
                )
            stamps = [one.taken_ns for one in self.shelf]
            newest_ns = stamps[-1]
            keeps: set[int] = set()
            for length_s in self._drift.windows:
                ends = self._ends(stamps, newest_ns - round(length_s * _NS), newest_ns)
                if ends is not None:
                    keeps |= {stamps[place] for place in cut(stamps, *ends, most=MOST_PARTS)}
            pin = Pin(newest_ns, tuple(sorted(keeps - {newest_ns})))
            self.pins = {**self.pins, name: pin}
            self._write_pins()
            return pin

    def unpin(self, name: str) -> None:
        """Let a named snapshot age like the others. Raises ClientError (no such name)."""
        with self._turn:
            self.pinned(name)
            self.pins = {other: pin for other, pin in self.pins.items() if other != name}
            self._write_pins()

    def pinned(self, name: str) -> Pin:
        """The snapshot of a name. Raises ClientError (no such name)."""
        pin = self.pins.get(name)
        if pin is None:
            known = ", ".join(sorted(self.pins)) or "(none)"
            raise ClientError(
                f"There is no snapshot {name!r}; those with names are: {known}",
                status=404,
                code="unknown_snapshot",
            )
        return pin

    def _write_pins(self) -> None:
        self._pins_written = self._store.write(_PINS_FILE, msgspec.json.encode(self.pins))

    def _thin(self) -> None:
        budget_bytes = int(self._drift.history)
        if self._store.size_bytes + self._store.foreign_bytes > budget_bytes:
            self._store.drop_foreign()
        kept = {stamp for pin in self.pins.values() for stamp in (pin.taken_ns, *pin.keeps)}
        self._store.drop(
            dropped(
                self.shelf,
                now_ns=self.newest_ns,
                kept=levels(self._drift),
                budget_bytes=budget_bytes,
                pinned=kept,
            )
        )


def _decode_pins(content: bytes) -> dict[str, Pin]:
    return msgspec.json.decode(content, type=dict[str, Pin])
