"""What a sink is: somewhere records are brought to, in batches, at least once.

A sink knows how to say a batch in its own words and how to tell three endings apart: taken,
refused (these records, for this reason, for ever), and not available (nobody's fault but the
sink's: later). It keeps no queue, retries nothing and counts nothing; all that is done by the pump,
in one way for all sinks (`sidecar.delivery.pump`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from sidecar.model import CellKey
from sidecar.records import Record


class Item(Struct, frozen=True, kw_only=True, gc=False):
    """A record on its way. `id` is the same every time it is sent: sinks drop duplicates by it.

    `payload` is the record as the journal holds it (`sidecar.records.encode`).
    """

    id: str
    record: Record
    payload: bytes
    cell: CellKey


class Delivered(Struct, frozen=True, kw_only=True):
    """The sink has answered for the whole batch and holds it durably, as far as it promises that.

    `refused`: places in the batch, and why, in words for people without a payload or a secret.
    These become dead letters; everything else counts as delivered.
    """

    refused: tuple[tuple[int, str], ...] = ()


ALL_DELIVERED = Delivered()


class Refused(Exception):  # noqa: N818 - an outcome, told in words
    """The sink will never take this batch as it is (its 400, 413 or 422), and none of it was taken.

    The pump finds out by halves which records it means; of one record alone, it means that one.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(Exception):  # noqa: N818 - an outcome, told in words
    """The sink cannot take records now; the same batch is tried again.

    `retry_after_s` is what it asked for, 0 when it did not. `taken` and `refused` are the places it
    did answer for: those are not sent again.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after_s: float = 0.0,
        taken: Sequence[int] = (),
        refused: Sequence[tuple[int, str]] = (),
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.taken = tuple(taken)
        self.refused = tuple(refused)


class Sink(Protocol):
    """One destination. Its methods are called by one task, one at a time, and may be cancelled.

    Every call has a deadline set by the caller. An exception other than the two above is a defect
    of the sink; it is logged, and counts as Unavailable.
    """

    async def open(self) -> None:
        """Connect, or make directories. Called before the first batch and again after each failure
        of it. Raises Unavailable."""

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        """Bring the records, in order; return when they are confirmed. Raises Refused, Unavailable.

        When cancelled, the batch may have arrived: it is brought again, with the same ids.
        """

    async def close(self) -> None:
        """Let go of everything; harmless when not open, and after a failure."""


@runtime_checkable
class Flushing(Protocol):
    """A sink that confirms before its bytes are durable (a file without fsync) has this as well."""

    async def flush(self) -> None:
        """Make durable what was confirmed; awaited before a cursor is saved.

        Raises Unavailable: what was confirmed since the flush before is brought again.
        """


class DeadLetters(Protocol):
    """Where records go that a sink will not take."""

    async def add_refused(self, sink: str, items: Sequence[Item], reasons: Sequence[str]) -> None:
        """Keep them, durably, before returning. A letter that is there already is not added again.

        Raises OSError when it cannot; then nothing counts as dead-lettered, and it is tried again.
        """
