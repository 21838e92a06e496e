"""Has exchanges read by their watchers: many at once, in steps, the others one at a time.

Whatever goes wrong is counted and logged, and ends nothing. Bytes that were held for an exchange
are given back with it. A request and its copies are read together or not at all: see
`Ticket.chosen`.

Must not know: rounds, budgets, clocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from sidecar.monitor.capture import Room
from sidecar.monitor.complaints import Complaints
from sidecar.monitor.exchanges import Ended
from sidecar.monitor.watcher import Watcher
from sidecar.sketch import WatchCounter

_SHED: Final = int(WatchCounter.SHED)
_BROKEN: Final = int(WatchCounter.UNREAD_SHAPE)


class Reading:
    """See the module's text. All exchanges are watched; `room` is what holds their bytes.

    `flush_at_once`: what was read at once is counted at once, for somebody waits for its scores.
    """

    def __init__(self, room: Room, *, flush_at_once: bool) -> None:
        self._room = room
        self._flush_at_once = flush_at_once
        self._complaints = Complaints(
            "an exchange could not be read, by a fault of ours; more like it are only counted"
        )

    def read_many(self, exchanges: list[Ended], others: deque[Ended]) -> Iterator[int]:
        """Read what is read at once, step by step; the rest is added to `others`.

        A step takes some tenths of a millisecond, and gives how many exchanges were read in it.
        """
        found_watchers = dict.fromkeys([one.watcher for one in exchanges])
        watchers = sorted([one for one in found_watchers if one is not None], key=_shadows_last)
        for watcher in watchers:
            ours = [one for one in exchanges if one.watcher is watcher]
            try:
                found, left = watcher.look(ours)
            except Exception as error:  # noqa: BLE001 -- as below; the codec has the last word
                self._complaints.about(error)
                found, left = [], ours
            others.extend(left)
            yield 0
            for read in found:
                self._room.left += sum([one.held_bytes for one in read.exchanges])
                try:
                    watcher.count(read)
                except Exception as error:  # noqa: BLE001 -- as with those that are left
                    self._complaints.about(error)
                yield len(read.exchanges)
        if self._flush_at_once:
            for watcher in watchers:
                self.flush(watcher)
                yield 0

    def with_their_others(self, exchanges: list[Ended]) -> list[Ended]:
        """Those of which no other side was shed before."""
        kept: list[Ended] = []
        for one in exchanges:
            if one.ticket is not None and one.ticket.chosen is False:
                self.leave(one, _SHED)
            else:
                kept.append(one)
        return kept

    def read(self, ended: Ended) -> None:
        """Read one, unless its other side was shed."""
        ticket = ended.ticket
        if ticket is not None:
            if ticket.chosen is False:  # the other side was shed when there was more
                self.leave(ended, _SHED)
                return
            ticket.chosen = True
        watcher = _watcher_of(ended)
        try:
            watcher.read(ended)
        except Exception as error:  # noqa: BLE001 -- a bug in a codec must not end the counting
            watcher.leave(ended, _BROKEN)
            self._complaints.about(error)
        self._release(ended)

    def leave(self, ended: Ended, counter: int) -> None:
        """Count one that is not read."""
        _watcher_of(ended).leave(ended, counter)
        self._release(ended)

    def flush(self, watcher: Watcher, *, look_back: bool = False) -> None:
        """Put on the board what a watcher has read."""
        try:
            watcher.flush()
            if look_back:
                watcher.look_back()
        except Exception as error:  # noqa: BLE001 -- as with reading
            self._complaints.about(error)

    def _release(self, ended: Ended) -> None:
        self._room.left += ended.held_bytes
        ended.held_bytes = 0
        if ended.capture is not None:
            ended.capture.release()


def _watcher_of(ended: Ended) -> Watcher:
    watcher = ended.watcher
    assert watcher is not None  # noqa: S101  # for the type checker
    return watcher


def _shadows_last(watcher: Watcher) -> bool:
    return watcher.is_shadow
