"""The queries of docs/scale.md, run over files that the sink wrote, give the right figures."""

import datetime as dt
import re
from pathlib import Path

import duckdb
import pytest
from harness.delivering import item

from sidecar.config.sinks import ParquetSink
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.model import CellKey, Role, StatusClass
from sidecar.records import Captured, Why

PAGE = Path(__file__).parents[4] / "docs" / "scale.md"
PREFIX = "s3://ml-records/"
TEN_NS = 1_738_317_600_000_000_000  # 2025-01-31T10:00:00Z
HOUR_NS = 3_600 * 10**9
NS_PER_MS = 1_000_000

PRIMARY = CellKey(route="r", model="stable", role=Role.PRIMARY)
CANARY = CellKey(route="r", model="next", role=Role.CANARY)
SHADOW = CellKey(route="r", model="trial", role=Role.SHADOW)


def block(language: str, name: str, directory: Path) -> str:
    """A code block of the page, with its bucket replaced by a directory."""
    found = re.search(
        rf"^```{language} {name}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    return found[1].replace(PREFIX, f"{directory}/")


def world() -> list:
    """Two hours: 100 requests each, 80 to the primary; a shadow of those differs in 20 of them."""
    items = []
    for number in range(200):
        hour, nth = divmod(number, 100)
        at_ns = TEN_NS + hour * HOUR_NS + nth * NS_PER_MS
        primary = nth < 80
        failed = not primary and nth >= 95 and hour == 1
        fields = {
            "cell": PRIMARY if primary else CANARY,
            "at_ns": at_ns,
            "outcome": StatusClass.SERVER_ERROR if failed else StatusClass.SUCCESS,
            "status": 503 if failed else 200,
            "duration_ns": (5 if primary else 9) * NS_PER_MS,
            "scores": (0.25, 0.75) if nth % 2 else (0.75, 0.75),
            "segments": {"region": "north" if nth % 2 else "south"},
            "predictions": (1, 0),
        }
        if nth == 7:
            body = b'{"row": %d}' % number
            fields["captured"] = Captured(why=Why.UNUSUAL, request_body=body)
            fields["unusual"] = 0.9 + hour / 100
        items.append(item(number, **fields))
        if primary:
            shadow = {
                "cell": SHADOW,
                "request_id": f"request-{number}",
                "shadow_of": "stable",
                "predictions": (1, 1) if nth < 20 and hour == 0 else (1, 0),
                "duration_ns": 7 * NS_PER_MS,
                "captured": None,
                "unusual": None,
            }
            items.append(item(1000 + number, **fields | shadow))
    return items


@pytest.fixture
async def lake(tmp_path):
    """A directory as the sink leaves it; half of the records came twice, in other batches."""
    path = str(tmp_path / "sidecar")
    surroundings = Surroundings(environ={}, wall_ns=lambda: TEN_NS, chance=lambda: 0.5)
    sink = sink_for(ParquetSink(name="lake", path=path), surroundings)
    items = world()
    await sink.deliver(items[:200])
    await sink.deliver(items[100:])
    await sink.close()
    return tmp_path


@pytest.fixture
def ask(lake):
    """Run a query of the page over the view of the page."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    connection.execute(block("sql", "view", lake))

    def rows(name: str) -> list[tuple]:
        table = connection.sql(block("sql", name, lake)).to_arrow_table()
        return [tuple(row.values()) for row in table.to_pylist()]

    yield rows
    connection.close()


def test_the_view_has_every_record_once(ask, lake):
    raw = duckdb.sql(f"SELECT count(*) FROM read_parquet('{lake}/**/*.parquet')").fetchall()

    assert raw[0][0] > len(world())
    assert sum(row[3] for row in ask("canary")) == 200


def test_a_canary_is_compared_with_the_primary_by_the_hour(ask):
    ten = dt.datetime(2025, 1, 31, 10, tzinfo=dt.UTC)
    eleven = ten + dt.timedelta(hours=1)

    assert ask("canary") == [
        (ten, "next", "canary", 20, 0.0, 9.0),
        (ten, "stable", "primary", 80, 0.0, 5.0),
        (eleven, "next", "canary", 20, 25.0, 9.0),
        (eleven, "stable", "primary", 80, 0.0, 5.0),
    ]


def test_a_shadow_is_compared_with_the_model_that_answered(ask):
    assert ask("shadow") == [("trial", 160, 87.5, 2.0)]


def test_scores_are_told_by_segment(ask):
    assert ask("scores") == [
        ("north", "stable", 160, 0.5, 0.5),
        ("south", "stable", 160, 0.75, 1.0),
    ]


def test_the_most_unusual_requests_are_found_with_their_bodies(ask):
    assert [(unusual, request) for _, _, unusual, request in ask("unusual")] == [
        (0.91, '{"row": 107}'),
        (0.9, '{"row": 7}'),
    ]


def test_a_day_is_compacted_into_one_file_without_duplicates(lake):
    target = lake / "daily" / "date=2025-01-31" / "model=stable"
    target.mkdir(parents=True)
    duckdb.execute(block("sql", "compact", lake))

    read = f"read_parquet('{lake}/daily/**/*.parquet', hive_partitioning = true)"
    counted = duckdb.sql(f"SELECT model, count(*), count(DISTINCT id) FROM {read} GROUP BY ALL")

    assert [path.name for path in target.iterdir()] == ["day.parquet"]
    assert counted.fetchall() == [("stable", 160, 160)]


def test_pyarrow_reads_the_same_files_as_a_dataset(lake):
    names: dict = {}
    exec(block("python", "dataset", lake), names)  # the page's own code

    found = names["failed"].to_pydict()

    assert set(found["model"]) == {"next"}
    assert len(set(found["id"])) == 5
