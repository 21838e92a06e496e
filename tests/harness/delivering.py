"""Records in a real journal, a sink that does as it is told, and who keeps what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Self

from sidecar.delivery import (
    ALL_DELIVERED,
    Delivered,
    Item,
    JournalSource,
    Pump,
    PumpPolicy,
    RetryPolicy,
)
from sidecar.journal import Cursor, Writer, WriterLimits
from sidecar.model import CellKey, Role, StatusClass
from sidecar.records import Record, encode

CELLS = {
    0: CellKey(route="r", model="stable", role=Role.PRIMARY),
    1: CellKey(route="r", model="next", role=Role.CANARY),
}
START_NS = 1_700_000_000_000_000_000

HASTY = PumpPolicy(
    batch_age_s=0.02,
    timeout_s=2.0,
    grace_s=1.0,
    poll_s=0.005,
    save_s=0.02,
    retry=RetryPolicy(first_s=0.002, longest_s=0.02, deadline_s=600.0),
)
"""A pump that waits for nothing longer than a test should."""


def record(number: int, *, cell: CellKey = CELLS[0], **fields: Any) -> Record:
    """The outcome of a request that went well; its `id` follows from the number."""
    return Record(
        **{
            "id": f"018bcfe5-6800-7000-8000-{number:012d}",
            "request_id": f"request-{number}",
            "at_ns": START_NS + number,
            "route": cell.route,
            "model": cell.model,
            "role": cell.role,
            "status": 200,
            "outcome": StatusClass.SUCCESS,
            "method": "POST",
            "path": "/v2/models/stable/infer",
            "request_bytes": 310,
            "response_bytes": 140,
            "duration_ns": 3_200_000,
            "upstream_ns": 3_000_000,
            "first_byte_ns": 2_900_000,
            "rows": 1,
            "predictions": (1,),
            "scores": (0.87,),
            "segments": {"region": "north"},
            "routing_version": 7,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        }
        | fields
    )


def item(number: int, **fields: Any) -> Item:
    """A record as sinks get it."""
    made = record(number, **fields)
    cell = CellKey(route=made.route, model=made.model, role=made.role)
    return Item(id=made.id, record=made, payload=encode(made), cell=cell)


class Journal:
    """A journal with one worker's writer; every fourth record is the canary's."""

    def __init__(self, directory: Path, *, limits: WriterLimits | None = None) -> None:
        self.directory = directory
        self.ids: list[str] = []
        self.logged: Counter[str] = Counter()
        self._writer = Writer(
            directory, 0, "ab" * 16, limits or WriterLimits(gather_s=0.001), wall_ns=time.time_ns
        )
        self._writer.subjects(CELLS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close(5.0)

    def add(self, count: int, *, make: Callable[..., Record] = record) -> list[str]:
        """So many more records, on the disk when this returns; their ids."""
        begun = len(self.ids)
        for number in range(begun, begun + count):
            subject = int(number % 4 == 3)
            made = make(number, cell=CELLS[subject])
            assert self._writer.append(subject, encode(made))
            self.ids.append(made.id)
            self.logged[made.model] += 1
        assert self._writer.flush(5.0)
        return self.ids[begun:]

    def add_raw(self, payload: bytes) -> None:
        """Something that need not be a record."""
        assert self._writer.append(0, payload)
        assert self._writer.flush(5.0)
        self.logged[CELLS[0].model] += 1

    def source(self, cursor: Path) -> JournalSource:
        return JournalSource(self.directory, Cursor(cursor))


class ScriptedSink:
    """Takes everything, unless `ending` says otherwise: it gets the batch, and may raise."""

    def __init__(self, ending: Callable[[Sequence[Item]], Any] | None = None) -> None:
        self.ending = ending
        self.got: list[str] = []
        self.batches: list[int] = []
        self.opened = self.closed = 0

    async def open(self) -> None:
        self.opened += 1

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        self.batches.append(len(batch))
        answer = self.ending(batch) if self.ending is not None else None
        if asyncio.iscoroutine(answer):
            answer = await answer
        answer = ALL_DELIVERED if answer is None else answer
        refused = {place for place, _ in answer.refused}
        self.got += [one.id for place, one in enumerate(batch) if place not in refused]
        return answer

    async def close(self) -> None:
        self.closed += 1


class Kept:
    """Dead letters in memory: one for each sink and record."""

    def __init__(self) -> None:
        self.letters: dict[tuple[str, str], str] = {}
        self.refuses = False

    async def add_refused(self, sink: str, items: Sequence[Item], reasons: Sequence[str]) -> None:
        if self.refuses:
            raise OSError(28, "No space left on device")
        for one, reason in zip(items, reasons, strict=True):
            self.letters.setdefault((sink, one.id), reason)

    @property
    def reasons(self) -> dict[str, str]:
        return {record_id: reason for (_, record_id), reason in self.letters.items()}


def pump_of(
    sink: Any, source: Any, *, letters: Any = None, policy: PumpPolicy = HASTY, **options: Any
) -> Pump:
    """A pump with real clocks."""
    return Pump(
        options.pop("name", "files"),
        sink,
        source,
        Kept() if letters is None else letters,
        policy,
        **{
            "wall_ns": time.time_ns,
            "monotonic_ns": time.monotonic_ns,
            "chance": lambda: 0.5,
        }
        | options,
    )


@contextlib.asynccontextmanager
async def running(*pumps: Pump) -> AsyncIterator[None]:
    """Pumps at work; ended as a controller ends them."""
    tasks = [asyncio.ensure_future(pump.run()) for pump in pumps]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        assert task.cancelled(), task.exception()


async def eventually(fact: Callable[[], Any], what: str, *, timeout_s: float = 10.0) -> None:
    """Poll until it is so; fail, saying what, when it never is."""
    deadline = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.002)


def settled(pump_or_standing: Any) -> dict[str, int]:
    """By model, what the saved books say is settled."""
    sums: Counter[str] = Counter()
    totals = getattr(pump_or_standing, "totals", None)
    for models in (totals if totals is not None else pump_or_standing.figures.totals).values():
        sums.update(models)
    return dict(sums)
