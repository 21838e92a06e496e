"""A sink whose other end goes away while records are being written, and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from harness.delivering import Journal, Kept, eventually, pump_of, running, settled
from sidecar.delivery import PumpPolicy, RetryPolicy

PAGE_BYTES = 4096
MEBIBYTE = 1024 * 1024

POLICY = PumpPolicy(
    batch_age_s=0.05,
    timeout_s=2.0,
    grace_s=1.0,
    poll_s=0.01,
    save_s=0.05,
    retry=RetryPolicy(first_s=0.05, longest_s=0.5, deadline_s=600.0),
)
"""The usual size of batches, and less patience than in production."""

Act = Callable[[], Awaitable[None] | None]


class Passed(Struct, frozen=True):
    """What came of it: ids of records, and what was seen at the end of the outage."""

    written: list[str]
    letters: dict[str, str]
    failures: int
    last_error: str
    grown_mib: float  # resident memory of the process, since before the outage


async def pass_through_outage(
    sink: Any,
    directory: Path,
    *,
    down: Act,
    up: Act,
    outage_s: float = 3.0,
    timeout_s: float = 25.0,
    policy: PumpPolicy = POLICY,
) -> Passed:
    """Write all the time; deliver; `down`, for `outage_s`, `up`; return when all is delivered."""
    letters = Kept()
    with Journal(directory / "journal") as journal:
        pump = pump_of(sink, journal.source(directory / "cursor"), letters=letters, policy=policy)

        def done() -> bool:
            return sum(settled(pump).values()) == len(journal.ids)

        async with running(pump):
            await _write(journal, 1.0)
            await eventually(done, "delivered before the outage", timeout_s=timeout_s)
            before = resident_bytes()
            await _do(down)
            await _write(journal, outage_s)
            seen, grown = pump.figures, resident_bytes() - before
            assert not done(), "the outage was none"
            await _do(up)
            await _write(journal, 0.5)
            await eventually(done, "delivered after the outage", timeout_s=timeout_s)
    return Passed(journal.ids, letters.reasons, seen.failures, seen.last_error, grown / MEBIBYTE)


def resident_bytes() -> int:
    """This process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


async def _write(journal: Journal, for_s: float) -> None:
    """2,000 records a second, as a worker's writer thread does."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        await asyncio.to_thread(journal.add, 50)
        await asyncio.sleep(0.025)


async def _do(act: Act) -> None:
    doing = act()
    if doing is not None:
        await doing
