import math
from itertools import chain, pairwise

import numpy as np
import pytest
from harness.counting import categorical, numeric

from sidecar.model import ColumnPart
from sidecar.payload import Reason
from sidecar.sketch import Area, AreaLayout, BlockCounter, WatchCounter

X = numeric("x", (0.0, 1.0, 2.0, 4.0), bins=(0, 2, 3), summed=(0, 4), center=1.5)
C = categorical("c", ("a", "b", "c"), bins=(0, 1, 2, 3))
LATENCY = numeric("latency_ns", (10.0, 100.0), ColumnPart.MEASURE, bins=(0, 1, 2))
LAYOUT = AreaLayout((X, C), (LATENCY,), block_count=3)


def filled(layout=LAYOUT, step=1):
    """An area in which every number differs from its neighbours; sums are halves."""
    words = np.arange(layout.words, dtype=np.int64) * step
    sums = layout.sums_of(layout.blocks_of(words))
    sums[:] = (np.arange(sums.size).reshape(sums.shape) + 0.5) * step
    return Area(layout, words)


def test_every_reason_why_a_body_is_not_read_has_a_counter_of_its_own():
    counters = [WatchCounter.of_unread(reason) for reason in Reason]
    assert len(set(counters)) == len(Reason)
    assert set(counters) == {c for c in WatchCounter if c.name.startswith("UNREAD_")}


@pytest.mark.parametrize("names", [WatchCounter, BlockCounter])
def test_places_are_numbered_without_gaps_from_zero(names):
    assert sorted(names) == list(range(len(names)))


def test_failures_stand_behind_what_may_fail():
    assert BlockCounter.FAILED == BlockCounter.REQUESTS + 1
    assert BlockCounter.FAILED_ROWS == BlockCounter.ROWS + 1


def test_the_parts_of_a_block_follow_one_another_and_fill_it():
    words = list(range(LAYOUT.block_words))
    parts = [words[LAYOUT.counts], words[LAYOUT.sums]]
    outcomes = [words[LAYOUT.failed], words[LAYOUT.latency]]
    parts += zip(*outcomes, strict=True)
    assert len(outcomes[0]) == LAYOUT.bin_count
    assert words == [*BlockCounter, *chain(*parts)]


def test_columns_stand_side_by_side_along_every_axis():
    block = range(LAYOUT.block_words)
    for axis, part in [("counts", LAYOUT.counts), ("sums", LAYOUT.sums), ("bins", LAYOUT.failed)]:
        slices = [getattr(place, axis) for place in LAYOUT.places]
        assert slices[0].start == 0
        assert all(one.stop == other.start for one, other in pairwise(slices))
        assert slices[-1].stop == len(block[part])


def test_blocks_follow_the_watch_counters_and_fill_the_area():
    assert LAYOUT.block_at(0) == len(WatchCounter)
    assert LAYOUT.block_at(2) == LAYOUT.block_at(1) + LAYOUT.block_words
    assert LAYOUT.words == LAYOUT.block_at(2) + LAYOUT.block_words


@pytest.mark.parametrize("block", [-1, 3])
def test_a_block_the_area_does_not_have_is_no_place(block):
    with pytest.raises(IndexError, match="no block"):
        LAYOUT.block_at(block)
    with pytest.raises(IndexError, match="no block"):
        filled().block(block)


def test_an_area_without_blocks_is_refused():
    with pytest.raises(ValueError, match="one block"):
        AreaLayout((X,), (), 0)


def test_two_columns_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="same name"):
        AreaLayout((X, numeric("x", (5.0, 6.0))))


def test_a_feature_may_be_called_like_a_measure():
    feature = numeric("latency_ns", (1.0, 2.0, 3.0))
    layout = AreaLayout((X, feature), (LATENCY,))
    assert layout.place("latency_ns").column is feature
    assert layout.place(feature).column is feature
    assert layout.place(LATENCY).column is LATENCY


def test_a_column_that_is_not_counted_is_not_found():
    with pytest.raises(KeyError):
        LAYOUT.place("y")


def test_layouts_of_the_same_columns_are_equal_and_others_are_not():
    assert AreaLayout((X, C), (LATENCY,), 3) == LAYOUT
    assert hash(AreaLayout((X, C), (LATENCY,), 3)) == hash(LAYOUT)
    assert AreaLayout((X, C), (LATENCY,), 2) != LAYOUT
    assert AreaLayout((C, X), (LATENCY,), 3) != LAYOUT


def test_a_distribution_is_the_columns_own_counts_and_sums():
    block = filled().block(1)
    found = block.distribution("c")
    start = LAYOUT.block_at(1) + len(BlockCounter) + X.width
    assert found.column is C
    assert found.counts.tolist() == list(range(start, start + C.width))
    assert found.sums.size == 0
    assert block.distribution("x").sums.tolist() == [2.5, 3.5]
    assert block.counter(BlockCounter.ROWS) == LAYOUT.block_at(1) + BlockCounter.ROWS


def test_outcomes_have_a_row_for_each_bin_and_for_missing_and_infinite_values():
    block = filled().block(0)
    outcomes = block.outcomes("x")
    counts = block.distribution("x").counts
    by_bin = [counts[:2], counts[2:3], counts[3:5], counts[5:6], counts[6:]]
    assert outcomes.rows.tolist() == [part.sum() for part in by_bin]
    assert outcomes.failed.tolist() == block.words[LAYOUT.failed][:5].tolist()
    assert outcomes.latency_ns.tolist() == block.words[LAYOUT.latency][:5].tolist()
    c_bins = LAYOUT.place("c").bins
    assert block.outcomes("c").failed.tolist() == block.words[LAYOUT.failed][c_bins].tolist()


def test_all_bins_at_once_are_those_of_each_distribution():
    area = filled()
    bins = area.bins()
    assert bins.shape == (3, LAYOUT.bin_count)
    for at in range(3):
        block = area.block(at)
        np.testing.assert_array_equal(block.binned(), bins[at])
        for place, where in zip(LAYOUT.places, LAYOUT.bin_slices, strict=True):
            distribution = block.distribution(place.column)
            np.testing.assert_array_equal(bins[at, where], distribution.binned)
            specials = bins[at, where.stop : place.bins.stop]
            assert specials.tolist() == [distribution.missing, distribution.nonfinite]


def test_a_layout_without_columns_has_no_bins():
    assert Area.empty(AreaLayout((), (), 2)).bins().shape == (2, 0)


def test_numbers_of_two_areas_are_added_as_what_they_are():
    merged = filled().merge(filled(step=3))
    assert merged == filled(step=4)
    assert merged.block(2).distribution("x").sums.tolist() == [18.0, 22.0]


def test_a_window_is_what_came_after_the_snapshot():
    assert filled(step=4).since(filled(step=3)) == filled()


def test_areas_that_were_begun_anew_have_no_window_between_them():
    for at in (0, LAYOUT.blocks_at, LAYOUT.block_at(2) + LAYOUT.counts.start, LAYOUT.words - 1):
        words = np.zeros(LAYOUT.words, np.int64)
        words[at] = 1
        with pytest.raises(ValueError, match="fell"):
            Area.empty(LAYOUT).since(Area(LAYOUT, words))


def test_a_sum_may_fall():
    later = Area.empty(LAYOUT).since(filled_sums(2.0))
    assert later.block(0).distribution("x").sums.tolist() == [-2.0, -2.0]


def filled_sums(value):
    words = np.zeros(LAYOUT.words, np.int64)
    LAYOUT.sums_of(LAYOUT.blocks_of(words))[:] = value
    return Area(LAYOUT, words)


def test_areas_of_different_layouts_do_not_meet():
    other = Area.empty(AreaLayout((X, C), (LATENCY,), 2))
    for meet in (filled().merge, filled().since):
        with pytest.raises(ValueError, match="different layouts"):
            meet(other)
    with pytest.raises(ValueError, match="different layouts"):
        filled().block(0).merge(other.block(0))


def test_blocks_are_added_like_areas():
    area = filled()
    total = area.total(range(3))
    merged = area.block(0).merge(area.block(1)).merge(area.block(2))
    assert total.words.tolist() == merged.words.tolist()
    assert total.distribution("x").sums.tolist() == [7.5, 10.5]
    assert area.total([1]).words.tolist() == area.block(1).words.tolist()


def test_an_area_does_not_change_with_the_memory_it_was_read_from():
    words = np.zeros(LAYOUT.words, np.int64)
    area = Area(LAYOUT, words)
    words[:] = 5
    assert area == Area.empty(LAYOUT)
    with pytest.raises(ValueError, match="read-only"):
        area.words[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        area.total([0, 1]).words[0] = 1


def test_words_that_are_no_area_of_the_layout_are_refused():
    with pytest.raises(ValueError, match="for an area of"):
        Area(LAYOUT, np.zeros(LAYOUT.words + 1, np.int64))


def baseline_like(name, part=ColumnPart.FEATURE):
    """As many cells as a baseline gives a continuous column: 256 + 32, and 24 in each tail."""
    inner = np.linspace(-1, 1, 289)
    tails = 1 + 0.05 * np.cumsum(1.5 ** np.arange(24))
    edges = np.concatenate([-tails[::-1], inner, tails]).tolist()
    ends = len(edges) - 24
    summed = (*range(25), *range(100, 120), *range(ends, len(edges) + 1))
    return numeric(name, edges, part, bins=tuple(range(0, 300, 30)), summed=summed)


def test_a_block_of_30_features_costs_at_most_128_kb():
    columns = [baseline_like(f"f{n}") for n in range(30)]
    columns += [baseline_like("prediction", ColumnPart.PREDICTION)]
    columns += [baseline_like(name, ColumnPart.SCORE) for name in ("score", "confidence")]
    cells = math.ceil(math.log(1e8) / math.log(1.05))
    latency = numeric(
        "latency_ns", (1e4 * 1.05 ** np.arange(cells)).tolist(), ColumnPart.MEASURE,
        bins=tuple(range(0, cells, cells // 10)),
    )  # fmt: skip
    measures = [latency] + [
        numeric(
            name, [float(n) for n in range(33)], ColumnPart.MEASURE, bins=tuple(range(0, 33, 3))
        )
        for name in ("unusual", "request_rows", "tokens")
    ]
    layout = AreaLayout(tuple(columns), tuple(measures), block_count=50)
    assert 110 * 1024 < layout.block_words * 8 <= 128 * 1024
