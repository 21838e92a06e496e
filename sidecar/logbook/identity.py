"""Names for records: UUIDs of version 7 (RFC 9562 5.7), cheap to make and rising within a worker.

    milliseconds (48 bits) | 7 | counter, high (12) | variant, counter, low (2 + 14) | node (48)

The counter starts anew with each millisecond (RFC 9562 6.2, method 1). The node is 48 random bits,
new with each process, so that two workers never make the same one. A clock that is set back does
not matter: the counter then goes on in the last millisecond that was used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

NODE_BITS: Final = 48
_COUNTER_BITS: Final = 26
_NS_PER_MS: Final = 1_000_000


class RecordIds:
    """Makes ids. `random_bits(n)` gives n random bits; it is asked once."""

    __slots__ = ("_count", "_head", "_milliseconds", "_node")

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._node = f"{random_bits(NODE_BITS):012x}"
        self._milliseconds = -1
        self._count = 0
        self._head = ""

    def at(self, now_ns: int) -> None:
        """What follows is named at this time (wall clock)."""
        self._use(now_ns // _NS_PER_MS)

    def next(self) -> str:
        """A new id; `at` has been called."""
        count = self._count
        self._count = count + 1
        if count >> _COUNTER_BITS:
            self._use(self._milliseconds + 1)
            return self.next()
        return f"{self._head}{count >> 14:03x}-{0x8000 | count & 0x3FFF:04x}-{self._node}"

    def _use(self, milliseconds: int) -> None:
        if milliseconds > self._milliseconds:
            self._milliseconds = milliseconds
            self._count = 0
            text = f"{milliseconds:012x}"
            self._head = f"{text[:8]}-{text[8:]}-7"
