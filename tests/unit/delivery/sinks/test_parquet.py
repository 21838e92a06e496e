"""Records as Parquet on disk: read back by others, named by what is in them, whole or not there."""

import sys
from pathlib import Path

import duckdb
import pyarrow.dataset
import pyarrow.parquet
import pytest
from harness.delivering import START_NS, item

from sidecar.config.sinks import ParquetCompression
from sidecar.config.sinks import ParquetSink as ParquetSettings
from sidecar.delivery import Refused, Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.delivery.sinks.parquet import name_of, partition_of
from sidecar.errors import ConfigError
from sidecar.model import CellKey, Role
from sidecar.records import Captured, Why, columns

SURROUNDINGS = Surroundings(environ={}, wall_ns=lambda: START_NS, chance=lambda: 0.5)
DAY_NS = 86_400 * 10**9
CANARY = CellKey(route="r", model="next", role=Role.CANARY)
BODIES = Captured(
    why=Why.SAMPLED,
    request_headers=(("content-type", "application/json"),),
    request_body=b'{"inputs": []}',
    response_body=b"\xff\x00",
)


@pytest.fixture
async def sink(tmp_path):
    made = sink_for(ParquetSettings(name="files", path=str(tmp_path / "log")), SURROUNDINGS)
    await made.open()
    yield made
    await made.close()


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def query(directory: Path, sql: str) -> list[tuple]:
    read = f"read_parquet('{directory}/**/*.parquet', hive_partitioning = true)"
    return duckdb.sql(sql.replace("RECORDS", read)).fetchall()


async def test_there_is_a_file_for_each_date_and_model(sink, tmp_path):
    batch = [item(1), item(2, cell=CANARY), item(3, at_ns=START_NS + DAY_NS), item(4)]

    assert (await sink.deliver(batch)).refused == ()

    directories = [str(path.parent.relative_to(tmp_path / "log")) for path in files(tmp_path)]
    assert directories == [
        "date=2023-11-14/model=next",
        "date=2023-11-14/model=stable",
        "date=2023-11-15/model=stable",
    ]
    assert query(tmp_path, "SELECT id, model, date::text FROM RECORDS ORDER BY id") == [
        (batch[0].id, "stable", "2023-11-14"),
        (batch[1].id, "next", "2023-11-14"),
        (batch[2].id, "stable", "2023-11-15"),
        (batch[3].id, "stable", "2023-11-14"),
    ]


async def test_what_is_read_is_what_was_written(sink, tmp_path):
    written = item(1, captured=BODIES, predictions=(1, 2.5, "a", True, None), scores=(0.5, None))
    await sink.deliver([written, item(2)])

    table = pyarrow.dataset.dataset(tmp_path / "log", partitioning="hive").to_table()
    row, other = table.sort_by("id").to_pylist()

    assert set(table.column_names) == {*(column.name for column in columns()), "date"}
    assert (row["id"], row["model"]) == (written.id, "stable")
    assert row["at"].timestamp() == START_NS // 10**9
    assert row["predictions"] == ["1", "2.5", "a", "true", None]
    assert row["scores"] == [0.5, None]
    assert row["segments"] == [("region", "north")]
    assert row["request_headers"] == [{"name": "content-type", "value": "application/json"}]
    assert (row["captured_why"], row["request_body"]) == ("sampled", b'{"inputs": []}')
    assert row["response_body"] == b"\xff\x00"
    assert (other["captured_why"], other["request_body"]) == (None, None)


async def test_a_batch_that_comes_again_replaces_its_file(sink, tmp_path):
    batch = [item(number) for number in range(20)]
    await sink.deliver(batch)
    await sink.deliver(batch)

    assert len(files(tmp_path)) == 1
    assert query(tmp_path, "SELECT count(*) FROM RECORDS") == [(20,)]


async def test_a_file_is_never_replaced_by_one_with_other_records(sink, tmp_path):
    await sink.deliver([item(number) for number in range(20)])
    await sink.deliver([item(0)])  # a probe of the pump; or a dead letter that is replayed

    counted = query(tmp_path, "SELECT count(*), count(DISTINCT id) FROM RECORDS")

    assert counted == [(21, 20)]


def test_a_name_follows_from_the_ids_alone():
    assert name_of(["a", "b"]) == name_of(["a", "b"])
    assert len({name_of(["a"]), name_of(["a", "b"]), name_of(["ab"]), name_of(["a", "c"])}) == 4


def test_a_model_s_name_cannot_leave_its_directory():
    outside = CellKey(route="r", model="../../x=y", role=Role.PRIMARY)

    assert partition_of(item(1, cell=outside)).split("/")[1] == "model=..%2F..%2Fx%3Dy"


@pytest.mark.parametrize("compression", ParquetCompression)
async def test_columns_are_compressed_as_the_settings_say(tmp_path, compression):
    settings = ParquetSettings(name="files", path=str(tmp_path), compression=compression)
    sink = sink_for(settings, SURROUNDINGS)
    await sink.deliver([item(1)])
    await sink.close()

    column = pyarrow.parquet.ParquetFile(files(tmp_path)[0]).metadata.row_group(0).column(1)

    expected = {"none": "UNCOMPRESSED"}.get(compression.value, compression.value.upper())
    assert column.compression == expected


async def test_what_no_column_can_hold_is_refused_and_nothing_is_written(sink, tmp_path):
    with pytest.raises(Refused, match="no Parquet"):
        await sink.deliver([item(1), item(2, rows=2**63)])
    with pytest.raises(Refused, match="no time between"):
        await sink.deliver([item(1), item(2, at_ns=-1)])

    assert files(tmp_path) == []


async def test_a_directory_that_cannot_be_made_is_waited_for(tmp_path):
    (tmp_path / "log").write_text("in the way")
    sink = sink_for(ParquetSettings(name="files", path=str(tmp_path / "log")), SURROUNDINGS)
    with pytest.raises(Unavailable, match=r"log cannot be made: File exists"):
        await sink.open()
    (tmp_path / "log").unlink()

    await sink.open()
    assert (await sink.deliver([item(1)])).refused == ()
    await sink.close()


async def test_what_was_written_before_a_failure_is_not_brought_again(sink, tmp_path):
    in_the_way = tmp_path / "log" / "date=2023-11-14" / "model=next"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    batch = [item(1), item(2, cell=CANARY), item(3)]

    with pytest.raises(Unavailable, match="cannot be made") as failure:
        await sink.deliver(batch)

    assert failure.value.taken == (0, 2)
    in_the_way.unlink()
    await sink.deliver([batch[1]])
    assert query(tmp_path, "SELECT count(*) FROM RECORDS") == [(3,)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_full_disk_leaves_no_half_of_a_file(sink, tmp_path):
    batch = [item(1)]
    target = tmp_path / "log" / partition_of(batch[0]) / name_of([batch[0].id])
    target.parent.mkdir(parents=True)
    target.with_name(f"{target.name}.new").symlink_to("/dev/full")  # where it is written first

    with pytest.raises(Unavailable, match="No space left on device"):
        await sink.deliver(batch)

    assert files(tmp_path) == []
    assert (await sink.deliver(batch)).refused == ()


def test_without_the_library_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"pip install 'model-sidecar\[parquet\]'"):
        sink_for(ParquetSettings(name="files", path="log"), SURROUNDINGS)


def test_without_obstore_a_bucket_cannot_be_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(ConfigError, match=r"pip install 'model-sidecar\[s3\]'"):
        sink_for(ParquetSettings(name="files", path="s3://bucket/log"), SURROUNDINGS)
