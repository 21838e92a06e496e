"""How long a sink that failed is left alone, and from when on one attempt decides.

Both are values and decisions: time and chance come in as arguments. The waits double up to a bound
and are spread by chance ("equal jitter": half of the wait is certain, so that no two attempts
follow each other at once, and half is chance, so that many sidecars do not come back together).

The circuit says what an attempt may risk. While it is closed, a whole batch; once a sink has failed
FAILURES_THAT_OPEN times in a row, it is open: nothing is sent until the wait is over, and then one
record alone, the probe. What a sink that is down is asked for is so never more than one record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

FAILURES_THAT_OPEN: Final = 5
"""Fewer could be one restart of the sink; after 5 with the usual waits it is down for seconds."""

LONGEST_RETRY_AFTER_S: Final = 600.0
"""A sink that asks for more patience than this is asked again nevertheless."""


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """The patience with one sink, in seconds.

    `deadline_s` is how long records are tried before the question is asked whether it is them and
    not the sink: see `sidecar.delivery.consignment`.
    """

    first_s: float = 0.2
    longest_s: float = 30.0
    deadline_s: float = 600.0

    def wait_s(self, failures: int, chance: float, *, asked_s: float = 0.0) -> float:
        """The wait after so many failures in a row (at least 1); `chance` is in [0, 1).

        A sink that asked for a longer wait (`Retry-After`) gets it, up to LONGEST_RETRY_AFTER_S.
        """
        longest = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return max(longest * (0.5 + 0.5 * chance), min(asked_s, LONGEST_RETRY_AFTER_S))


class CircuitState(StrEnum):
    """What may be sent."""

    CLOSED = "closed"  # batches
    OPEN = "open"  # nothing
    HALF_OPEN = "half_open"  # one record


class Circuit:
    """Failures in a row, and what follows from them."""

    def __init__(self, *, failures_that_open: int = FAILURES_THAT_OPEN) -> None:
        self.failures = 0
        self.opened = 0
        self._failures_that_open = failures_that_open
        self._state = CircuitState.CLOSED

    @property
    def state(self) -> CircuitState:
        """What may be sent now."""
        return self._state

    def waited(self) -> None:
        """The wait after a failure is over: an open circuit lets one probe through."""
        if self._state is CircuitState.OPEN:
            self._state = CircuitState.HALF_OPEN

    def failed(self) -> bool:
        """The sink was not available; True when that opened the circuit, a probe's failure not."""
        self.failures += 1
        if self._state is CircuitState.HALF_OPEN:
            self._state = CircuitState.OPEN
        elif self._state is CircuitState.CLOSED and self.failures >= self._failures_that_open:
            self._state = CircuitState.OPEN
            self.opened += 1
            return True
        return False

    def answered(self) -> bool:
        """The sink took or refused records, so it is there; True when the circuit had been open."""
        was_open = self._state is not CircuitState.CLOSED
        self.failures = 0
        self._state = CircuitState.CLOSED
        return was_open
