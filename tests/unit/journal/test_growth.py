"""A segment that grows between any two looks at it has no damage: half a frame is only young."""

import random
from pathlib import Path

import pytest
from harness.journals import corrupt_of, entries_of, numbered, slot_writer, write

from sidecar.journal import START, Reader, slot_reader
from sidecar.journal.segments import Source

RECORDS = 60


class Growing:
    """A segment of which a little more is there at each look."""

    def __init__(self, source: Source, size: int, chance: random.Random) -> None:
        self._source = source
        self._there = 0
        self._size = size
        self._chance = chance

    def pread(self, size: int, offset: int) -> bytes:
        self._there = min(self._there + self._chance.choice((0, 1, 7, 30, 90)), self._size)
        return self._source.pread(max(min(size, self._there - offset), 0), offset)

    @property
    def whole(self) -> bool:
        return self._there == self._size

    def vanished(self) -> bool:
        return self._source.vanished()

    def close(self) -> None:
        self._source.close()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_look_shows_of_a_growing_segment_every_record_is_read_once(
    tmp_path: Path, monkeypatch, seed
):
    writer = slot_writer(tmp_path)
    records = numbered(RECORDS)
    write(writer, *records)
    growing: list[Growing] = []

    def open_growing(directory, slot, sequence):
        source = open_segment(directory, slot, sequence)
        if source is None:
            return None
        size = (tmp_path / "00" / "0000000001.seg").stat().st_size
        growing.append(Growing(source, size, random.Random(seed)))
        return growing[-1]

    open_segment = slot_reader.open_segment
    monkeypatch.setattr(slot_reader, "open_segment", open_growing)
    reader, batches, position = Reader(tmp_path), [], START
    while not (growing and growing[0].whole and batches[-1].next == position):
        position = batches[-1].next if batches else START
        batches.append(reader.read(position))
    reader.close()
    writer.close()

    assert [entry.payload for entry in entries_of(batches)] == [one for _, one in records]
    assert corrupt_of(batches) == {}
    assert not (tmp_path / "quarantine").exists()
