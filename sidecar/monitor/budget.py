"""How much of a worker's time the monitor takes: a bucket of nanoseconds that fills with time.

In any stretch of time `t` the monitor works at most `share * t` plus one bucket and the last thing
it began. What cannot be afforded is not put off (it would only be more later) but left unread, and
what is read instead is a random sample of all there was, so that the numbers stay true.

Pure: the clock's readings and chance are arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BUCKET_NS: Final = 100_000_000  # of the clock, not of work: a pause of 0.1 s may be made up for
FIRST_GUESS_NS: Final = 20_000.0  # per exchange, before any was measured
WEIGHT: Final = 0.1  # of a newer measurement in the running mean


class Budget:
    """See the module's text. `share` of the clock's time may be spent."""

    __slots__ = ("_full", "_left", "_mean_ns", "_seen_ns", "_share")

    def __init__(self, share: float, now_ns: int) -> None:
        self._share = share
        self._full = share * BUCKET_NS
        self._left = self._full
        self._seen_ns = now_ns
        self._mean_ns = FIRST_GUESS_NS

    def affordable(self, now_ns: int) -> int:
        """How many exchanges of the usual cost may be read now; at least one when anything may."""
        self._left = min(self._left + (now_ns - self._seen_ns) * self._share, self._full)
        self._seen_ns = now_ns
        return max(int(self._left / self._mean_ns), 1) if self._left > 0 else 0

    def spend(self, elapsed_ns: int) -> None:
        """So much time was worked."""
        self._left -= elapsed_ns

    def learn(self, elapsed_ns: int, exchanges: int) -> None:
        """So much of it was taken by reading so many exchanges."""
        self._mean_ns += WEIGHT * (elapsed_ns / exchanges - self._mean_ns)


class Draw:
    """Chooses `wanted` of `there` things, one after the other; every choice is as likely.

    Selection sampling: Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S.
    """

    __slots__ = ("_random", "_there", "_wanted")

    def __init__(self, wanted: int, there: int, random: Callable[[], float]) -> None:
        self._wanted = wanted
        self._there = there
        self._random = random

    def next(self) -> bool:
        """Whether the next one is chosen."""
        chosen = self._wanted >= self._there or self._random() * self._there < self._wanted
        self._there -= 1
        self._wanted -= chosen
        return chosen
