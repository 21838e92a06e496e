"""A slot's share is kept, and what is deleted under the writer is noticed."""

import shutil
from dataclasses import replace

from harness.journals import (
    entries_of,
    numbered,
    payloads,
    read_all,
    segments,
    slot_writer,
    write,
    writing,
)

from sidecar.config.recording import Fsync, JournalSettings
from sidecar.config.units import Size
from sidecar.frames.layout import FRAME_BYTES
from sidecar.journal import WriterLimits
from sidecar.journal.slot_writer import LOOK_EVERY_S, JournalFullError, SlotWriter, reason_of
from sidecar.model.names import DropReason

SMALL = WriterLimits(fsync=Fsync.NEVER, segment_bytes=2000, most_bytes=6000)


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def clocked(directory, limits, clock, wall=lambda: 1):
    return SlotWriter(directory, 0, "ab" * 16, limits, wall_ns=wall, monotonic_s=clock)


def fill(writer):
    """Write until it refuses; how many were taken, and the refusal."""
    for count in range(1000):
        taken, error = writer.write([(0, bytes(76))])
        if not taken:
            return count, error
    raise AssertionError("it never refuses")


def test_a_slot_never_takes_more_than_its_share_and_goes_on_when_there_is_room(tmp_path):
    with writing(tmp_path, SMALL) as writer:
        count, error = fill(writer)
        assert isinstance(error, JournalFullError)
        assert reason_of(error) is DropReason.JOURNAL_FULL
        assert sum(path.stat().st_size for path in segments(tmp_path)) < 6000 + 300
        assert fill(writer)[0] == 0
        segments(tmp_path)[0].unlink()  # as retention does
        assert fill(writer)[0] > 10
    numbers = [one.number for one in entries_of(read_all(tmp_path))]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] > count


def test_a_share_that_was_used_up_by_an_earlier_worker_is_used_up(tmp_path):
    with writing(tmp_path, SMALL) as writer:
        fill(writer)
    with writing(tmp_path, SMALL) as writer:
        assert fill(writer)[0] == 0


def test_a_worker_may_take_its_share_of_what_is_kept_and_a_quarter_more():
    limits = WriterLimits.of(JournalSettings(retain=Size(4000)), workers=2)
    assert limits.most_bytes == 2500


def test_a_directory_that_is_deleted_is_noticed_and_made_again(tmp_path):
    clock = Clock()
    writer = clocked(tmp_path, WriterLimits(fsync=Fsync.NEVER), clock)
    write(writer, *numbered(3))
    shutil.rmtree(tmp_path / "00")
    write(writer, *numbered(2, first=3))  # into a file without a name
    clock.now_s += 2
    writer.tend()
    assert writer.uncertain == 5
    write(writer, *numbered(2, first=5))
    writer.close()
    entries = entries_of(read_all(tmp_path))
    assert [one.number for one in entries] == [6, 7]


def test_a_deleted_segment_is_noticed_although_the_directory_is_there(tmp_path):
    clock = Clock()
    writer = clocked(tmp_path, WriterLimits(fsync=Fsync.NEVER), clock)
    write(writer, *numbered(1))
    segments(tmp_path)[0].unlink()
    clock.now_s += 2
    writer.tend()
    write(writer, *numbered(1, first=1))
    writer.close()
    assert payloads(tmp_path) == [numbered(1, first=1)[0][1]]


def test_a_wall_clock_that_jumps_ends_no_segment(tmp_path):
    clock, wall = Clock(), [10**18]
    limits = WriterLimits(fsync=Fsync.NEVER, segment_age_s=60)
    writer = clocked(tmp_path, limits, clock, lambda: wall[0])
    for jump in (3_600, -7_200, 10**9):
        write(writer, *numbered(1))
        wall[0] += jump * 10**9
        clock.now_s += 0.1
        writer.tend()
    assert len(segments(tmp_path)) == 1
    clock.now_s += 61
    writer.tend()
    write(writer, *numbered(1))
    assert len(segments(tmp_path)) == 2
    writer.close()


def test_what_is_due_and_when_follows_the_clock(tmp_path):
    clock = Clock()
    limits = WriterLimits(fsync=Fsync.INTERVAL, fsync_interval_s=0.5, segment_age_s=10)
    writer = clocked(tmp_path, limits, clock)
    assert writer.due_s is None
    write(writer, *numbered(1))
    writer.tend()
    assert writer.durable == 1  # the first sync of a writer was long ago
    write(writer, *numbered(1))
    writer.tend()
    assert writer.durable == 1
    assert writer.due_s == clock.now_s + 0.5
    clock.now_s += 0.5
    writer.tend()
    assert writer.durable == 2
    clock.now_s += 10
    writer.tend()
    assert len(segments(tmp_path)) == 2  # the old one ended, and an empty one is there
    assert writer.due_s == clock.now_s + LOOK_EVERY_S
    clock.now_s += 100
    writer.tend()
    assert len(segments(tmp_path)) == 2
    writer.close()
    assert writer.due_s is None


def test_half_a_record_of_an_earlier_worker_is_cut_off(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(5))
        path = segments(tmp_path)[0]
        whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    writer = slot_writer(tmp_path)
    write(writer, *numbered(1, first=5))
    writer.close()
    last = FRAME_BYTES + len(numbered(1)[0][1])
    assert path.stat().st_size == len(whole) - last
    assert len(payloads(tmp_path)) == 5


def test_a_large_last_record_is_found_from_the_end(tmp_path):
    with writing(tmp_path, replace(SMALL, segment_bytes=10**8, most_bytes=10**9)) as writer:
        write(writer, *numbered(3), (0, bytes(3_000_000)))
    path = segments(tmp_path)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(whole[12 + 64 : 16 + 64]) + 5])  # within the last frame
    with writing(tmp_path, replace(SMALL, most_bytes=10**9)) as writer:
        write(writer, *numbered(1))
    assert [one.number for one in entries_of(read_all(tmp_path))] == [1, 2, 3, 4, 5]
