"""Disks that are full, read-only, limited or gone: the caller goes on, and nothing is forgotten."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from harness.journals import BOOT, TABLE, corrupt_of, entries_of, read_all, segments
from harness.waiting import wait_until

from sidecar.config.recording import Fsync
from sidecar.journal import Bounds, Writer, WriterLimits, plan_retention, remove, survey
from sidecar.model.names import DropReason

QUICK = WriterLimits(fsync=Fsync.INTERVAL, fsync_interval_s=0.01, gather_s=0.001)


def writer_in(directory, limits=QUICK):
    writer = Writer(directory, 0, BOOT, limits, wall_ns=time.time_ns)
    writer.subjects(TABLE)
    return writer


def append_some(writer, count, size, first=0):
    """Hand over records that say which they are; those that were taken."""
    bodies = [b"%06d" % n + os.urandom(size) for n in range(first, first + count)]
    return [body for body in bodies if writer.append(0, body)]


def bodies_in(directory):
    return [entry.payload for entry in entries_of(read_all(directory))]


def test_a_short_outage_of_a_full_disk_loses_nothing(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(900_000))
    writer = writer_in(small_disk / "journal")
    taken = append_some(writer, 300, 2000)  # 600 KB: the disk takes a part of them
    assert len(taken) == 300
    wait_until(lambda: writer.refusing is DropReason.DISK_FULL, "the disk to be full")
    assert 0 < writer.written < 300
    ballast.unlink()
    assert writer.flush(10)
    assert writer.refusing is None
    assert writer.failures == {}
    assert bodies_in(small_disk / "journal") == taken
    assert corrupt_of(read_all(small_disk / "journal")) == {}
    assert writer.close(5)


def test_a_long_outage_is_counted_to_the_record_and_recovers_by_itself(small_disk):
    limits = replace(QUICK, queue_bytes=300_000, segment_bytes=100_000)
    writer = writer_in(small_disk / "journal", limits)
    offered, taken = 0, []

    def offer():
        nonlocal offered
        taken.extend(append_some(writer, 10, 1000, first=offered))
        offered += 10
        time.sleep(0.001)
        return writer.failures

    wait_until(offer, "a refusal")
    for _ in range(5):
        offer()
    ((reason, subject),) = writer.failures
    assert (reason, subject) == (DropReason.DISK_FULL, 0)
    assert sum(writer.failures.values()) == offered - len(taken)
    assert writer.depth_bytes <= 300_000

    # Retention makes room, and nobody has to tell the writer.
    bounds = Bounds(total_bytes=0, slot_bytes=0, age_s=10**6)
    read = bodies_in(small_disk / "journal")
    for segment in plan_retention(survey(small_disk / "journal"), [], bounds, 0).free:
        remove(small_disk / "journal", segment, time.time_ns)
    assert writer.flush(10)
    taken += append_some(writer, 10, 1000, first=offered)
    assert writer.flush(10)
    assert sum(writer.failures.values()) == offered + 10 - len(taken)
    kept = bodies_in(small_disk / "journal")
    assert read + [body for body in kept if body not in set(read)] == taken
    assert writer.close(5)


def test_what_a_full_disk_did_not_take_until_the_end_is_counted(small_disk):
    writer = writer_in(small_disk / "journal")
    taken = append_some(writer, 1500, 1000)
    wait_until(lambda: writer.refusing is DropReason.DISK_FULL, "the disk to be full")
    assert not writer.close(10)
    kept = bodies_in(small_disk / "journal")
    assert kept == taken[: len(kept)]
    assert writer.failures == {(DropReason.DISK_FULL, 0): len(taken) - len(kept)}


def test_handing_over_never_waits_for_a_disk_that_refuses(small_disk):
    (small_disk / "ballast").write_bytes(bytes(1_000_000))
    writer = writer_in(small_disk / "journal", replace(QUICK, queue_bytes=100_000))
    slowest_s = 0.0
    for _ in range(2000):
        before_s = time.thread_time()
        writer.append(0, bytes(1000))
        slowest_s = max(slowest_s, time.thread_time() - before_s)
    assert sum(writer.failures.values()) >= 2000 - 100
    assert slowest_s < 0.05  # of this thread's own time: it has never written
    assert not writer.close(10)


def test_a_directory_that_cannot_be_written_is_tried_again(tmp_path):
    blocked = tmp_path / "journal"
    blocked.write_text("a file where the directory should be")  # root passes permissions by
    writer = writer_in(blocked)
    taken = append_some(writer, 20, 100)
    wait_until(lambda: writer.refusing is DropReason.WRITE_ERROR, "a refusal")
    blocked.unlink()
    assert writer.flush(10)
    assert bodies_in(blocked) == taken
    assert writer.close(5)


def test_a_file_system_that_turns_read_only_is_waited_for(small_disk):
    def remount(how):
        command = ["mount", "-o", f"remount,{how}", str(small_disk)]
        return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode

    journal = small_disk / "journal"
    journal.mkdir()
    if remount("ro"):
        pytest.skip("remounting is not permitted here")
    writer = writer_in(journal)
    taken = append_some(writer, 20, 100)
    wait_until(lambda: writer.refusing is DropReason.WRITE_ERROR, "a refusal")
    assert remount("rw") == 0
    assert writer.flush(10)
    assert bodies_in(journal) == taken
    assert writer.close(5)


def test_a_directory_that_is_deleted_while_it_is_written_is_made_again(tmp_path):
    journal = tmp_path / "journal"
    writer = writer_in(journal)
    lost = append_some(writer, 20, 100)
    assert writer.flush(5)
    shutil.rmtree(journal)
    wait_until(
        lambda: writer.append(0, b"go on") and writer.flush(5) and segments(journal),
        "a new directory",
    )
    numbers = [entry.number for entry in entries_of(read_all(journal))]
    assert numbers[0] > len(lost)
    assert writer.uncertain >= len(lost)  # the caller can tell that something happened
    assert writer.close(5)


LIMITED = """
import json, resource, sys, time
from pathlib import Path
from sidecar.config.recording import Fsync
from sidecar.journal import Writer, WriterLimits
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
limits = WriterLimits(fsync=Fsync.NEVER, segment_bytes=10**9, gather_s=0.0)
writer = Writer(Path(sys.argv[1]), 0, "ab" * 16, limits, wall_ns=time.time_ns)
for n in range(400):
    assert writer.append(0, b"%06d" % n + bytes(994))
flushed = writer.flush(15)
print(json.dumps({"flushed": flushed, "closed": writer.close(5), "failures": len(writer.failures)}))
"""


def test_a_write_that_ends_within_a_record_goes_on_whole_in_the_next_segment(tmp_path):
    """A limit on the size of files cuts writes short wherever it falls, as a full disk does."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    root = Path(__file__).parents[3]
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=True, cwd=root
    )
    assert json.loads(finished.stdout) == {"flushed": True, "closed": True, "failures": 0}
    batches = read_all(tmp_path)
    assert [one.payload[:6] for one in entries_of(batches)] == [b"%06d" % n for n in range(400)]
    assert corrupt_of(batches) == {}
    assert sum(batch.skipped for batch in batches) == 0
    assert len(segments(tmp_path)) > 5
