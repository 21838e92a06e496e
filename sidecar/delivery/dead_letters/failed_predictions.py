"""Finds in the journal what the answering models failed, and keeps it as dead letters.

A consumer of the journal like any sink: it has a position of its own, which moves only behind what
is in the store, so a record may come twice and is one letter. Nearly all records are no failures:
workers mark those that are, and no other is decoded.

A failure is an exchange of a primary or canary that ended as `5xx` or `error`: refused connections,
timeouts, broken answers. `aborted` is the client's doing, `fallback` was answered after all, and
what a shadow does concerns nobody. The mark is believed only as far as the record says the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from sidecar.delivery.dead_letters.database import StoreUnavailable
from sidecar.delivery.dead_letters.store import DeadLetterStore
from sidecar.delivery.retries import RetryPolicy
from sidecar.errors import SidecarError
from sidecar.journal import Batch, Cursor, Position, Reader, Standing
from sidecar.model import Role, StatusClass
from sidecar.records import Record, RecordError, decode

LOOK_S: Final = 0.5
"""How often it is looked for more when there is none."""

SAVE_S: Final = 2.0
"""How often the position is saved; a killed process reads so much again."""

BATCH_RECORDS: Final = 2000
BATCH_BYTES: Final = 4 * 1024 * 1024

FAILED: Final = frozenset({StatusClass.SERVER_ERROR, StatusClass.ERROR})

Totals = Mapping[str, Mapping[str, int]]

PATIENCE: Final = RetryPolicy(first_s=1.0, longest_s=30.0)

log: Final = logging.getLogger("sidecar.delivery")


class Found(StrEnum):
    """What there was in the journal beside records of success; the keys of `Standing.totals`."""

    DEAD_LETTERED = "dead_lettered"
    UNREADABLE = "unreadable"  # marked as a failure, and not to be decoded
    LOST = "lost"  # damaged, or removed by retention, before it was looked at


class FailedPredictions:
    """Reads a journal to its end, again and again. `monotonic_s` says when to save the position,
    `chance` in [0, 1) spreads pauses after failures.
    """

    def __init__(
        self,
        store: DeadLetterStore,
        reader: Reader,
        cursor: Cursor,
        *,
        monotonic_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._store = store
        self._reader = reader
        self._cursor = cursor
        self._monotonic_s = monotonic_s
        self._chance = chance
        self._standing = Standing()
        self._saved: Position | None = None
        self._saved_s = 0.0

    @property
    def standing(self) -> Standing:
        """How far it is, and what it has found (`Found`), by model."""
        return self._standing

    async def open(self) -> None:
        """Go on where an earlier process was."""
        self._standing = await asyncio.to_thread(self._cursor.load)
        self._saved = self._standing.position

    async def close(self) -> None:
        """Save the position, and let go of the files."""
        await self._save()
        await asyncio.to_thread(self._reader.close)

    async def run(self) -> None:
        """Read until cancelled. What cannot be read or kept now is tried again."""
        failures = 0
        while True:
            try:
                more = await self.look()
            except (StoreUnavailable, SidecarError, OSError) as error:
                failures += 1
                if failures == 1:
                    log.error(  # noqa: TRY400 - foreseen; the reason says it all
                        "failed predictions cannot be kept; trying again",
                        extra={"reason": str(error)},
                    )
                await asyncio.sleep(PATIENCE.wait_s(failures, self._chance()))
                continue
            if failures:
                log.info("failed predictions are kept again")
            failures = 0
            if self._monotonic_s() - self._saved_s >= SAVE_S:
                await self._save()
            if not more:
                await asyncio.sleep(LOOK_S)

    async def look(self) -> bool:
        """Keep the failures of the next batch; False when there was none.

        Raises StoreUnavailable and OSError; then it stands where it stood.
        """
        batch, failed, found = await asyncio.to_thread(self._read)
        if failed:
            await self._store.add_failed_predictions(failed)
        self._standing = Standing(position=batch.next, totals=_sums(self._standing.totals, found))
        return bool(batch.runs)

    def _read(self) -> tuple[Batch, list[Record], Totals]:
        batch = self._reader.read(
            self._standing.position, max_records=BATCH_RECORDS, max_bytes=BATCH_BYTES
        )
        failed = []
        unreadable: Counter[str] = Counter()
        for run in batch.runs:
            for entry in run.failures():
                try:
                    record = decode(entry.payload)
                except RecordError:
                    unreadable[entry.cell.model] += 1
                else:
                    if record.outcome in FAILED and record.role is not Role.SHADOW:
                        failed.append(record)
        lost: Counter[str] = Counter()
        for cell, count in batch.corrupt.items():
            lost[cell.model] += count
        found = {
            Found.DEAD_LETTERED.value: Counter(record.model for record in failed),
            Found.UNREADABLE.value: unreadable,
            Found.LOST.value: lost,
        }
        return batch, failed, found

    async def _save(self) -> None:
        self._saved_s = self._monotonic_s()
        standing = self._standing
        if standing.position == self._saved:
            return
        try:
            await asyncio.to_thread(self._cursor.save, standing)
        except OSError as error:
            log.warning(
                "the place in the journal cannot be saved; after a restart more is read again",
                extra={"consumer": "dead letters", "reason": str(error)},
            )
            return
        self._saved = standing.position


def _sums(before: Totals, found: Totals) -> dict[str, dict[str, int]]:
    return {name: dict(Counter(before.get(name, {})) + Counter(found[name])) for name in found}
