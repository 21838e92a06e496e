"""Kills a writer process again and again, cuts its power, and counts what its files still hold.

A round: a process writes records into a slot as fast as it is let, and notes in shared memory what
its writer said was written and durable. After a random while it is killed (SIGKILL). Then

- every record that was said to be written is there, in order, with no number missing: the page
  cache outlives a process;
- with `--power-cuts`, each segment is cut back to a random place behind what the last fsync of it
  covered, as a crash of the machine may do: every record that was said to be durable is there.

The next round goes on in the same directory. Exit 1 if anything was lost that should not be.
"""

from __future__ import annotations

import argparse
import logging
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.rig.command import options, run
from loadtests.rig.report import Bar, Report
from sidecar.config.recording import Fsync
from sidecar.journal import START, Position, Reader, Writer, WriterLimits
from sidecar.journal.segments import segment_path, sequences_of
from sidecar.model.cells import CellKey
from sidecar.model.names import Role

CELL = CellKey(route="iris", model="stable", role=Role.PRIMARY)
SEGMENTS = 4096  # whose synced size is remembered, by sequence modulo this
_WORDS = struct.Struct("<QQ")
_WORD = struct.Struct("<Q")
_SYNCED_AT = 64


@dataclass
class Campaign:
    """What came of all rounds."""

    rounds: int = 0
    written: int = 0
    durable: int = 0
    torn_rounds: int = 0  # the file ended within a record
    lost_written: int = 0  # said to be written, and not there after a kill
    lost_durable: int = 0  # said to be durable, and not there after a power cut
    lost_in_power_cuts: int = 0  # written, not durable, and not there: what the policy may lose
    missing: int = 0  # numbers that nothing was found under, between others
    counted: int = 0  # records that the reader said were missing
    faults: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.journal_kills", __doc__, rounds=200, seconds=None)
    parser.set_defaults(bars=True)  # a loss is never just a figure
    parser.add_argument("--fsync", type=Fsync, choices=list(Fsync), default=Fsync.ALWAYS)
    parser.add_argument("--power-cuts", action="store_true")
    parser.add_argument("--longest-ms", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    return run(parser, measure, arguments)


def measure(chosen: argparse.Namespace) -> Report:
    logging.disable(logging.WARNING)  # that half a record was cut off is what this is about
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory() as directory:
        campaign = kill_again_and_again(
            Path(directory),
            chosen.fsync,
            rounds=chosen.rounds,
            power_cuts=chosen.power_cuts,
            longest_s=chosen.longest_ms / 1e3,
            rng=random.Random(seed),
        )
    power = ", the power cut each time" if chosen.power_cuts else ""
    return Report(
        name="journal-kills",
        parts=[
            (
                f"{campaign.rounds} kills with fsync `{chosen.fsync}`{power}; seed {seed}: "
                f"{campaign.written:,} records written, {campaign.durable:,} of them durable; "
                f"{campaign.torn_rounds} files that ended within a record, "
                f"{campaign.lost_in_power_cuts} records lost that the policy may lose."
            ),
            *campaign.faults,
        ],
        data={**vars(campaign), "seed": seed},
        bars=[
            Bar(what="said to be written, and not there", measured=campaign.lost_written, limit=0),
            Bar(what="said to be durable, and not there", measured=campaign.lost_durable, limit=0),
            Bar(what="what did not add up", measured=len(campaign.faults), limit=0),
        ],
    )


def kill_again_and_again(
    directory: Path,
    fsync: Fsync,
    *,
    rounds: int,
    power_cuts: bool,
    longest_s: float,
    rng: random.Random,
) -> Campaign:
    campaign = Campaign()
    shared = mmap.mmap(-1, _SYNCED_AT + SEGMENTS * _WORD.size)
    reader, position, last = Reader(directory), START, 0
    limits = WriterLimits(fsync=fsync, fsync_interval_s=0.01, gather_s=0.001, segment_bytes=200_000)
    for number in range(rounds):
        _WORDS.pack_into(shared, 0, 0, 0)
        child = os.fork()
        if child == 0:
            write_until_killed(directory, limits, shared, seed=number)
        time.sleep(rng.uniform(0, longest_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        written, durable = _WORDS.unpack_from(shared, 0)
        campaign.rounds += 1
        campaign.written += max(written - last, 0)
        campaign.durable += max(durable - last, 0)
        if power_cuts:
            cut_power(directory, shared, rng)
        position, end, missing = drain(reader, position, last, campaign)
        campaign.missing += missing
        if power_cuts:
            campaign.lost_durable += max(durable - end, 0)
            campaign.lost_in_power_cuts += missing + max(written - max(end, durable), 0)
        else:
            campaign.lost_written += max(written - end, 0)
        last = end
    with_an_end = Writer(directory, 0, "f" * 32, limits, wall_ns=time.time_ns)
    with_an_end.append(0, b"whole")
    with_an_end.close(10)
    campaign.missing += drain(reader, position, last, campaign)[2]
    if campaign.missing and not (power_cuts and fsync is Fsync.NEVER):
        campaign.faults.append("records are missing between others")
    if campaign.counted != campaign.missing:
        campaign.faults.append("not all that is missing was counted, or more than that")
    reader.close()
    shared.close()
    return campaign


def write_until_killed(directory: Path, limits: WriterLimits, shared: mmap.mmap, seed: int) -> None:
    """The child. Never returns."""
    sync = os.fsync

    def noted(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        sync(descriptor)
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if name.endswith(".seg"):
            at = _SYNCED_AT + int(name.partition(".")[0]) % SEGMENTS * _WORD.size
            _WORD.pack_into(shared, at, size)

    os.fsync = noted  # type: ignore[assignment]
    rng = random.Random(seed)
    writer = Writer(directory, 0, f"{seed:032x}", limits, wall_ns=time.time_ns)
    writer.subjects({0: CELL})
    filler = rng.randbytes(3000)
    while True:
        for _ in range(rng.randrange(1, 50)):
            writer.append(0, b"record" + filler[: rng.randrange(len(filler))])
        # Durable first: it may only grow between the two.
        durable = writer.durable
        _WORDS.pack_into(shared, 0, writer.written, durable)
        time.sleep(0)


def cut_power(directory: Path, shared: mmap.mmap, rng: random.Random) -> None:
    """Cut every segment back to somewhere behind what was forced to the disk."""
    for sequence in sequences_of(directory, 0):
        at = _SYNCED_AT + sequence % SEGMENTS * _WORD.size
        (synced,) = _WORD.unpack_from(shared, at)
        path = segment_path(directory, 0, sequence)
        size = path.stat().st_size
        if size > synced:
            kept = rng.randint(synced, size)
            os.truncate(path, kept)
            _WORD.pack_into(shared, at, kept)


def drain(
    reader: Reader, position: Position, last: int, campaign: Campaign
) -> tuple[Position, int, int]:
    """Read all there is; the position, the number of the last record, how many are missing."""
    counted = missing = skipped = 0
    while True:
        batch = reader.read(position, max_records=5000, max_bytes=16 * 1024 * 1024)
        skipped += batch.skipped
        counted += sum(batch.corrupt.values())
        for entry in batch.entries:
            if entry.number <= last:
                campaign.faults.append(f"{entry.number} came after {last}")
            missing += entry.number - last - 1
            last = entry.number
        if batch.next == position:
            break
        position = batch.next
    campaign.counted += counted
    campaign.torn_rounds += skipped > 0
    return position, last, missing


if __name__ == "__main__":
    sys.exit(main())
