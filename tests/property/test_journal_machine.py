"""Whatever happens to workers, controllers, disks and files, each record is somewhere, once.

Real files, and a plain model beside them: which records each slot was given, and what became of
each. Two consumers read, save their cursors, die and come back; a bookkeeper counts; retention and
compression run when they like.
"""

import itertools
import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness.journals import TABLE, compiled_walk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sidecar.config.recording import Fsync
from sidecar.frames.layout import FRAME_BYTES, subject_of
from sidecar.journal import (
    FAILURE,
    START,
    Bookkeeper,
    Bounds,
    Cursor,
    Position,
    Reader,
    Standing,
    WriterLimits,
    compress,
    count_after,
    needs,
    past,
    plan_retention,
    read,
    remove,
    survey,
    walk_plainly,
)
from sidecar.journal.slot_writer import SlotWriter

# Where an fsync costs nothing: what a disk does is the subject of other tests.
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SLOTS = 2
WALKS = (walk_plainly, compiled_walk())
CONSUMERS = len(WALKS)
LIMITS = WriterLimits(fsync=Fsync.NEVER, segment_bytes=1500)
TABLES = (TABLE, {0: TABLE[1], 1: TABLE[0]})

slots = st.integers(0, SLOTS - 1)
consumers = st.integers(0, CONSUMERS - 1)
sizes = st.lists(st.integers(0, 300), min_size=1, max_size=12)


@dataclass
class Told:
    """A record that a slot was given, and what became of it."""

    payload: bytes
    cell: object
    failed: bool
    corrupt: bool = False
    segment: int = 0  # where it lay when it was damaged
    number: int = 0


@dataclass
class Books:
    """What a consumer did so far; copied when it saves, brought back when it dies."""

    position: Position = START
    seen: Counter = field(default_factory=Counter)
    expired: set = field(default_factory=set)
    corrupt: int = 0
    corrupt_expired: int = 0
    expired_count: int = 0

    def copy(self):
        return Books(
            self.position,
            self.seen.copy(),
            set(self.expired),
            self.corrupt,
            self.corrupt_expired,
            self.expired_count,
        )


class Journal(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=IN_MEMORY))
        self.journal = self.directory / "journal"
        self.boots = itertools.count(1)
        self.serial = itertools.count(1)
        self.told = [{} for _ in range(SLOTS)]  # payload to Told, in order
        self.numbers = [{} for _ in range(SLOTS)]  # number to payload: never given twice
        self.table = [0] * SLOTS
        self.writers = [self.new_writer(slot) for slot in range(SLOTS)]
        self.readers = [self.new_reader(consumer) for consumer in range(CONSUMERS)]
        self.cursors = [Cursor(self.directory / f"cursor-{n}") for n in range(CONSUMERS)]
        self.books = [Books() for _ in range(CONSUMERS)]
        self.saved = [Books() for _ in range(CONSUMERS)]
        self.keeper = self.new_keeper()

    def new_writer(self, slot):
        writer = SlotWriter(
            self.journal,
            slot,
            f"{next(self.boots):032x}",
            LIMITS,
            wall_ns=time.time_ns,
            monotonic_s=time.monotonic,
        )
        writer.use(TABLES[self.table[slot]])
        return writer

    def new_reader(self, consumer):
        """One consumer walks as the controller does, the other in plain Python."""
        return Reader(self.journal, walk=WALKS[consumer])

    def new_keeper(self):
        return Bookkeeper(self.journal, self.directory / "books", walk=compiled_walk())

    def records(self, slot, lengths):
        return [
            (
                n % 2 | FAILURE * (n % 3 == 0),
                b"%08d-%d " % (next(self.serial), slot) + b"\xa5" * length,
            )
            for n, length in enumerate(lengths)
        ]

    def tell(self, slot, records):
        for subject, payload in records:
            cell = TABLES[self.table[slot]][subject_of(subject)]
            self.told[slot][payload] = Told(payload, cell, failed=subject >= FAILURE)

    # Workers.

    @rule(slot=slots, lengths=sizes)
    def write(self, slot, lengths):
        records = self.records(slot, lengths)
        assert self.writers[slot].write(records) == (len(records), None)
        self.tell(slot, records)

    @rule(slot=slots)
    def end_a_segment(self, slot):
        self.writers[slot].finish()

    @rule(slot=slots)
    def change_the_table(self, slot):
        self.table[slot] = 1 - self.table[slot]
        self.writers[slot].use(TABLES[self.table[slot]])

    @rule(slot=slots)
    def restart_a_worker(self, slot):
        self.writers[slot].close()
        self.writers[slot] = self.new_writer(slot)

    @rule(slot=slots, lengths=sizes, cut=st.integers(0, 4000))
    def kill_a_worker_while_it_writes(self, slot, lengths, cut):
        """It dies with its last batch written in part: the file ends somewhere within it."""
        writer = self.writers[slot]
        writer.begin()  # so that the batch lies in one file
        segment = writer._segment
        records = self.records(slot, lengths)
        before = segment.path.stat().st_size
        segment.append(records)
        size = segment.path.stat().st_size
        end = max(size - cut, before)
        with segment.path.open("r+b") as file:
            file.truncate(end)
        whole = []
        for record in records:
            before += FRAME_BYTES + len(record[1])
            if before <= end:
                whole.append(record)
        self.tell(slot, whole)
        writer._abandon()
        writer._unlock()
        self.writers[slot] = self.new_writer(slot)

    # The disk.

    @precondition(lambda self: any(self.told))
    @rule(slot=slots, choice=st.integers(0, 10**6), at=st.integers(0, 10**6))
    def flip_a_byte(self, slot, choice, at):
        """Of any record but the last: a successor could take its number for not given yet."""
        plain = {one.sequence: one.path for one in survey(self.journal) if one.slot == slot}
        entries = read(self.journal, START, max_records=10**6, max_bytes=10**9).entries
        entries = [one for one in entries if one.slot == slot]
        candidates = [one for one in entries[:-1] if plain[one.segment].suffix == ".seg"]
        if not candidates:
            return
        entry = candidates[choice % len(candidates)]
        place = entry.offset + at % (FRAME_BYTES + len(entry.payload))
        with plain[entry.segment].open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 0x10]))
        told = self.told[slot][entry.payload]
        told.corrupt, told.segment, told.number = True, entry.segment, entry.number

    @rule(choice=st.integers(0, 100))
    def compress_a_segment(self, choice):
        closed = [one for one in survey(self.journal) if not one.last]
        if closed:
            compress(closed[choice % len(closed)])

    # Consumers.

    @rule(
        consumer=consumers,
        most=st.sampled_from([1, 3, 50, 1000]),
        size=st.sampled_from([1, 500, 10**6]),
    )
    def read_some(self, consumer, most, size):
        books = self.books[consumer]
        batch = self.readers[consumer].read(books.position, max_records=most, max_bytes=size)
        books.position = batch.next
        books.corrupt += sum(batch.corrupt.values())
        for entry in batch.entries:
            told = self.told[entry.slot][entry.payload]
            assert (entry.cell, entry.failed) == (told.cell, told.failed)
            assert self.numbers[entry.slot].setdefault(entry.number, entry.payload) == entry.payload
            assert entry.payload not in books.seen
            books.seen[entry.payload] += 1
        marked = [entry for run in batch.runs for entry in run.failures()]
        assert marked == [entry for entry in batch.entries if entry.failed]
        of_slots = [list(self.told[slot]) for slot in range(SLOTS)]
        for slot in range(SLOTS):
            got = [one.payload for one in batch.entries if one.slot == slot]
            assert got == [one for one in of_slots[slot] if one in set(got)]

    @rule(consumer=consumers)
    def save(self, consumer):
        self.save_cursor(consumer)

    def save_cursor(self, consumer):
        books = self.books[consumer]
        totals = {"delivered": {"all": len(books.seen)}, "expired": {"all": books.expired_count}}
        self.cursors[consumer].save(Standing(position=books.position, totals=totals))
        self.saved[consumer] = books.copy()

    @rule(consumer=consumers)
    def kill_a_consumer(self, consumer):
        self.readers[consumer].close()
        self.readers[consumer] = self.new_reader(consumer)
        self.books[consumer] = books = self.saved[consumer].copy()
        standing = self.cursors[consumer].load()
        assert standing.position == books.position
        assert standing.totals.get("delivered", {}).get("all", 0) == len(books.seen)

    @rule()
    def count_the_books(self):
        self.keeper.advance()

    @rule()
    def save_the_books(self):
        self.keeper.save()

    @rule()
    def kill_the_bookkeeper(self):
        self.keeper.close()
        self.keeper = self.new_keeper()
        self.keeper.load()

    @rule(total=st.integers(0, 8000), old=st.booleans())
    def prune(self, total, old):
        while self.keeper.advance():
            pass  # books are kept by the same process, before it prunes
        self.keeper.save()
        bounds = Bounds(total_bytes=total, slot_bytes=total, age_s=-1 if old else 10**6)
        segments = survey(self.journal)
        # What a restarted consumer may need is what was saved.
        positions = [books.position for books in self.saved]
        plan = plan_retention(segments, positions, bounds, time.time_ns())
        for segment in plan.free:
            remove(self.journal, segment, time.time_ns)
        for segment in plan.expired:
            for consumer in range(CONSUMERS):
                self.let_go(consumer, segment)
            remove(self.journal, segment, time.time_ns)

    def let_go(self, consumer, segment):
        books = self.books[consumer]
        if needs(segment, books.position):
            of_segment = self.payloads_of(segment, books.position)
            counts = count_after(self.journal, segment, books.position)
            assert sum(counts.values()) == len(of_segment)
            books.expired_count += sum(counts.values())
            books.expired.update(of_segment)
            books.corrupt_expired += self.damaged_behind(segment, books.position)
            books.position = past(segment, books.position)
        self.save_cursor(consumer)

    def payloads_of(self, segment, position):
        """What is there to be read of a segment behind a position."""
        entries = read(self.journal, position, max_records=10**6, max_bytes=10**9).entries
        return [
            one.payload
            for one in entries
            if (one.slot, one.segment) == (segment.slot, segment.sequence)
        ]

    def damaged_behind(self, segment, position):
        """Damaged records of a segment that a consumer at `position` has not come across."""
        at = position.of(segment.slot)
        number = at.number if at.sequence == segment.sequence else 0
        return sum(
            told.corrupt and told.segment == segment.sequence and told.number >= number
            for told in self.told[segment.slot].values()
        )

    # What must hold in the end.

    def teardown(self):
        try:
            self.settle()
        finally:
            for reader in self.readers:
                reader.close()
            self.keeper.close()
            for writer in self.writers:
                writer.close()
            shutil.rmtree(self.directory)

    def settle(self):
        for writer in self.writers:
            writer.close()
        for consumer in range(CONSUMERS):
            books = self.books[consumer]
            while True:
                before = books.position
                self.read_some(consumer, 1000, 10**6)
                if books.position == before:
                    break
            for told in self.told:
                for payload, one in told.items():
                    delivered, expired = payload in books.seen, payload in books.expired
                    assert delivered + expired <= 1, payload
                    assert delivered or expired or one.corrupt, payload
        while self.keeper.advance():
            pass
        self.check_counts()

    def check_counts(self):
        total = sum(map(len, self.told))
        kept = self.keeper.books
        assert sum(kept.logged.values()) + sum(kept.corrupt.values()) == total
        for books in self.books:
            lost = books.corrupt + books.corrupt_expired
            assert len(books.seen) + books.expired_count + lost == total


TestJournal = Journal.TestCase

pytestmark = pytest.mark.timeout(180)  # many examples, on machines that do more
TestJournal.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)
