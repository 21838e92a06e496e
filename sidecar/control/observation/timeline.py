"""The time that snapshots are stamped with: the wall clock's, except that it never goes back.

Windows are differences between two snapshots, so their stamps must rise. The wall clock does not
always: it is set by people, by NTP, by a virtual machine that was moved.

- **Forwards**, by however much: the next snapshot has the new time. The hours that were jumped over
  are a gap; windows that would begin in it begin at the nearest snapshot, or there are none.
- **Backwards**: stamps go on from the last one at half the pace of real time, until the wall clock
  has caught up; after an hour back, for two hours. Windows of that time are up to twice as long as
  they say, and lose nothing.

Pure: both clocks are arguments.
"""

from __future__ import annotations

from collections.abc import Callable


class Timeline:
    """Gives stamps in nanoseconds since 1970, each higher than all before and than `last_ns`."""

    def __init__(
        self, *, wall_ns: Callable[[], int], monotonic_ns: Callable[[], int], last_ns: int = 0
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._last_ns = last_ns
        self._read_at_ns = monotonic_ns()

    def stamp_ns(self) -> int:
        """The stamp of what happens now."""
        wall_ns, now_ns = self._wall_ns(), self._monotonic_ns()
        elapsed_ns, self._read_at_ns = now_ns - self._read_at_ns, now_ns
        if wall_ns > self._last_ns:
            self._last_ns = wall_ns
        else:
            self._last_ns += max(elapsed_ns // 2, 1)
        return self._last_ns
