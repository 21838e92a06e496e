"""Records that failed, a store of them, and models and sinks they are replayed to."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sidecar.config.settings import ModelSettings
from sidecar.delivery import ALL_DELIVERED, Delivered, Item
from sidecar.delivery.caller import Caller, CallOutcome
from sidecar.delivery.dead_letters import Bounds, DeadLetterStore, World
from sidecar.model import CellKey, Role, StatusClass
from sidecar.records import NOTHING_SECRET, Captured, Record, Redactor, Why, encode

HOUR_NS = 3_600 * 10**9
NOW_NS = 1_790_000_000 * 10**9

REQUEST = Captured(
    why=Why.FAILED,
    request_headers=(("Content-Type", "application/json"), ("X-Region", "eu")),
    request_body=b'{"instances": [[1, 2]]}',
)


def failed(number: int = 0, **changes: Any) -> Record:
    """A record of a prediction that failed; those of different numbers differ in id and time."""
    usual = {
        "id": f"0199a3b2-7c1e-7000-8000-{number:012x}",
        "request_id": f"request-{number}",
        "at_ns": NOW_NS + number,
        "route": "iris",
        "model": "stable",
        "role": Role.PRIMARY,
        "status": 503,
        "outcome": StatusClass.SERVER_ERROR,
        "method": "POST",
        "path": "/v1/models/iris:predict",
        "request_bytes": 23,
        "captured": REQUEST,
    }
    return Record(**(usual | changes))


def captured(**changes: Any) -> Captured:
    """What is kept of a failed request, with something different."""
    return msgspec.structs.replace(REQUEST, **changes)


def item(record: Record) -> Item:
    """A record on its way to a sink."""
    return Item(
        id=record.id,
        record=record,
        payload=encode(record),
        cell=CellKey(route=record.route, model=record.model, role=record.role),
    )


class Clock:
    """A wall clock that is moved by hand."""

    def __init__(self, now_ns: int = NOW_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def new_store(
    directory: Path, limits: Bounds | None = None, *, clock: Callable[[], int] | None = None
) -> DeadLetterStore:
    """A store in a directory, not opened yet."""
    numbers = itertools.count(1)
    return DeadLetterStore(
        directory / "dead_letters.sqlite",
        limits or Bounds(),
        wall_ns=clock or Clock(),
        ids=lambda: f"job-{next(numbers)}",
    )


class ListSink:
    """A sink that keeps what it gets; `answers` are given before, one for each batch."""

    def __init__(self, *answers: Delivered | Exception) -> None:
        self.batches: list[list[str]] = []
        self.answers = list(answers)

    @property
    def got(self) -> list[str]:
        """Ids of everything it has taken or refused."""
        return [one for batch in self.batches for one in batch]

    async def open(self) -> None:
        pass

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        self.batches.append([one.id for one in batch])
        answer = self.answers.pop(0) if self.answers else ALL_DELIVERED
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        pass


def world(
    models: Mapping[str, str | tuple[str, ...]] | None = None,
    sinks: Mapping[str, ListSink] | None = None,
    **changes: Any,
) -> World:
    """A world of models (by their URLs) and sinks."""
    there = {
        name: ModelSettings(urls=(urls,) if isinstance(urls, str) else urls)
        for name, urls in (models or {}).items()
    }
    sinks = sinks or {}

    callers = {
        name: Caller(name, sink, timeout_s=10.0, grace_s=0.0) for name, sink in sinks.items()
    }

    async def redeliver(name: str, batch: Sequence[Item]) -> CallOutcome:
        outcomes: list[CallOutcome] = []
        async with asyncio.TaskGroup() as tasks:
            await callers[name].deliver(batch, tasks, outcomes.append)
        return outcomes[0]

    usual = {
        "models": lambda: there,
        "sink_names": lambda: frozenset(sinks),
        "redeliver": redeliver,
        "tls": lambda _settings: None,
        "redactors": lambda _route: Redactor(NOTHING_SECRET),
        "wall_ns": Clock(),
    }
    return World(**(usual | changes))
