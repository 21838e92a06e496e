"""The range in which latencies can be told apart; outside of it they are only counted."""

from __future__ import annotations

from typing import Final

SHORTEST_LATENCY_NS: Final = 10_000  # 10 us: less than any answer over a network takes
LATENCY_DECADES: Final = 8  # up to 1000 s: longer than any client waits
LONGEST_LATENCY_NS: Final = SHORTEST_LATENCY_NS * 10**LATENCY_DECADES
