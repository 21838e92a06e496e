"""What it costs to read the journal: delivery to files, on one core, and its other readers.

A journal is written once, then delivered again and again by a new pump with a `jsonl` sink, as the
controller does it: read, checked, decoded, written as JSON, the cursor saved. Everything of it runs
on one core, the pump's threads and the event loop included. Beside it a task looks how long the
loop, which also serves the admin API, was kept from what it had to do.

The stages are timed alone, one after the other on one thread; what the pump costs beyond their sum
is handing over and waiting. Beside the pump, the books count every record, and failed predictions
are looked for.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from loadtests.rig.command import options, run
from loadtests.rig.machine import Surroundings
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report, Table
from sidecar.board import warm
from sidecar.config.sinks import JsonlSink as JsonlSettings
from sidecar.delivery import Item, JournalSource, Pump, PumpPolicy
from sidecar.delivery.dead_letters import Bounds, DeadLetterStore, FailedPredictions
from sidecar.delivery.sinks import Surroundings as SinkSurroundings
from sidecar.delivery.sinks import sink_for
from sidecar.delivery.sinks.lines import lines_of
from sidecar.journal import (
    START,
    Bookkeeper,
    Books,
    CompiledWalk,
    Cursor,
    Position,
    Reader,
    Walk,
    Writer,
    WriterLimits,
)
from sidecar.model import CellKey, Role, StatusClass
from sidecar.records import Captured, Record, Why, decode, encode

RECORDS: Final = 60_000
BODY_BYTES: Final = 1024
OUTCOMES, BODIES = "outcome records", f"with bodies of {BODY_BYTES} B"

LEAST_RATE: Final = 30_000  # records a second, on one core
LONGEST_PAUSE_MS: Final = 10.0  # of the loop, for 99 % of its turns

_CELL: Final = CellKey(route="iris", model="stable", role=Role.PRIMARY)
_CHUNK: Final = 500
_LOOK_S: Final = 0.001
_IDLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Round:
    """One delivery of a whole journal."""

    records: int
    wall_s: float
    cpu_s: float
    late_ms: Sequence[float]  # how much later than asked the loop came back, each time

    @property
    def rate(self) -> float:
        return self.records / self.wall_s

    @property
    def cpu_us(self) -> float:
        return 1e6 * self.cpu_s / self.records


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    walk = CompiledWalk(warm(os.environ).walk_records)
    rounds: dict[str, list[Round]] = {OUTCOMES: [], BODIES: []}
    with tempfile.TemporaryDirectory(prefix="loadtest-") as home, one_core():
        journals = {OUTCOMES: Path(home) / "outcomes", BODIES: Path(home) / "bodies"}
        write_journal(journals[OUTCOMES], chosen.records, captured=None)
        write_journal(journals[BODIES], chosen.records // 4, captured=some_bodies())
        idle_ms = uvloop.run(idle())
        for number in range(chosen.rounds):
            say(f"round {number + 1} of {chosen.rounds}")
            for name, journal in journals.items():
                with tempfile.TemporaryDirectory(dir=home) as place:
                    rounds[name].append(uvloop.run(deliver(journal, Path(place), walk)))
        stages = {name: stage_costs(journal, walk) for name, journal in journals.items()}
    return report(surroundings, idle_ms, rounds, stages)


def write_journal(directory: Path, records: int, captured: Captured | None) -> None:
    """So many records in a journal of one slot."""
    limits = WriterLimits(queue_bytes=1 << 30, most_bytes=1 << 40)
    writer = Writer(directory, 0, "ab" * 16, limits, wall_ns=time.time_ns)
    writer.subjects({0: _CELL})
    for number in range(records):
        writer.append(0, encode(outcome(number, captured)))
    if not (writer.flush(60.0) and writer.written == records):
        raise OSError("the journal could not be written")
    writer.close(10.0)


def outcome(number: int, captured: Captured | None = None) -> Record:
    """What an ordinary prediction leaves."""
    return Record(
        id=f"018bcfe5-6800-7000-8000-{number:012d}",
        request_id=f"3f2a{number:028x}",
        at_ns=1_700_000_000_000_000_000 + number * 100_000,
        route=_CELL.route,
        model=_CELL.model,
        role=_CELL.role,
        status=200,
        outcome=StatusClass.SUCCESS,
        method="POST",
        path="/v2/models/stable/infer",
        request_bytes=912,
        response_bytes=188,
        duration_ns=3_200_000 + number,
        upstream_ns=3_000_000 + number,
        first_byte_ns=2_900_000 + number,
        rows=1,
        predictions=(number % 3,),
        scores=(0.5 + (number % 1000) / 2001,),
        segments={"region": "north"},
        unusual=(number % 997) / 997,
        routing_version=7,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        captured=captured,
    )


def some_bodies() -> Captured:
    """A request and an answer that a tabular model could have had."""
    numbers = ",".join(f"{value * 0.37:.4f}" for value in range(BODY_BYTES // 7))
    body = f'{{"inputs":[{{"name":"x","data":[{numbers}]}}]}}'.encode()[:BODY_BYTES]
    return Captured(
        why=Why.SAMPLED,
        request_headers=(("content-type", "application/json"),),
        request_body=body,
        response_body=body[:200],
    )


async def deliver(journal: Path, place: Path, walk: Walk) -> Round:
    """Deliver a whole journal with a new pump."""
    settings = JsonlSettings(name="files", path=str(place / "log"))
    surroundings = SinkSurroundings(environ={}, wall_ns=time.time_ns, chance=lambda: 0.5)
    pump = Pump(
        settings.name,
        sink_for(settings, surroundings),
        JournalSource(journal, Cursor(place / "cursor"), walk=walk),
        NobodyRefuses(),
        PumpPolicy.of(settings),
        wall_ns=time.time_ns,
        monotonic_ns=time.monotonic_ns,
        chance=lambda: 0.5,
    )
    records = sum(1 for _ in payloads(journal))
    late_ms: list[float] = []
    watch = asyncio.ensure_future(look_at_the_loop(late_ms))
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    running = asyncio.ensure_future(pump.run())
    while pump.figures.delivered < records:  # noqa: ASYNC110 -- a figure, and no event, says so
        await asyncio.sleep(0.01)
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    for task in (watch, running):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return Round(records, wall_s, cpu_s, late_ms)


class NobodyRefuses:
    """Dead letters, of which there are none."""

    async def add_refused(self, sink: str, items: Sequence[Item], reasons: Sequence[str]) -> None:
        raise ValueError(f"{sink} refused {len(items)} records: {reasons[0]}")


async def idle() -> list[float]:
    """How late a loop comes back that has nothing to do, on this machine and now."""
    late_ms: list[float] = []
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(look_at_the_loop(late_ms), _IDLE_S)
    return late_ms


async def look_at_the_loop(late_ms: list[float]) -> None:
    while True:
        asked_s = time.perf_counter()
        await asyncio.sleep(_LOOK_S)
        late_ms.append(1e3 * (time.perf_counter() - asked_s - _LOOK_S))


def payloads(journal: Path) -> Iterator[bytes]:
    reader, position = Reader(journal), START
    while True:
        batch = reader.read(position, max_records=_CHUNK)
        if batch.next == position:
            reader.close()
            return
        position = batch.next
        yield from (entry.payload for entry in batch.entries)


def stage_costs(journal: Path, walk: Walk) -> dict[str, float]:
    """Microseconds of CPU per record of each stage alone, and of the journal's other readers."""
    kept = list(payloads(journal))
    items = [
        Item(id=record.id, record=record, payload=payload, cell=_CELL)
        for payload, record in zip(kept, map(decode, kept), strict=True)
    ]
    chunks = [items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK)]

    def read() -> None:
        position: Position = START
        reader = Reader(journal, walk=walk)
        for _ in chunks:
            batch = reader.read(position, max_records=_CHUNK)
            position = batch.next
            for one in batch.runs:
                one.payloads()
                one.cells()
        reader.close()

    def decode_all() -> None:
        for chunk in chunks:
            for item in chunk:
                decode(item.payload)

    def write() -> None:
        with tempfile.TemporaryFile(buffering=0) as file:
            for content in lines:
                file.write(content)

    def encode_all() -> None:
        for chunk in chunks:
            lines_of(chunk)

    lines = [lines_of(chunk).content for chunk in chunks]
    stages: dict[str, Callable[[], object]] = {
        "read and check": read,
        "decode": decode_all,
        "encode as JSON": encode_all,
        "write": write,
        "the books": lambda: keep_books(journal, walk),
        "failed predictions": lambda: uvloop.run(look_for_failures(journal, walk)),
    }
    return {name: 1e6 * cpu_s_of(call) / len(kept) for name, call in stages.items()}


def keep_books(journal: Path, walk: Walk) -> Books:
    """Count a whole journal."""
    with tempfile.TemporaryDirectory() as place:
        bookkeeper = Bookkeeper(journal, Path(place) / "books", walk=walk)
        while bookkeeper.advance():
            pass
        bookkeeper.close()
        return bookkeeper.books


async def look_for_failures(journal: Path, walk: Walk) -> None:
    """Go through a whole journal, in which there are none."""
    with tempfile.TemporaryDirectory() as place:
        store = DeadLetterStore(
            Path(place) / "letters",
            Bounds(max_bytes=1 << 30, max_age_s=1e6),
            wall_ns=time.time_ns,
            ids=lambda: "0",
        )
        await store.open()
        reader, cursor = Reader(journal, walk=walk), Cursor(Path(place) / "cursor")
        looking = FailedPredictions(
            store, reader, cursor, monotonic_s=time.monotonic, chance=lambda: 0.5
        )
        await looking.open()
        while await looking.look():
            pass
        await looking.close()
        await store.close()


def cpu_s_of(call: Callable[[], object]) -> float:
    began_s = time.process_time()
    call()
    return time.process_time() - began_s


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """All threads of this process on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def report(
    surroundings: Surroundings,
    idle_ms: Sequence[float],
    rounds: Mapping[str, Sequence[Round]],
    stages: Mapping[str, Mapping[str, float]],
) -> Report:
    rows = [["nothing", "", "", *lateness(idle_ms)]]
    for name, some in rounds.items():
        rows.append(
            [
                name,
                f"{statistics.median(one.rate for one in some):,.0f}",
                f"{statistics.median(one.cpu_us for one in some):.1f}",
                *lateness([late for one in some for late in one.late_ms]),
            ]
        )
    names = list(next(iter(stages.values())))
    of_outcomes = rounds[OUTCOMES]
    late_ms = [late for one in of_outcomes for late in one.late_ms]
    data: dict[str, Any] = {
        "rounds": {
            name: [{"rate": one.rate, "cpu_us": one.cpu_us} for one in some]
            for name, some in rounds.items()
        },
        "stages_us": stages,
    }
    return Report(
        name="delivery",
        parts=[
            (
                f"{surroundings.describe()} Everything on one core; medians of "
                f"{len(of_outcomes)} rounds of {of_outcomes[0].records:,} outcome records. "
                "How late the loop comes back is of all rounds; an idle one for comparison."
            ),
            Table(
                ("journal to files", "records/s", "CPU us", "loop p50 ms", "p99 ms", "p99.9 ms"),
                rows,
            ),
            "CPU microseconds per record of each stage alone, and of the journal's other readers:",
            Table(
                ("stage", *stages),
                [[name, *(f"{costs[name]:.2f}" for costs in stages.values())] for name in names],
            ),
        ],
        data=data,
        bars=[
            Bar(
                what=f"wall clock per outcome record ({LEAST_RATE:,}/s)",
                measured=1e6 / statistics.median(one.rate for one in of_outcomes),
                limit=1e6 / LEAST_RATE,
                unit=" us",
            ),
            Bar(
                what="how late the loop comes back, p99",
                measured=quantile(late_ms, 0.99),
                limit=LONGEST_PAUSE_MS,
                unit=" ms",
            ),
        ],
    )


def lateness(late_ms: Sequence[float]) -> list[str]:
    return [f"{quantile(late_ms, q):.1f}" for q in (0.5, 0.99, 0.999)]


def quantile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.delivery", __doc__ or "", rounds=5, seconds=None)
    parser.add_argument("--records", type=int, default=RECORDS, help=f"default {RECORDS}")
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
