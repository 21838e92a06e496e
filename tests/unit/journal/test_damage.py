"""Every byte flipped, every length cut: the other records come back, and the rest is counted.

The segment under test is followed by another, so that what is missing at its end is known, too.
"""

import shutil

import pytest
from harness.journals import (
    TABLE,
    compiled_walk,
    corrupt_of,
    entries_of,
    numbered,
    read_all,
    segments,
    slot_writer,
    write,
    writing,
)

from sidecar.frames.layout import FRAME_BYTES
from sidecar.journal import START, Bookkeeper, Quarantine, Reader, walk_plainly

RECORDS = numbered(100, size=8)
FOLLOWING = numbered(5, first=100)


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """A journal of two segments of one boot: 100 records, and 5."""
    directory = tmp_path_factory.mktemp("intact")
    with writing(directory) as writer:
        write(writer, *RECORDS)
        writer.finish()
        write(writer, *FOLLOWING)
    return directory


@pytest.fixture(scope="module")
def frames(intact):
    """Where the frame of each of the 100 records starts and ends."""
    entries = entries_of(read_all(intact))[:100]
    return [(one.offset, one.offset + FRAME_BYTES + len(one.payload)) for one in entries]


@pytest.fixture(params=["plain", "compiled"])
def walk(request):
    """Both ways to walk along records."""
    return compiled_walk() if request.param == "compiled" else walk_plainly


@pytest.fixture
def damaged(intact, tmp_path):
    directory = tmp_path / "journal"
    shutil.copytree(intact, directory)
    return directory


def hit(frames, first, last):
    """Which of the records lie in bytes from `first` up to and without `last`."""
    return {n for n, (begin, end) in enumerate(frames) if begin < last and first < end}


def test_whichever_byte_is_flipped_all_other_records_come_back(damaged, frames, walk):
    path = segments(damaged)[0]
    content = path.read_bytes()
    expected = [payload for _, payload in RECORDS + FOLLOWING]
    with path.open("r+b", buffering=0) as file:
        for at, value in enumerate(content):
            file.seek(at)
            file.write(bytes([value ^ 0xFF]))
            batches = read_all(damaged, walk=walk)
            lost = hit(frames, at, at + 1)
            kept = [payload for n, payload in enumerate(expected) if n not in lost]
            assert [one.payload for one in entries_of(batches)] == kept, at
            assert sum(corrupt_of(batches).values()) == len(lost), at
            assert all(one.cell == TABLE[one.subject] for one in entries_of(batches)), at
            file.seek(at)
            file.write(bytes([value]))
    assert path.read_bytes() == content


def test_wherever_a_segment_is_cut_all_whole_records_come_back(damaged, frames, walk):
    path = segments(damaged)[0]
    content = path.read_bytes()
    following = [payload for _, payload in FOLLOWING]
    for length in range(len(content) - 1, -1, -1):
        with path.open("r+b", buffering=0) as file:
            file.truncate(length)
        batches = read_all(damaged, walk=walk)
        whole = sum(end <= length for _, end in frames)
        expected = [payload for _, payload in RECORDS[:whole]] + following
        assert [one.payload for one in entries_of(batches)] == expected, length
        # Where not even the head is left, nobody knows what was there, and a reader that never
        # saw a number of this slot does not count from one that it did not see.
        known = 100 - whole if length >= 64 else 0
        assert sum(corrupt_of(batches).values()) == known, length


def test_wherever_the_last_segment_of_a_killed_worker_is_cut_the_next_worker_goes_on(
    tmp_path, frames
):
    journal, kept = tmp_path / "journal", tmp_path / "kept"
    writer = slot_writer(journal)
    write(writer, *RECORDS[:4])  # no end: as it is while it is being written
    shutil.copytree(journal, kept)
    writer.close()
    content = segments(kept)[0].read_bytes()
    for length in range(len(content) + 1):
        shutil.rmtree(journal)
        shutil.copytree(kept, journal)
        with segments(journal)[0].open("r+b") as file:
            file.truncate(length)
        whole = sum(end <= length for _, end in frames[:4])
        with writing(journal, boot="ff" * 16) as successor:
            write(successor, *FOLLOWING)
        batches = read_all(journal)
        expected = [payload for _, payload in RECORDS[:whole] + FOLLOWING]
        assert [one.payload for one in entries_of(batches)] == expected, length
        # Half a record is not a record that is missing: nobody was told that it was written.
        assert corrupt_of(batches) == {}, length
        numbers = [one.number for one in entries_of(batches)]
        assert numbers == list(range(1, len(expected) + 1)), length


def test_the_books_say_whose_records_were_lost_whichever_byte_is_flipped(
    damaged, frames, tmp_path, walk
):
    path = segments(damaged)[0]
    content = path.read_bytes()
    for at in range(frames[0][0], frames[10][1]):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x01]) + content[at + 1 :])
        books = Bookkeeper(damaged, tmp_path / "books", walk=walk)
        while books.advance():
            pass
        (lost,) = hit(frames, at, at + 1)
        corrupt = {key.cell: count for key, count in books.books.corrupt.items() if count}
        assert corrupt == {TABLE[lost % 3]: 1}, at
        assert sum(books.books.logged.values()) == 104, at
        books.close()


@pytest.mark.parametrize("size", [50, 300, 3000])
def test_damage_over_many_records_is_passed_over_and_kept(damaged, frames, size):
    path = segments(damaged)[0]
    content = path.read_bytes()
    at = frames[20][0] + 5
    path.write_bytes(content[:at] + bytes(size) + content[at + size :])
    quarantine = Quarantine(damaged)
    reader = Reader(damaged, quarantine=quarantine)
    batch = reader.read(START, max_records=1000)
    reader.close()
    lost = hit(frames, at, at + size)
    assert len(batch.entries) == 105 - len(lost)
    assert sum(batch.corrupt.values()) == len(lost)
    begin, end = frames[min(lost)][0], frames[max(lost)][1]
    if len(lost) + 20 < 100:
        assert batch.skipped == end - begin
        (kept,) = (damaged / "quarantine").iterdir()
        damage = path.read_bytes()[begin:end]
        assert kept.read_bytes() == damage


@pytest.mark.parametrize("short_of", range(6))
def test_the_next_record_is_found_wherever_it_lies_in_what_is_searched(tmp_path, short_of):
    """The search goes by pieces of 1 MiB: the mark of the next record lies across two of them."""
    with writing(tmp_path) as writer:
        size = 1024 * 1024 + 1 - FRAME_BYTES - short_of
        write(writer, (0, bytes(size)), *numbered(3))
    at = entries_of(read_all(tmp_path))[0].offset
    with segments(tmp_path)[0].open("r+b") as file:
        file.seek(at)
        file.write(bytes(4))  # no byte of a mark is 0
    batches = read_all(tmp_path)
    assert [one.number for one in entries_of(batches)] == [2, 3, 4]
    assert sum(corrupt_of(batches).values()) == 1


def test_a_segment_that_is_gone_is_counted_by_its_numbers(tmp_path):
    with writing(tmp_path) as writer:
        for first in (0, 10, 20):
            write(writer, *numbered(10, first=first))
            writer.finish()
    segments(tmp_path)[1].unlink()
    batches = read_all(tmp_path)
    assert len(entries_of(batches)) == 20
    assert sum(corrupt_of(batches).values()) == 10


def test_a_body_that_looks_like_a_record_is_not_taken_for_one(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(3))
    frame = segments(tmp_path)[0].read_bytes()
    with writing(tmp_path) as writer:
        # Whole segments, heads and all, inside of a record whose own head is then destroyed.
        write(writer, (0, b"x" * 10 + frame), *numbered(1, first=3))
    path = segments(tmp_path)[1]
    content = bytearray(path.read_bytes())
    at = content.index(b"x" * 10) - FRAME_BYTES
    content[at : at + FRAME_BYTES] = bytes(FRAME_BYTES)
    path.write_bytes(bytes(content))
    batches = read_all(tmp_path)
    assert [one.payload[:12] for one in entries_of(batches)] == [
        b"record 00000",
        b"record 00001",
        b"record 00002",
        b"record 00003",
    ]
    assert sum(corrupt_of(batches).values()) == 1
