"""What goes, and in which order; and that nobody loses records without counting them."""

import os
import time
from pathlib import Path

import pytest
from harness.journals import (
    NEXT,
    STABLE,
    TRIAL,
    entries_of,
    numbered,
    read_all,
    segments,
    write,
    writing,
)

from sidecar.config.recording import JournalSettings
from sidecar.config.units import Duration, Size
from sidecar.journal import (
    START,
    Bounds,
    Position,
    Segment,
    SlotPosition,
    count_after,
    needs,
    past,
    plan_retention,
    read,
    remove,
    survey,
)

AMPLE = Bounds(total_bytes=10**9, slot_bytes=10**9, age_s=10**6)
NOW_NS = 10**18


def segment(sequence, *, slot=0, size=100, age_s=10.0, last=False, is_open=False):
    return Segment(
        slot=slot,
        sequence=sequence,
        path=Path(f"{slot}-{sequence}"),
        size_bytes=size,
        ended_ns=NOW_NS - int(age_s * 1e9),
        last=last or is_open,
        open=is_open,
    )


def at(sequence, slot=0):
    return Position({slot: SlotPosition(sequence=sequence)})


def bounds(**changed):
    return Bounds(
        total_bytes=changed.get("total_bytes", AMPLE.total_bytes),
        slot_bytes=changed.get("slot_bytes", AMPLE.slot_bytes),
        age_s=changed.get("age_s", AMPLE.age_s),
    )


def names(segments):
    return [one.path.name for one in segments]


def test_within_all_bounds_nothing_goes_although_everything_was_read():
    plan = plan_retention([segment(1), segment(2)], [at(9)], AMPLE, NOW_NS)
    assert plan.free == plan.expired == ()


def test_what_is_too_old_goes_read_or_not():
    old = [segment(1, age_s=70), segment(2, age_s=65), segment(3, age_s=50)]
    plan = plan_retention(old, [at(9), at(2)], bounds(age_s=60), NOW_NS)
    assert (names(plan.free), names(plan.expired)) == (["0-1"], ["0-2"])


def test_of_too_many_bytes_the_oldest_go_and_no_more_than_must():
    kept = [segment(n, age_s=100 - n) for n in range(1, 6)]
    plan = plan_retention(kept, [at(9)], bounds(total_bytes=250), NOW_NS)
    assert (names(plan.free), plan.expired) == (["0-1", "0-2", "0-3"], ())


def test_what_somebody_needs_goes_last():
    kept = [
        segment(1, age_s=90),
        segment(1, slot=1, age_s=80),
        segment(2, age_s=70),
        segment(2, slot=1, age_s=60),
    ]
    behind = Position({0: SlotPosition(sequence=1), 1: SlotPosition(sequence=9)})
    plan = plan_retention(kept, [behind, START.moved(0, SlotPosition(9))], AMPLE, NOW_NS)
    assert plan.free == plan.expired == ()
    fast = Position({0: SlotPosition(sequence=9), 1: SlotPosition(sequence=9)})
    plan = plan_retention(kept, [behind, fast], bounds(total_bytes=200), NOW_NS)
    assert (names(plan.free), names(plan.expired)) == (["1-1", "1-2"], [])
    plan = plan_retention(kept, [behind, fast], bounds(total_bytes=150), NOW_NS)
    assert (names(plan.free), names(plan.expired)) == (["1-1", "1-2"], ["0-1"])


def test_a_slot_with_more_than_its_share_is_pruned_before_its_writer_has_to_stop():
    kept = [segment(n, age_s=100 - n) for n in range(1, 5)] + [segment(1, slot=1, age_s=99)]
    plan = plan_retention(kept, [], bounds(slot_bytes=300), NOW_NS)
    assert names(plan.free) == ["0-1"]


def test_what_a_writer_has_open_never_goes_but_counts():
    kept = [segment(1, age_s=100), segment(2, age_s=90, size=500, is_open=True)]
    plan = plan_retention(kept, [], bounds(total_bytes=10, age_s=1), NOW_NS)
    assert names(plan.free) == ["0-1"]


def test_bounds_come_from_the_settings():
    settings = JournalSettings(retain=Size(4000), retain_age=Duration(60))
    assert Bounds.of(settings, workers=4) == Bounds(total_bytes=4000, slot_bytes=1000, age_s=60)


def test_files_are_found_with_their_size_age_and_whether_they_are_written(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(3))
        writer.finish()
        write(writer, *numbered(3))
        found = survey(tmp_path)
        assert [(one.sequence, one.open) for one in found] == [(1, False), (2, True)]
        assert [one.size_bytes for one in found] == [one.path.stat().st_size for one in found]
    assert [one.open for one in survey(tmp_path)] == [False, False]
    assert survey(tmp_path / "nowhere") == []


def test_segments_of_a_slot_stay_in_order_when_the_clock_was_put_back(tmp_path):
    with writing(tmp_path) as writer:
        for n in range(3):
            write(writer, *numbered(3, first=n))
            writer.finish()
    for path, ended_s in zip(segments(tmp_path), (5000, 1000, 2000), strict=True):
        os.utime(path, (ended_s, ended_s))
    found = survey(tmp_path)
    assert [one.sequence for one in found] == [1, 2, 3]
    assert {one.ended_ns for one in found} == {5000 * 10**9}


def test_what_a_consumer_loses_is_counted_from_where_it_stands(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(9))
        writer.finish()
        write(writer, *numbered(3))
    first, second = survey(tmp_path)
    whole = {STABLE: 3, NEXT: 3, TRIAL: 3}
    assert count_after(tmp_path, first, START) == whole
    behind = read(tmp_path, START, max_records=4).next
    assert count_after(tmp_path, first, behind) == {NEXT: 2, TRIAL: 2, STABLE: 1}
    assert count_after(tmp_path, second, behind) == {STABLE: 1, NEXT: 1, TRIAL: 1}
    assert count_after(tmp_path, first, read_all(tmp_path)[-1].next) == {}


def test_a_consumer_that_lets_go_of_a_segment_reads_on_behind_it(tmp_path):
    with writing(tmp_path) as writer:
        for n in range(3):
            write(writer, *numbered(5, first=5 * n))
            writer.finish()
    behind = read(tmp_path, START, max_records=2).next
    first = survey(tmp_path)[0]
    assert needs(first, behind)
    there = past(first, behind)
    assert not needs(first, there)
    assert past(first, there) == there
    remove(tmp_path, first, time.time_ns)
    remove(tmp_path, first, time.time_ns)  # somebody was faster
    batches = read_all(tmp_path, there)
    assert [one.number for one in entries_of(batches)] == list(range(6, 16))
    assert all(batch.corrupt == {} for batch in batches)  # counted as expired, not as missing


def test_the_last_segment_of_a_slot_goes_only_by_age():
    kept = [segment(1, age_s=100), segment(2, age_s=90, size=10**6, last=True)]
    plan = plan_retention(kept, [], bounds(total_bytes=10, slot_bytes=10), NOW_NS)
    assert names(plan.free) == ["0-1"]
    plan = plan_retention(kept, [], bounds(age_s=50), NOW_NS)
    assert names(plan.free) == ["0-1", "0-2"]


def test_a_slot_whose_last_segment_went_goes_on_with_its_numbers(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(5))
    early, late = read(tmp_path, START, max_records=2).next, read(tmp_path, START).next
    (last,) = survey(tmp_path)
    assert last.last
    remove(tmp_path, last, time.time_ns)
    assert read(tmp_path, late).entries == []
    with writing(tmp_path) as writer:
        write(writer, *numbered(2, first=5))
    for position in (past(last, early), late):
        batch = read(tmp_path, position)
        assert [one.number for one in batch.entries] == [6, 7]
        assert batch.corrupt == {}
    assert sum(read(tmp_path, early).corrupt.values()) == 3  # had nobody counted what expired


def test_the_last_segment_of_a_slot_that_is_written_again_stays(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(5))
    (last,) = survey(tmp_path)
    with writing(tmp_path) as writer:
        write(writer, *numbered(2, first=5))
        with pytest.raises(BlockingIOError):
            remove(tmp_path, last, time.time_ns)
    assert len(entries_of(read_all(tmp_path))) == 7
