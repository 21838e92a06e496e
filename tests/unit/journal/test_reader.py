"""A consumer gets every record of every slot once, in order, in portions as it asked for them."""

import os
import shutil
from pathlib import Path

import pytest
from harness.journals import (
    corrupt_of,
    entries_of,
    numbered,
    payloads,
    read_all,
    segments,
    slot_writer,
    write,
    writing,
)

from sidecar.board import warm
from sidecar.config.recording import Fsync
from sidecar.frames.layout import FRAMES_AT, Head, Kind, encode_frame, encode_head, mark_of
from sidecar.journal import (
    START,
    CompiledWalk,
    Reader,
    WriterLimits,
    bytes_behind,
    read,
    walk_plainly,
)
from sidecar.journal.segments import segment_path

SMALL = WriterLimits(fsync=Fsync.NEVER, segment_bytes=1000)


def test_a_journal_that_is_not_there_has_no_records(tmp_path):
    batch = read(tmp_path / "nowhere", START)
    assert (batch.entries, batch.next, batch.corrupt, batch.skipped) == ([], START, {}, 0)


def test_records_of_all_slots_come_in_the_order_of_each(tmp_path):
    for slot in (0, 1, 12):
        with writing(tmp_path, SMALL, slot=slot) as writer:
            write(writer, *numbered(50, first=slot * 100))
    entries = entries_of(read_all(tmp_path, max_records=7))
    for slot in (0, 1, 12):
        of_slot = [one.payload for one in entries if one.slot == slot]
        assert of_slot == [payload for _, payload in numbered(50, first=slot * 100)]


@pytest.mark.parametrize("walk", [walk_plainly, CompiledWalk(warm(os.environ).walk_records)])
def test_numbers_that_only_a_forged_segment_has_stop_nobody(tmp_path, walk):
    number, mark = 2**64 - 9, mark_of(7)
    head = Head(slot=0, sequence=1, first_number=number, created_ns=0, boot="ab" * 16, mark=mark)
    records = [encode_frame(mark, Kind.RECORD, 0, number + at, b"%d" % at) for at in range(3)]
    place = segment_path(tmp_path, 0, 1)
    place.parent.mkdir(parents=True)
    place.write_bytes(encode_head(head) + b"".join(records))
    reader = Reader(tmp_path, walk=walk)
    assert [one.payload for one in reader.read(START).entries] == [b"0", b"1", b"2"]
    reader.close()


def test_a_slot_with_much_to_read_does_not_keep_the_others_waiting(tmp_path):
    for slot, count in ((0, 1000), (1, 10)):
        with writing(tmp_path, slot=slot) as writer:
            write(writer, *numbered(count))
    reader, position, seen = Reader(tmp_path), START, []
    for _ in range(3):
        batch = reader.read(position, max_records=100)
        position = batch.next
        seen += [one.slot for one in batch.entries]
    reader.close()
    assert seen.count(1) == 10


@pytest.mark.parametrize("records", [1, 3, 1000])
@pytest.mark.parametrize("size", [1, 100, 10**9])
def test_portions_are_of_the_size_asked_for_and_nothing_is_read_twice(tmp_path, records, size):
    with writing(tmp_path, SMALL) as writer:
        for n in range(40):
            write(writer, *numbered(1, first=n))
    batches = read_all(tmp_path, max_records=records, max_bytes=size)
    assert [one.payload for one in entries_of(batches)] == [body for _, body in numbered(40)]
    assert all(len(batch.entries) <= records for batch in batches)
    if size == 1:
        assert all(len(batch.entries) <= 1 for batch in batches)


def test_a_record_larger_than_any_portion_comes_whole(tmp_path):
    large = os.urandom(3_000_000)
    with writing(tmp_path) as writer:
        write(writer, (0, b"before"), (0, large), (0, b"after"))
    assert payloads(tmp_path) == [b"before", large, b"after"]
    assert [len(batch.entries) for batch in read_all(tmp_path, max_bytes=10)][:3] == [1, 1, 1]


def test_another_reader_goes_on_from_a_position(tmp_path):
    with writing(tmp_path, SMALL) as writer:
        write(writer, *numbered(30))
        first = read(tmp_path, START, max_records=11)
        second = read(tmp_path, first.next)
    assert [one.number for one in first.entries + second.entries] == list(range(1, 31))
    assert {one.cell.model for one in second.entries} == {"stable", "next", "trial"}


def test_half_a_record_is_waited_for_as_long_as_its_writer_lives(tmp_path):
    writer = slot_writer(tmp_path)
    write(writer, *numbered(3))
    path = segments(tmp_path)[0]
    whole = path.read_bytes()
    end = len(whole)
    path.write_bytes(whole[: end - 5])
    batch = read(tmp_path, START)
    assert (len(batch.entries), batch.skipped) == (2, 0)
    with path.open("ab") as file:
        file.write(whole[end - 5 :])
    assert len(read(tmp_path, batch.next).entries) == 1
    writer.close()


def test_half_a_record_of_a_dead_writer_is_passed_over_without_waiting_for_another(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(3))
        whole = segments(tmp_path)[0].read_bytes()
    segments(tmp_path)[0].write_bytes(whole[:-5])
    batch = read(tmp_path, START)
    assert len(batch.entries) == 2
    assert batch.skipped == len(whole) - 5 - batch.entries[-1].offset - 57
    assert bytes_behind(tmp_path, batch.next) == 0


def test_damage_in_the_middle_of_a_growing_segment_does_not_hold_up_what_follows(tmp_path):
    writer = slot_writer(tmp_path)
    write(writer, *numbered(3))
    path = segments(tmp_path)[0]
    at = entries_of(read_all(tmp_path))[1].offset
    with path.open("r+b") as file:
        file.seek(at + 30)
        file.write(b"?")
    batch = read(tmp_path, START)
    assert [one.number for one in batch.entries] == [1, 3]
    assert sum(batch.corrupt.values()) == 1
    writer.close()


def test_damage_at_the_end_of_a_growing_segment_is_passed_over_when_more_comes(tmp_path):
    writer = slot_writer(tmp_path)
    write(writer, *numbered(2))
    path = segments(tmp_path)[0]
    at = entries_of(read_all(tmp_path))[1].offset
    with path.open("r+b") as file:
        file.seek(at + 30)
        file.write(b"?")
    batch = read(tmp_path, START)
    assert [one.number for one in batch.entries] == [1]
    write(writer, *numbered(1, first=2))
    batch = read(tmp_path, batch.next)
    assert [one.number for one in batch.entries] == [3]
    assert sum(batch.corrupt.values()) == 1
    writer.close()


def test_a_slot_that_began_anew_is_read_from_its_new_beginning(tmp_path):
    with writing(tmp_path) as writer:
        for n in range(3):
            write(writer, *numbered(5, first=n))
            writer.finish()
    reader = Reader(tmp_path)
    position = reader.read(START).next
    shutil.rmtree(tmp_path / "00")
    assert reader.read(position).entries == []
    with writing(tmp_path) as writer:
        write(writer, (0, b"new"))
    batch = reader.read(position)
    reader.close()
    assert [one.payload for one in batch.entries] == [b"new"]
    assert batch.corrupt == {}
    assert read(tmp_path, batch.next).entries == []


def test_a_file_that_took_the_name_of_another_is_read_from_its_beginning(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(5))
    position = read(tmp_path, START).next
    shutil.rmtree(tmp_path / "00")
    with writing(tmp_path) as writer:
        write(writer, *numbered(20, first=5))
    assert len(read(tmp_path, position).entries) == 20


def test_a_segment_without_a_head_is_passed_over_when_there_is_a_newer_one(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(3))
        writer.finish()
        write(writer, *numbered(3, first=3))
        writer.finish()
        write(writer, *numbered(3, first=6))
    path = segments(tmp_path)[1]
    path.write_bytes(bytes(FRAMES_AT) + path.read_bytes()[FRAMES_AT:])
    batches = read_all(tmp_path)
    assert [one.number for one in entries_of(batches)] == [1, 2, 3, 7, 8, 9]
    assert sum(corrupt_of(batches).values()) == 3
    assert sum(batch.skipped for batch in batches) == path.stat().st_size


def test_a_segment_whose_head_is_just_being_written_is_read_once_it_is(tmp_path):
    with writing(tmp_path / "other") as writer:
        write(writer, *numbered(1))
        content = segments(tmp_path / "other")[0].read_bytes()
    journal = tmp_path / "journal"
    (journal / "00").mkdir(parents=True)
    path = journal / "00" / "0000000001.seg"
    path.touch()
    reader = Reader(journal)
    assert reader.read(START).entries == []
    path.write_bytes(content)
    assert len(reader.read(START).entries) == 1
    reader.close()


def test_a_bad_place_of_the_disk_is_damage_like_any_other(tmp_path, monkeypatch):
    with writing(tmp_path) as writer:
        write(writer, *[(0, b"\xff" * 10_000)] * 6)
    pread = os.pread

    def broken(descriptor, size, offset):
        if offset < 4 * 4096 and offset + size > 3 * 4096:  # within the second record
            raise OSError(5, "Input/output error")
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", broken)
    batches = read_all(tmp_path)
    assert [one.number for one in entries_of(batches)] == [1, 3, 4, 5, 6]
    assert sum(corrupt_of(batches).values()) == 1


def test_how_far_a_consumer_is_behind_is_told_in_bytes(tmp_path):
    with writing(tmp_path, SMALL) as writer:
        for n in range(40):
            write(writer, *numbered(1, first=n))
        total = sum(path.stat().st_size for path in segments(tmp_path))
        assert bytes_behind(tmp_path, START) == total
        batch = read(tmp_path, START, max_records=35)
        assert 0 < bytes_behind(tmp_path, batch.next) < total
        assert bytes_behind(tmp_path, read_all(tmp_path)[-1].next) == 0


def test_a_slot_of_many_segments_is_not_listed_at_every_look(tmp_path, monkeypatch):
    """A quiet week leaves thousands, and who waits for more looks several times a second."""
    with writing(tmp_path) as writer:
        for n in range(40):
            write(writer, *numbered(1, first=n))
            writer.finish()
        write(writer, *numbered(1, first=40))
        listed = []
        scandir = os.scandir
        monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
        reader, position, found = Reader(tmp_path), START, 0
        for _ in range(60):
            batch = reader.read(position, max_records=1)
            position, found = batch.next, found + len(batch.entries)
        assert found == 41
        write(writer, *numbered(1, first=41))
        writer.finish()
        write(writer, *numbered(1, first=42))
        assert len(reader.read(position).entries) == 2
        reader.close()
        assert bytes_behind(tmp_path, position) > 0
    assert listed.count(tmp_path / "00") <= 4


def test_a_segment_that_somebody_deleted_between_others_is_passed_over_and_counted(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(3))
        reader = Reader(tmp_path)
        position = reader.read(START).next
        assert reader.read(position).next == position
        for n in (3, 6):
            writer.finish()
            write(writer, *numbered(3, first=n))
        segments(tmp_path)[1].unlink()
        batch = reader.read(position)
        reader.close()
    assert [one.number for one in batch.entries] == [7, 8, 9]
    assert sum(batch.corrupt.values()) == 3
