"""Where snapshots are kept: on disk, or in memory while the disk refuses."""

import logging

import numpy as np
import pytest

from sidecar.control.observation import store as store_module
from sidecar.control.observation.store import SnapshotStore
from sidecar.disk import replace_file
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch import Area, AreaLayout, Column

COLUMN = Column(
    name="x", part=ColumnPart.FEATURE, kind=ColumnKind.NUMERIC, edges=(0.0, 1.0), summed=(0,)
)
LAYOUT = AreaLayout((COLUMN,))


def area(number):
    """An area in which every number is this one."""
    return Area(LAYOUT, np.full(LAYOUT.words, number, np.int64))


class Disk:
    """A directory that refuses writing when told to."""

    def __init__(self, path):
        self.path = path
        self.full = False
        self.writes = 0

    def store(self):
        made = SnapshotStore(self.path / "snapshots", replace=self._replace)
        made.load()
        return made

    def _replace(self, path, content):
        self.writes += 1
        if self.full:
            raise OSError(28, "No space left on device")
        replace_file(path, content)

    @property
    def files(self):
        return sorted((self.path / "snapshots").glob("*.snapshot"))


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def totals(store, owner="a"):
    """What each snapshot has of a series."""
    return [None if (found := store.total(one, owner, LAYOUT)) is None else int(found.words[0])
            for one in store.shelf]  # fmt: skip


def test_what_was_put_is_there_for_the_next_process(disk):
    first = disk.store()
    for number in (1, 2, 3):
        first.put(number * 100, {"a": area(number)})
    second = disk.store()
    assert [one.taken_ns for one in second.shelf] == [100, 200, 300]
    assert totals(second) == totals(first) == [1, 2, 3]
    assert second.newest_ns == 300
    assert second.size_bytes == sum(file.stat().st_size for file in disk.files)


def test_a_series_of_another_layout_or_none_is_not_taken_for_it(disk):
    store = disk.store()
    store.put(100, {"a": area(1)})
    wider = AreaLayout((COLUMN,), block_count=2)
    assert store.total(store.shelf[0], "a", wider) is None
    assert store.total(store.shelf[0], "b", LAYOUT) is None
    assert totals(store) == [1]


def test_a_full_disk_is_said_once_and_snapshots_are_written_when_there_is_room(disk, caplog):
    store = disk.store()
    disk.full = True
    with caplog.at_level(logging.INFO):
        for number in (1, 2, 3):
            store.put(number, {"a": area(number)})
        assert totals(store) == [1, 2, 3]
        assert store.losses.write_failures == 3
        assert disk.files == []
        disk.full = False
        store.put(4, {"a": area(4)})
    assert len(disk.files) == 4
    assert [record.message for record in caplog.records] == [
        "snapshots cannot be written and stay in memory; a restart would lose them",
        "snapshots are on disk again",
    ]
    assert totals(disk.store()) == [1, 2, 3, 4]


def test_what_waits_for_the_disk_is_bounded_and_what_is_forgotten_is_counted(disk, monkeypatch):
    store = disk.store()
    disk.full = True
    store.put(1, {"a": area(1)})
    monkeypatch.setattr(store_module, "MEMORY_BYTES", 2 * store.size_bytes + 10)
    for number in (2, 3, 4, 5):
        store.put(number, {"a": area(number)})
    assert totals(store) == [4, 5]
    assert store.losses.forgotten == 3


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "other"])
def test_a_damaged_file_is_left_out_and_said(disk, damage, caplog):
    store = disk.store()
    for number in (1, 2, 3):
        store.put(number, {"a": area(number)})
    file = disk.files[1]
    content = file.read_bytes()
    file.write_bytes(
        {
            "cut": content[:-1],
            "altered": content[:-1] + bytes([content[-1] ^ 1]),
            "empty": b"",
            "other": b"\x00" * 100,
        }[damage]
    )
    again = disk.store()
    # A body is looked at when somebody asks for it: only then is damage inside of it found.
    found = [total for total in totals(again) if total is not None]
    assert found == [1, 3]
    assert totals(again) == [1, 3]
    assert again.losses.damaged == 1
    assert [record.file for record in caplog.records] == [file.name]
    assert file.exists()


def test_files_that_cannot_be_read_go_first(disk):
    (disk.path / "snapshots").mkdir()
    strange = disk.path / "snapshots" / "1.snapshot"
    strange.write_bytes(b"of a later version")
    store = disk.store()
    assert store.foreign_bytes == 18
    store.drop_foreign()
    assert (store.foreign_bytes, strange.exists()) == (0, False)


def test_a_file_that_somebody_removed_is_one_less(disk):
    store = disk.store()
    store.put(1, {"a": area(1)})
    store.put(2, {"a": area(2)})
    disk.files[0].unlink()
    again = disk.store()
    assert totals(again) == [2]
    assert totals(store) == [None, 2]  # known before it was gone
    assert totals(store) == [2]


def test_what_is_asked_again_is_not_read_again(disk):
    store = disk.store()
    store.put(1, {"a": area(1)})
    assert totals(store) == [1]
    disk.files[0].unlink()
    assert totals(store) == [1]


def test_bins_are_those_of_the_total_and_are_kept_beside_it(disk):
    store = disk.store()
    store.put(1, {"a": area(7)})
    (one,) = store.shelf
    assert (store.bins(one, "a", LAYOUT) == area(7).bins()).all()
    disk.files[0].unlink()
    assert (store.bins(one, "a", LAYOUT) == area(7).bins()).all()
    assert store.bins(one, "a", AreaLayout((COLUMN,), block_count=2)) is None
    assert store.total(one, "a", LAYOUT) is None
    assert store.shelf == ()


def test_what_is_kept_unpacked_is_bounded(disk, monkeypatch):
    store = disk.store()
    for number in (1, 2, 3):
        store.put(number, {"a": area(number)})
    monkeypatch.setattr(store_module, "MEMORY_BYTES", 2 * area(0).words.nbytes)
    assert totals(store) == [1, 2, 3]
    for file in disk.files:
        file.unlink()
    assert totals(store) == [None, 2, 3]
