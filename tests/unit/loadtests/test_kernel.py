"""The measurement of the kernel compares what counts alike, and says so when it does not."""

from __future__ import annotations

import itertools
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from loadtests import kernel
from loadtests.peers.histograms import (
    DdSketches,
    Kernel,
    NumpyCounts,
    NumpyDescent,
    NumpyWhole,
)
from loadtests.rig.columns import Batch, batches, feature_columns, layout_of
from sidecar.sketch import BlockCounter, IntArray

COLUMNS = feature_columns(5)
LAYOUT = layout_of(COLUMNS)


def compare(usual: list[Batch], whole: NumpyWhole | None = None) -> None:
    others = [NumpyCounts(LAYOUT), NumpyDescent(LAYOUT)]
    kernel.require_equal_counts(Kernel(LAYOUT), whole or NumpyWhole(LAYOUT), others, usual)


def test_all_versions_count_alike() -> None:
    compare(batches(len(COLUMNS), 100, 3))


def test_infinite_values_and_absurd_ones_are_counted_alike_too() -> None:
    (batch,) = batches(len(COLUMNS), 100, 1)
    batch.values[::7] = np.inf
    batch.values[::11] = -np.inf
    batch.values[::13] = 1e250
    compare([batch])


class Forgetful(NumpyWhole):
    """Counts no failures."""

    def __call__(self, batch: Batch) -> IntArray:
        return super().__call__(replace(batch, failed=np.zeros_like(batch.failed)))


def test_versions_that_count_differently_are_not_compared() -> None:
    with pytest.raises(ValueError, match="otherwise"):
        compare(batches(len(COLUMNS), 500, 3), Forgetful(LAYOUT))


def test_ddsketch_counts_every_value_that_is_one() -> None:
    if find_spec("ddsketch") is None:
        pytest.skip("ddsketch is not installed")
    (batch,) = batches(len(COLUMNS), 200, 1)
    sketches = DdSketches(LAYOUT)
    sketches(batch)
    assert sum(add.__self__.count for add in sketches._adds) == (~np.isnan(batch.values)).sum()


def test_contenders_take_turns_and_change_order() -> None:
    order: list[str] = []
    usual = batches(1, 4, 1)
    first, second = order.append, order.append
    rounds = kernel.take_turns(
        {"a": (lambda _: first("a"), usual), "b": (lambda _: second("b"), usual)}, rounds=2
    )
    assert order[2:] == ["b", "a", "a", "b"]
    assert {name: len(costs) for name, costs in rounds.items()} == {"a": 2, "b": 2}


def test_rows_are_spread_over_all_blocks_of_a_segment() -> None:
    layout = layout_of(COLUMNS, blocks=4)
    counting = Kernel(layout, kernel.spread(layout))
    counting(batches(len(COLUMNS), kernel.ROWS, 1)[0])
    rows = layout.blocks_of(counting.words)[:, BlockCounter.ROWS]
    assert rows.sum() == kernel.ROWS
    assert rows.min() > kernel.ROWS / 8


def test_made_up_columns_have_as_many_cells_as_a_baseline_gives() -> None:
    assert all(250 <= column.value_buckets <= 400 for column in COLUMNS)
    assert all(column.summed and len(column.bins) >= 9 for column in COLUMNS)


def test_a_round_fills_the_page_and_names_every_bar(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("<!-- begin: kernel -->\n<!-- end: kernel -->\n")
    found = tmp_path / "rounds.json"
    assert kernel.main(["--rounds", "1", "--into", str(page), "--json", str(found)]) == 0
    text = page.read_text()
    for told in (
        "| sidecar |",
        "us/row",
        "values of a segment",
        "KiB of a block",
        "to the fastest",
    ):
        assert told in text
    assert '"ns_per_value"' in found.read_text()
    ours = [line for line in text.splitlines() if line.startswith("| ns per value, to the fastest")]
    assert len(ours) == 1


def test_the_fastest_numpy_is_the_one_to_beat() -> None:
    names = [kernel.OURS, kernel.WHOLE, kernel.COUNTS, kernel.DESCENT]
    costs = dict(zip(names, itertools.count(10.0, 10.0), strict=False))
    beside = {name: [cost] for name, cost in costs.items()}
    value, fastest, block = kernel.bars(beside, costs, 100.0)
    assert kernel.WHOLE in fastest.what
    assert fastest.measured == 0.5
    assert value.measured == 10.0
    assert block.met
