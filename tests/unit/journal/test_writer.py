"""What a worker hands over is written in order or counted, and handing over never waits."""

import os
import threading
import time
from dataclasses import replace

import pytest
from harness.journals import BOOT, NEXT, STABLE, TABLE, entries_of, read_all, segments
from harness.waiting import wait_until

from sidecar.config.recording import Fsync
from sidecar.journal import FAILURE, START, Reader, SlotPosition, Writer, WriterLimits
from sidecar.journal.segments import segment_path
from sidecar.journal.slot_reader import SlotReader
from sidecar.journal.writer import BATCH_BYTES, QUEUED_BYTES
from sidecar.model.names import DropReason

QUICK = WriterLimits(fsync=Fsync.NEVER, gather_s=0.001)


@pytest.fixture
def start(tmp_path):
    """Starts writers of the journal in `tmp_path`, and ends them."""
    writers = []

    def started(limits=QUICK, *, slot=0, directory=tmp_path):
        writer = Writer(directory, slot, BOOT, limits, wall_ns=time.time_ns)
        writer.subjects(TABLE)
        writers.append(writer)
        return writer

    yield started
    for writer in writers:
        writer.close(5)


class Held:
    """A disk that takes nothing until it is let go: `os.fsync` waits."""

    def __init__(self, monkeypatch):
        self.free = threading.Event()
        self.entered = threading.Event()
        sync = os.fsync

        def held(descriptor):
            self.entered.set()
            assert self.free.wait(10)
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", held)


def ended(directory):
    """The segments that say, in a last frame, what they were given."""
    reader = SlotReader(directory, 0, None)
    closings = reader.read(SlotPosition(), 10_000, 1 << 30).closings
    reader.close()
    return [segment_path(directory, 0, sequence) for sequence in closings]


def test_records_come_back_in_the_order_in_which_they_were_handed_over(start, tmp_path):
    writer = start()
    sizes = [0, 1, 200, 5000, BATCH_BYTES, 3]
    records = [(n % 3, bytes([n % 251]) * sizes[n % 6]) for n in range(1500)]
    for subject, payload in records:
        while not writer.append(subject, payload):
            time.sleep(0.001)
    assert writer.flush(10)
    entries = entries_of(read_all(tmp_path))
    assert [(one.subject, one.payload) for one in entries] == records
    assert [one.number for one in entries] == list(range(1, 1501))
    assert [one.cell for one in entries] == [TABLE[subject] for subject, _ in records]
    assert writer.written == 1500
    assert writer.depth_bytes == 0


def test_many_are_handed_over_as_if_they_came_one_by_one(start, tmp_path):
    writer = start()
    records = [(n % 3, b"%d" % n) for n in range(2000)]
    for at in range(0, 2000, 70):
        writer.extend(records[at : at + 70])
    assert writer.flush(10)
    entries = entries_of(read_all(tmp_path))
    assert [(one.subject, one.payload) for one in entries] == records
    assert writer.depth_bytes == 0


def test_of_many_those_are_taken_for_which_there_is_room(start, tmp_path, monkeypatch):
    disk = Held(monkeypatch)
    writer = start(replace(QUICK, fsync=Fsync.ALWAYS, queue_bytes=100 * (1000 + QUEUED_BYTES)))
    writer.append(0, b"first")
    assert disk.entered.wait(5)
    writer.extend([(n % 2 + 1, bytes(1000)) for n in range(60)])
    writer.extend([(1, bytes(1000)), (1, bytes(200 * 1000)), *[(2 | FAILURE, bytes(1000))] * 60])
    refused = writer.failures
    assert refused.pop((DropReason.TOO_LARGE, 1)) == 1
    ((key, count),) = refused.items()
    assert key == (DropReason.QUEUE_FULL, 2)
    assert writer.depth_bytes <= 100 * (1000 + QUEUED_BYTES)
    disk.free.set()
    assert writer.flush(10)
    assert len(entries_of(read_all(tmp_path))) == 1 + 60 + 1 + 60 - count


def test_a_failure_is_marked_and_counts_for_its_subject(start, tmp_path):
    writer = start()
    assert writer.append(1 | FAILURE, b"failed")
    writer.extend([(1, b"went well"), (2 | FAILURE, b"failed, too")])
    assert writer.close(5)
    portion = SlotReader(tmp_path, 0, None).read(SlotPosition(), 100, 1 << 20)
    assert [(one.subject, one.cell, one.failed) for one in portion.entries] == [
        (1, NEXT, True),
        (1, NEXT, False),
        (2, TABLE[2], True),
    ]
    assert portion.closings == {1: {NEXT: 2, TABLE[2]: 1}}
    assert not writer.append(1 | FAILURE, b"late")
    assert writer.failures == {(DropReason.CLOSED, 1): 1}


def test_nothing_lies_on_the_disk_before_the_first_record(start, tmp_path):
    writer = start()
    assert writer.flush(5)
    assert list(tmp_path.iterdir()) == []
    assert writer.close(5)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_follows_while_records_come(start, tmp_path):
    writer, reader, position = start(), Reader(tmp_path), START
    for n in range(30):
        writer.append(0, b"%d" % n)
        assert writer.flush(5)
        batch = reader.read(position)
        assert [one.payload for one in batch.entries] == [b"%d" % n]
        position = batch.next
    reader.close()


def test_a_full_queue_refuses_at_once_and_counts_whom(start, tmp_path, monkeypatch):
    disk = Held(monkeypatch)
    writer = start(replace(QUICK, fsync=Fsync.ALWAYS, queue_bytes=100 * (1000 + QUEUED_BYTES)))
    writer.append(0, b"first")
    assert disk.entered.wait(5)
    answers = [writer.append(1, bytes(1000)) for _ in range(150)]
    assert answers == [True] * 99 + [False] * 51 or answers == [True] * 100 + [False] * 50
    assert writer.failures == {(DropReason.QUEUE_FULL, 1): answers.count(False)}
    assert writer.depth_bytes <= 100 * (1000 + QUEUED_BYTES)
    disk.free.set()
    assert writer.flush(10)
    assert writer.append(1, b"there is room again")
    assert writer.flush(10)
    assert len(entries_of(read_all(tmp_path))) == 2 + answers.count(True)


def test_a_record_larger_than_the_queue_is_refused_as_such(start, tmp_path):
    writer = start(replace(QUICK, queue_bytes=1000))
    assert not writer.append(2, bytes(1000))
    assert writer.append(2, bytes(1000 - QUEUED_BYTES))
    assert writer.flush(5)
    assert writer.failures == {(DropReason.TOO_LARGE, 2): 1}
    assert len(entries_of(read_all(tmp_path))) == 1


def test_closing_writes_what_waits_and_refuses_what_comes_later(start, tmp_path):
    writer = start(replace(QUICK, gather_s=5.0))
    for n in range(100):
        assert writer.append(0, b"%d" % n)
    assert writer.close(10)
    assert len(entries_of(read_all(tmp_path))) == 100
    assert not writer.append(1, b"late")
    assert writer.failures == {(DropReason.CLOSED, 1): 1}


def test_closing_does_not_wait_longer_than_it_was_told(start, monkeypatch):
    disk = Held(monkeypatch)
    writer = start(replace(QUICK, fsync=Fsync.ALWAYS))
    writer.append(0, b"x")
    assert disk.entered.wait(5)
    assert not writer.close(0.05)
    disk.free.set()
    assert writer.close(5)


def test_a_new_table_begins_a_new_segment_and_old_records_keep_their_cells(start, tmp_path):
    writer = start(replace(QUICK, gather_s=0.05))
    writer.append(0, b"stable")
    writer.subjects({0: NEXT})
    writer.append(0, b"next")
    writer.subjects({0: NEXT})  # the same: nothing new begins
    writer.append(0, b"next again")
    assert writer.flush(5)
    entries = entries_of(read_all(tmp_path))
    assert [(one.segment, one.cell) for one in entries] == [(1, STABLE), (2, NEXT), (2, NEXT)]


def test_a_record_of_nobody_is_written_all_the_same(start, tmp_path):
    writer = start()
    writer.append(99, b"who?")
    assert writer.flush(5)
    (entry,) = entries_of(read_all(tmp_path))
    assert (entry.payload, entry.cell.model) == (b"who?", "?")


def test_segments_end_by_size_and_by_age(start, tmp_path):
    writer = start(replace(QUICK, segment_bytes=4000, segment_age_s=0.1))
    for _ in range(10):
        writer.append(0, bytes(1000))
        assert writer.flush(5)
    paths = segments(tmp_path)
    assert len(paths) >= 2
    assert all(path.stat().st_size < 6000 for path in paths)
    wait_until(lambda: paths[-1] in ended(tmp_path), "the end of the last segment")
    writer.append(0, b"of the next")
    assert writer.flush(5)
    assert segments(tmp_path)[-1] != paths[-1]


def test_the_next_worker_of_a_slot_goes_on_with_its_numbers(start, tmp_path):
    for n in range(3):
        writer = start()
        writer.append(0, b"%d" % n)
        assert writer.close(5)
    entries = entries_of(read_all(tmp_path))
    assert [(one.segment, one.number) for one in entries] == [(1, 1), (2, 2), (3, 3)]


def test_two_writers_of_one_slot_never_write_at_the_same_time(start, tmp_path):
    first, second = start(), start()
    first.append(0, b"first")
    assert first.flush(5)
    second.append(0, b"second")
    wait_until(lambda: second.refusing, "a refusal")
    assert not second.flush(0.05)
    first.append(0, b"first again")
    assert first.close(5)
    assert second.flush(10)
    entries = entries_of(read_all(tmp_path))
    assert [one.payload for one in entries] == [b"first", b"first again", b"second"]
    assert [one.number for one in entries] == [1, 2, 3]
    assert second.failures == {}


def test_what_is_durable_never_runs_ahead_of_what_was_forced(start, monkeypatch):
    disk = Held(monkeypatch)
    writer = start(replace(QUICK, fsync=Fsync.ALWAYS))
    writer.append(0, b"x")
    assert disk.entered.wait(5)  # of the directory, that the file's name is in
    assert writer.durable == 0
    disk.free.set()
    assert writer.flush(5)
    assert writer.durable == writer.written == 1


def test_never_forcing_promises_nothing(start):
    writer = start(replace(QUICK, fsync=Fsync.NEVER))
    writer.append(0, b"x")
    assert writer.flush(5)
    assert (writer.written, writer.durable) == (1, 0)


def test_at_intervals_all_becomes_durable_without_anybody_asking(start):
    writer = start(replace(QUICK, fsync=Fsync.INTERVAL, fsync_interval_s=0.02))
    for _ in range(3):
        writer.append(0, b"x")
        time.sleep(0.03)
    wait_until(lambda: writer.durable == writer.written == 3, "durable")


def test_a_disk_that_could_not_force_is_not_believed_the_next_time(start, tmp_path, monkeypatch):
    writer = start(replace(QUICK, fsync=Fsync.ALWAYS))
    writer.append(0, b"good")
    assert writer.flush(5)
    sync, failed = os.fsync, []

    def fails_once(descriptor):
        if not failed:
            failed.append(descriptor)
            raise OSError(5, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fails_once)
    writer.append(0, b"uncertain")
    assert not writer.flush(5)
    writer.append(0, b"good again")
    assert writer.flush(5)
    assert writer.uncertain == 1
    assert [one.segment for one in entries_of(read_all(tmp_path))] == [1, 1, 2]


@pytest.mark.parametrize("subject", [70_000, 1 << 16, 1 << 23, 1 << 25, -1])
def test_a_defect_costs_the_records_at_hand_and_nothing_else(start, tmp_path, caplog, subject):
    writer = start()
    writer.append(subject, b"no such subject")
    assert writer.flush(5)
    assert sum(writer.failures.values()) == 1
    assert {reason for reason, _ in writer.failures} == {DropReason.FAULT}
    writer.append(0, b"the next")
    assert writer.flush(5)
    assert [one.payload for one in entries_of(read_all(tmp_path))] == [b"the next"]
    assert "the journal's writer failed" in caplog.text


def test_a_writer_that_has_nothing_to_do_sleeps(start):
    writer = start(replace(QUICK, segment_age_s=0.05))
    writer.append(0, b"x")
    assert writer.flush(5)
    time.sleep(0.2)  # the segment ends
    before = time.process_time_ns()
    time.sleep(0.3)
    assert time.process_time_ns() - before < 30_000_000  # a thread that spins would take ten times
    assert writer.close(5)
