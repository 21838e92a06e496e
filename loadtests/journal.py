"""What the journal costs: handing over, writing, reading; and what was not chosen, beside it.

- `append`: CPU of the caller's thread for each record, 100 at a time, 20,000 a second, as
  requests come; the writer's thread works at the same time.
- `thread`: CPU of the writer's thread for each record: waiting, framing, checksums, writing.
- `frames`: what encoding and writing a batch of 256 takes in other ways.
- `read`, `books`: records a second, of one reader, from the page cache: all of them told apart, or
  counted. `plainly`: without the kernel.

Median of the rounds (best in brackets). Nothing is forced to the disk: that is time, not CPU.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

from loadtests.rig.command import options, run
from loadtests.rig.machine import Surroundings
from loadtests.rig.progress import say
from loadtests.rig.report import Report, Table
from sidecar.board import warm
from sidecar.config.recording import Fsync
from sidecar.frames.layout import RECORD_LABEL, pack_rest, pack_start
from sidecar.journal import (
    START,
    Bookkeeper,
    CompiledWalk,
    Reader,
    Walk,
    Writer,
    WriterLimits,
    walk_plainly,
)
from sidecar.model.cells import CellKey
from sidecar.model.names import Role

SIZES = (200, 1000)
RECORDS = 20_000
BATCH = 256
IOV_MAX = os.sysconf("SC_IOV_MAX")
CELL = CellKey(route="iris", model="stable", role=Role.PRIMARY)
MARK = 0x5BD1E995
RECORD = int(RECORD_LABEL)

Figures = dict[str, dict[int, list[float]]]
"""Of every round, by what was measured and the size of a record."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.journal", __doc__, rounds=15, seconds=None)
    return run(parser, measure, arguments)


def measure(chosen: argparse.Namespace) -> Report:
    surroundings = Surroundings()
    walk = CompiledWalk(warm(os.environ).walk_records)
    figures: Figures = {}
    for number in range(chosen.rounds):
        say(f"round {number + 1} of {chosen.rounds}")
        for size in SIZES:
            for name, figure in one_round(size, walk).items():
                figures.setdefault(name, {}).setdefault(size, []).append(figure)
    rows = [
        [name, *(said(name, rounds) for rounds in by_size.values())]
        for name, by_size in figures.items()
    ]
    return Report(
        name="journal",
        parts=[
            (
                f"{surroundings.describe()} CPU time, nothing forced to the disk; medians of "
                f"{chosen.rounds} rounds (best in brackets)."
            ),
            Table(("journal", *(f"{size:,} B" for size in SIZES)), rows),
        ],
        data={"rounds": figures},
    )


def said(name: str, rounds: Sequence[float]) -> str:
    best = max(rounds) if "a second" in name else min(rounds)
    return f"{statistics.median(rounds):,.0f} ({best:,.0f})"


def one_round(size: int, walk: Walk) -> dict[str, float]:
    payload = os.urandom(size)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        append_ns, thread_ns = hand_over(directory, payload)
        found = {
            "append, ns a record": append_ns,
            "thread, ns a record": thread_ns,
            "read, records a second": read(directory, walk),
            "read plainly, records a second": read(directory, walk_plainly),
            "books, records a second": count(directory, walk),
            "books plainly, records a second": count(directory, walk_plainly),
        }
        for way, write in WAYS.items():
            found[f"frames {way}, ns a record"] = batches(directory / "frames", payload, write)
    return found


def hand_over(directory: Path, payload: bytes) -> tuple[float, float]:
    limits = WriterLimits(fsync=Fsync.NEVER, queue_bytes=64 * 1024 * 1024)
    writer = Writer(directory, 0, "0" * 32, limits, wall_ns=time.time_ns)
    writer.subjects({0: CELL})
    append = writer.append
    (thread,) = [one for one in threading.enumerate() if one.name == "journal-00"]
    assert thread.ident is not None
    clock = time.pthread_getcpuclockid(thread.ident)
    started_ns = time.clock_gettime_ns(clock)
    appending_ns = 0
    for _ in range(RECORDS // 100):
        before_ns = time.thread_time_ns()
        for _ in range(100):
            append(0, payload)
        appending_ns += time.thread_time_ns() - before_ns
        time.sleep(0.005)
    writer.flush(10)
    thread_ns = time.clock_gettime_ns(clock) - started_ns
    writer.close(10)
    return appending_ns / RECORDS, thread_ns / RECORDS


def read(directory: Path, walk: Walk) -> float:
    reader, position, records = Reader(directory, walk=walk), START, 0
    started_ns = time.thread_time_ns()
    while entries := (batch := reader.read(position)).entries:
        records += len(entries)
        position = batch.next
    elapsed_ns = time.thread_time_ns() - started_ns
    reader.close()
    return records / elapsed_ns * 1e9


def count(directory: Path, walk: Walk) -> float:
    books = Bookkeeper(directory, directory / "books", walk=walk)
    started_ns = time.thread_time_ns()
    while books.advance():
        pass
    elapsed_ns = time.thread_time_ns() - started_ns
    books.close()
    return sum(books.books.logged.values()) / elapsed_ns * 1e9


# Ways to frame and write a batch. `joined` is what `SegmentWriter` does.


def joined(descriptor: int, payloads: list[bytes]) -> None:
    os.write(descriptor, b"".join(framed(payloads)))


def gathered(descriptor: int, payloads: list[bytes]) -> None:
    parts = framed(payloads)
    for at in range(0, len(parts), IOV_MAX):
        os.writev(descriptor, parts[at : at + IOV_MAX])


def one_by_one(descriptor: int, payloads: list[bytes]) -> None:
    parts = framed(payloads)
    for at in range(0, len(parts), 3):
        os.write(descriptor, b"".join(parts[at : at + 3]))


def framed(payloads: list[bytes]) -> list[bytes]:
    parts: list[bytes] = []
    add = parts.append
    for number, payload in enumerate(payloads):
        rest = pack_rest(len(payload), RECORD, number)
        add(pack_start(MARK, crc32(payload, crc32(rest, MARK))))
        add(rest)
        add(payload)
    return parts


def copied_first(descriptor: int, payloads: list[bytes]) -> None:
    """One checksum over head and payload, which are put together for it."""
    parts: list[bytes] = []
    add = parts.append
    for number, payload in enumerate(payloads):
        frame = pack_rest(len(payload), RECORD, number) + payload
        add(pack_start(MARK, crc32(frame, MARK)))
        add(frame)
    os.write(descriptor, b"".join(parts))


WAYS: dict[str, Callable[[int, list[bytes]], None]] = {
    "joined": joined,
    "gathered by writev": gathered,
    "joined, one checksum": copied_first,
    "written one by one": one_by_one,
}


def batches(path: Path, payload: bytes, write: Callable[[int, list[bytes]], None]) -> float:
    payloads = [payload] * BATCH
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        started_ns = time.thread_time_ns()
        for _ in range(20):
            write(descriptor, payloads)
        return (time.thread_time_ns() - started_ns) / (20 * BATCH)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
