"""A consecutive-failure circuit breaker (Nygard, Release It!): pure, the clock comes in.

closed --[failures in a row]--> open --[open_for_s]--> half-open --[one success]--> closed
                                  ^------------------------[failure]---/

Only failures to get any answer count: a model that answers 500 to a bad input is alive.
"""

from __future__ import annotations

from enum import IntEnum


class BreakerState(IntEnum):
    """The values of the gauge `sidecar_breaker_state`."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Says whether a model may be tried now. `threshold` 0 switches it off."""

    __slots__ = ("_open_for_s", "_retry_at", "_threshold", "failures", "state")

    def __init__(self, *, threshold: int, open_for_s: float) -> None:
        self.state = BreakerState.CLOSED
        self._threshold = threshold
        self._open_for_s = open_for_s
        self.failures = 0
        self._retry_at = 0.0

    def allows(self, now: float) -> bool:
        """Whether a request may go; while half-open, one probe per `open_for_s` may."""
        if self.state is BreakerState.CLOSED:
            return True
        if now < self._retry_at:
            return False
        self.state = BreakerState.HALF_OPEN
        self._retry_at = now + self._open_for_s
        return True

    def succeeded(self) -> None:
        """An answer came."""
        self.failures = 0
        self.state = BreakerState.CLOSED

    def failed(self, now: float) -> bool:
        """No answer came; True when this failure opened the breaker."""
        self.failures += 1
        if self.state is BreakerState.OPEN or not self._threshold:
            return False
        if self.state is BreakerState.HALF_OPEN or self.failures >= self._threshold:
            self.state = BreakerState.OPEN
            self._retry_at = now + self._open_for_s
            return True
        return False
