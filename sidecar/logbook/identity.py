"""Names for records: UUIDs of version 7 (RFC 9562 5.7), cheap to make and rising within a worker.

    milliseconds (48 bits) | 7 | counter, high (12) | variant | counter, low (14) | node (48)

The counter starts anew with each millisecond (RFC 9562 6.2, method 1). The node is 48 random bits,
new with each process, so that two workers never make the same one. A clock that is set back does
not matter: the counter then goes on in the last millisecond that was used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

NODE_BITS: Final = 48
_COUNTER_BITS: Final = 26
_TAIL_BITS: Final = 8  # of the counter: what follows is written down beforehand
_TAILS: Final = 1 << _TAIL_BITS
_NS_PER_MS: Final = 1_000_000


class RecordIds:
    """Makes ids. `random_bits(n)` gives n random bits; it is asked once."""

    __slots__ = ("_count", "_head", "_milliseconds", "_tails", "_time")

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        node = random_bits(NODE_BITS)
        self._tails = [f"{low:02x}-{node:012x}" for low in range(_TAILS)]
        self._milliseconds = -1
        self._time = ""
        self._count = 0
        self._head = ""

    def at(self, now_ns: int) -> None:
        """What follows is named at this time (wall clock)."""
        milliseconds = now_ns // _NS_PER_MS
        if milliseconds > self._milliseconds:
            self._begin(milliseconds)

    def take(self, count: int) -> list[str]:
        """So many new ids; `at` has been called."""
        ids: list[str] = []
        while len(ids) < count:
            low = self._count & (_TAILS - 1)
            if not low:
                self._turn()
            tails = self._tails[low : low + count - len(ids)]
            self._count += len(tails)
            head = self._head
            ids += [head + tail for tail in tails]
        return ids

    def _begin(self, milliseconds: int) -> None:
        text = f"{milliseconds:012x}"
        self._milliseconds = milliseconds
        self._time = f"{text[:8]}-{text[8:]}-7"
        self._count = 0

    def _turn(self) -> None:
        if self._count >> _COUNTER_BITS:
            self._begin(self._milliseconds + 1)
        count = self._count
        variant = 0x80 | (count >> _TAIL_BITS & 0x3F)
        self._head = f"{self._time}{count >> 14:03x}-{variant:02x}"
