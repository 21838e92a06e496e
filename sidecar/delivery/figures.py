"""What one pump has to say of itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from sidecar.delivery.retries import CircuitState
from sidecar.sketch import Edges, Histogram


class DeliveryFigures(Struct, frozen=True, kw_only=True):
    """A pump at one moment.

    Since the process began, as counters are: `delivered`, `dead_lettered`, `dropped` (by reason)
    and `retried` count records, the last one each time a record is sent again; `attempts` and
    `failures` count batches. `batch_latency` is of attempts that the sink answered, in nanoseconds.

    Now: `queued` records are in the pump's hands. `lag_s` is the age of the oldest record that is
    not delivered, `lag_bytes` what the journal holds after what is. `totals` (outcome to model to
    records) is what the cursor's file says: it never goes back, and is exact for the books.
    `last_error` is the sink's last reason, in words.
    """

    sink: str
    state: CircuitState
    queued: int
    delivered: int
    retried: int
    dead_lettered: int
    dropped: Mapping[str, int]
    attempts: int
    failures: int
    lag_s: float
    lag_bytes: int
    batch_latency: Histogram
    totals: Mapping[str, Mapping[str, int]]
    last_error: str
    last_delivered_ns: int


class Meter:
    """What a pump counts while its process lives; see `DeliveryFigures`."""

    def __init__(self, edges: Edges) -> None:
        self.delivered = 0
        self.retried = 0
        self.dead_lettered = 0
        self.dropped: dict[str, int] = {}
        self.attempts = 0
        self.failures = 0
        self.last_error = ""
        self.last_delivered_ns = 0
        self.lag_bytes = 0
        self._edges = edges
        self._latencies = np.zeros(edges.bucket_count, dtype=np.int64)
        self._latency_ns = 0

    def answered(self, elapsed_ns: int) -> None:
        """The sink answered to an attempt."""
        self._latencies[self._edges.bucket_of(elapsed_ns)] += 1
        self._latency_ns += elapsed_ns

    def drop(self, reason: str, count: int) -> None:
        """Records that will not be delivered, and are in no dead letter."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def figures(
        self,
        sink: str,
        *,
        state: CircuitState,
        queued: int,
        lag_s: float,
        totals: Mapping[str, Mapping[str, int]],
    ) -> DeliveryFigures:
        """How it stands."""
        return DeliveryFigures(
            sink=sink,
            state=state,
            queued=queued,
            delivered=self.delivered,
            retried=self.retried,
            dead_lettered=self.dead_lettered,
            dropped=dict(self.dropped),
            attempts=self.attempts,
            failures=self.failures,
            lag_s=lag_s,
            lag_bytes=self.lag_bytes,
            batch_latency=Histogram(
                edges=self._edges, counts=self._latencies, total=self._latency_ns
            ),
            totals=totals,
            last_error=self.last_error,
            last_delivered_ns=self.last_delivered_ns,
        )
