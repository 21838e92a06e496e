"""Records in files: a line each, and what the disk says in words."""

import os
from pathlib import Path

import pytest
from harness.delivering import START_NS, item

from sidecar.config.sinks import JsonlSink as JsonlSettings
from sidecar.config.units import Size
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.records import from_json

SURROUNDINGS = Surroundings(environ={}, wall_ns=lambda: START_NS, chance=lambda: 0.5)


@pytest.fixture
async def sink(tmp_path):
    made = sink_for(JsonlSettings(name="files", path=str(tmp_path / "log")), SURROUNDINGS)
    yield made
    await made.close()


def lines(directory: Path) -> list[bytes]:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir())).splitlines()


async def test_a_line_is_a_record(sink, tmp_path):
    await sink.open()
    delivered = await sink.deliver([item(1), item(2)])
    assert delivered.refused == ()
    assert [from_json(line) for line in lines(tmp_path / "log")] == [item(1).record, item(2).record]


async def test_what_has_no_json_is_refused_and_the_rest_written(sink, tmp_path):
    await sink.open()
    broken = item(2)
    broken = type(broken)(
        id=broken.id,
        record=item(2, at_ns=-5).record,
        payload=broken.payload,
        cell=broken.cell,
    )
    delivered = await sink.deliver([item(1), broken, item(3)])
    assert [place for place, _ in delivered.refused] == [1]
    assert [from_json(line).id for line in lines(tmp_path / "log")] == [item(1).id, item(3).id]


async def test_a_directory_that_cannot_be_made_is_not_available(tmp_path):
    (tmp_path / "file").write_text("in the way")
    sink = sink_for(JsonlSettings(name="files", path=str(tmp_path / "file" / "log")), SURROUNDINGS)
    with pytest.raises(Unavailable, match="cannot be written: Not a directory"):
        await sink.open()
    await sink.close()


async def test_a_directory_that_another_process_has_is_not_available(sink, tmp_path):
    await sink.open()
    other = sink_for(JsonlSettings(name="other", path=str(tmp_path / "log")), SURROUNDINGS)
    with pytest.raises(Unavailable, match="another process writes into"):
        await other.open()
    await other.close()


async def test_with_fsync_each_batch_is_on_the_disk_when_it_is_confirmed(tmp_path, monkeypatch):
    settings = JsonlSettings(name="files", path=str(tmp_path / "log"), fsync=True)
    sink = sink_for(settings, SURROUNDINGS)
    await sink.open()
    await sink.deliver([item(1)])
    forced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (forced.append(1), fsync(descriptor)))
    await sink.deliver([item(2)])
    await sink.deliver([item(3)])
    assert len(forced) == 2
    await sink.close()


async def test_without_it_they_are_when_the_cursor_moves(sink, monkeypatch):
    forced = []
    await sink.open()
    await sink.deliver([item(1)])
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (forced.append(1), fsync(descriptor)))
    await sink.deliver([item(2)])
    assert forced == []
    await sink.flush()
    await sink.flush()
    assert len(forced) == 1


async def test_files_are_begun_anew_by_size(tmp_path):
    settings = JsonlSettings(name="files", path=str(tmp_path / "log"), rotate=Size(2000))
    sink = sink_for(settings, SURROUNDINGS)
    await sink.open()
    for number in range(10):
        await sink.deliver([item(number)])
    await sink.close()
    files = sorted((tmp_path / "log").iterdir())
    assert len(files) > 2
    assert max(path.stat().st_size for path in files) <= 2000
    assert [from_json(line).id for line in lines(tmp_path / "log")] == [
        item(number).id for number in range(10)
    ]
