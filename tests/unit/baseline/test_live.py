"""A window of the board as a baseline."""

import numpy as np
import pytest

from sidecar.baseline import decode, encode, measure_columns
from sidecar.baseline.live import from_area
from sidecar.baseline.records import TimeSpan
from sidecar.errors import ConfigError
from sidecar.sketch import Area, AreaLayout, ColumnTable, count_values

SPAN = TimeSpan(start="2024-01-01T00:00:00Z", end="2024-01-01T01:00:00Z")
SEGMENTS = [("region", ("north", "south")), ("plan", ("free",))]


def area_of(baseline, blocks, rows):
    """An area in which each row was counted in the given blocks, and a request for each row."""
    columns = baseline.columns
    layout = AreaLayout(columns, measure_columns(openai=False), blocks)
    words = np.zeros(layout.words, np.int64)
    n = len(rows)
    values = np.tile([[column.center for column in columns]], (n, 1))
    measures = np.tile([[2e6, 0.1, 1.0]], (n, 1))
    bases = np.array([[layout.block_at(block) for block in row] for row in rows]).reshape(n, -1)
    failed = np.zeros(n, np.int64)
    failed[:1] = 1
    tables = ColumnTable.of_columns(layout), ColumnTable.of_measures(layout)
    for table, counted in zip(tables, (values, measures), strict=True):
        table.count(
            count_values,
            counted,
            bases,
            failed,
            np.full(n, 2_000_000),
            words,
            np.zeros(n, np.int64),
        )
    return Area(layout, words)


def test_a_window_without_segments_is_one_block(baseline):
    area = area_of(baseline, 1, [(0,)] * 5)
    made = from_area(area, model="m", route="iris", span=SPAN, seconds=3600.0)

    assert (made.rows, made.columns, made.provisional) == (5, baseline.columns, False)
    assert made.distribution("latency_ns").count == 5
    assert (made.traffic.requests, made.traffic.failed) == (5, 1)
    assert made.traffic.requests_per_second == pytest.approx(5 / 3600)
    assert decode(encode(made)) == made


def test_blocks_are_the_values_of_each_segment_key_in_order(baseline):
    rows = [(0, 3), (0, 4), (1, 3), (2, 4), (2, 4)]
    made = from_area(
        area_of(baseline, 5, rows), model="m", route="r", span=SPAN, seconds=60, segments=SEGMENTS
    )

    assert made.rows == 5
    assert [(one.name, one.rows) for one in made.segments] == [
        ("region", (2, 1, 2)),
        ("plan", (2, 3)),
    ]
    assert made.distribution("income", "region", "north").count == 2


def test_an_empty_window_is_refused(baseline):
    empty = Area.empty(AreaLayout(baseline.columns))
    with pytest.raises(ConfigError, match="no rows of m were read"):
        from_area(empty, model="m", route="r", span=SPAN, seconds=60)


def test_a_window_without_length_is_refused(baseline):
    with pytest.raises(ConfigError, match="one instant"):
        from_area(area_of(baseline, 1, [(0,)]), model="m", route="r", span=SPAN, seconds=0)


def test_blocks_that_are_not_those_of_the_segments_are_refused(baseline):
    with pytest.raises(ValueError, match="blocks are not those"):
        from_area(
            area_of(baseline, 1, [(0,)]),
            model="m", route="r", span=SPAN, seconds=1, segments=SEGMENTS,
        )  # fmt: skip
