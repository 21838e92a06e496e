import math
import os
import sys

import numpy as np
import pytest
from harness.counting import categorical, count_in_numpy, numeric, placed
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.board import warm
from sidecar.model import ColumnPart
from sidecar.sketch import NOT_COUNTED, AreaLayout, BlockCounter, ColumnTable, count_values

LARGEST = sys.float_info.max
FIXED = AreaLayout(
    (
        numeric("x", (0.0, 1.0, 2.0, 4.0), bins=(0, 2, 3), summed=(0, 4), center=1.5),
        categorical("c", ("a", "b", "c"), bins=(0, 1, 2, 3)),
    ),
    (numeric("latency_ns", (10.0, 100.0), ColumnPart.MEASURE),),
    block_count=3,
)


@st.composite
def columns(draw, name):
    if draw(st.booleans()):
        column = categorical(name, [str(n) for n in range(draw(st.integers(0, 5)))])
    else:
        edges = st.one_of(
            st.floats(allow_nan=False, allow_infinity=False), st.integers(-3, 3).map(float)
        )
        chosen = draw(st.lists(edges, min_size=2, max_size=20, unique=True))
        # An atom has a cell of its own, one float wide.
        chosen += [math.nextafter(chosen[0], math.inf)] if draw(st.booleans()) else []
        column = numeric(name, sorted({*chosen} - {np.inf}), center=draw(st.sampled_from(chosen)))
    buckets = st.integers(0, column.value_buckets - 1)
    bins = {0, *draw(st.sets(buckets, max_size=4))}
    summed = draw(st.sets(buckets, max_size=4)) if column.edges else ()
    return type(column)(
        **{name: getattr(column, name) for name in column.__struct_fields__}
        | {"bins": tuple(sorted(bins)), "summed": tuple(sorted(summed))}
    )


def values_of(column):
    """Anything, and above all what is at, beside and beyond the edges."""
    anything = st.floats(allow_subnormal=True)
    special = st.sampled_from(
        [NOT_COUNTED, LARGEST, np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 0.5, -0.5, 2.5]
    )
    at = st.sampled_from(column.edges or tuple(map(float, range(len(column.categories) + 2))))
    beside = st.builds(math.nextafter, at, st.sampled_from([-math.inf, math.inf]))
    return st.one_of(at, beside, special, anything)


@st.composite
def batches(draw):
    names = [f"c{n}" for n in range(draw(st.integers(0, 4)))]
    layout = AreaLayout(tuple(draw(columns(name)) for name in names), (), draw(st.integers(1, 3)))
    rows, keys = draw(st.integers(0, 12)), draw(st.integers(0, 2))
    values = [[draw(values_of(column)) for column in layout.columns] for _ in range(rows)]
    starts = [layout.block_at(block) for block in range(layout.block_count)]
    wrong = [-1, 0, starts[0] + 1, starts[-1] + layout.block_words, layout.words, 2**62, -(2**63)]
    base = st.one_of(st.sampled_from(starts), st.sampled_from(starts), st.sampled_from(wrong))
    bases = [[draw(base) for _ in range(keys)] for _ in range(rows)]
    failed = [draw(st.integers(0, 1)) for _ in range(rows)]
    latency_ns = [draw(st.one_of(st.just(-1), st.integers(0, 2**40))) for _ in range(rows)]
    return (
        layout,
        np.array(values, np.float64).reshape(rows, len(names)),
        np.array(bases, np.int64).reshape(rows, keys),
        np.array(failed, np.int64),
        np.array(latency_ns, np.int64),
    )


@pytest.fixture(scope="module", params=["interpreted", "compiled"])
def kernel(request):
    return count_values if request.param == "interpreted" else warm(os.environ).count_values


def counted(kernel, layout, values, bases, failed=None, latency_ns=None, *, measures=False):
    """The area, the rows left out and `outside` after counting rows."""
    table = ColumnTable.of_measures(layout) if measures else ColumnTable.of_columns(layout)
    rows = len(values)
    area, outside = np.zeros(layout.words, np.int64), np.full(rows, 99)
    failed = np.zeros(rows, np.int64) if failed is None else failed
    latency_ns = np.full(rows, -1) if latency_ns is None else latency_ns
    with np.errstate(over="ignore"):  # interpreted, the greatest numbers warn when subtracted
        left_out = table.count(kernel, values, bases, failed, latency_ns, area, outside)
    return area, left_out, outside


def counts_of(kernel, column, values):
    """`int64[bucket]` of one column, and its sums."""
    layout = AreaLayout((column,))
    rows = np.array(values, np.float64).reshape(-1, 1)
    area, _, _ = counted(kernel, layout, rows, np.full((len(rows), 1), layout.block_at(0)))
    block = layout.blocks_of(area)
    return block[0, layout.counts], layout.sums_of(block)[0]


@given(batch=batches())
def test_the_kernel_counts_exactly_what_numpy_counts(kernel, batch):
    layout, values, bases, failed, latency_ns = batch
    area, left_out, outside = counted(kernel, layout, values, bases, failed, latency_ns)
    expected = np.zeros(layout.words, np.int64)
    known = count_in_numpy(layout, layout.columns, values, bases, failed, latency_ns, expected)
    assert left_out == known[0]
    np.testing.assert_array_equal(outside, known[1])
    sums, expected_sums = (layout.sums_of(layout.blocks_of(words)) for words in (area, expected))
    np.testing.assert_array_equal(sums, expected_sums)
    sums[:] = expected_sums[:] = 0.0  # -0.0 and 0.0 are equal sums of different bits
    np.testing.assert_array_equal(area, expected)


@given(
    edges=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, unique=True),
    more=st.lists(st.floats(), max_size=20),
)
@example(edges=[-LARGEST, LARGEST], more=[])
@example(edges=[-5e-324, 0.0, 5e-324], more=[])
@example(edges=[float(n) for n in range(2**10)], more=[0.5, 1022.5, 1023.5])
@example(edges=[float(n) for n in range(2**10 - 1)], more=[0.5, 1021.5, 1022.5])
def test_the_bucket_is_right_at_and_beside_every_edge(kernel, edges, more):
    column = numeric(edges=sorted(edges))
    beside = [math.nextafter(edge, way) for edge in edges for way in (-math.inf, edge, math.inf)]
    values = np.array([*beside, *more])
    buckets = placed(column, values)
    expected = np.bincount(buckets[buckets >= 0], minlength=column.width)
    np.testing.assert_array_equal(counts_of(kernel, column, values)[0], expected)


def test_missing_and_infinite_values_are_counted_apart_and_absent_ones_not_at_all(kernel):
    values = [0.5, np.nan, np.inf, -np.inf, NOT_COUNTED, LARGEST, -np.nan]
    assert counts_of(kernel, numeric(), values)[0].tolist() == [0, 1, 0, 0, 1, 2, 2]


def test_a_code_that_names_no_category_is_other(kernel):
    values = [0.0, 1.0, 1.9, -0.5, 2.0, -1.0, 1e300, np.inf, -np.inf, LARGEST, np.nan, NOT_COUNTED]
    assert counts_of(kernel, categorical(), values)[0].tolist() == [1, 2, 7, 1, 0]


def test_a_column_without_categories_knows_only_other_and_missing(kernel):
    assert counts_of(kernel, categorical(categories=()), [0.0, np.nan])[0].tolist() == [1, 1, 0]


def test_sums_are_of_the_distance_to_the_center_in_summed_buckets_only(kernel):
    column = numeric(summed=(0, 4), center=1.5)
    counts, sums = counts_of(kernel, column, [-3.0, -1.0, 0.5, 3.0, 7.0])
    assert counts.tolist() == [2, 1, 0, 1, 1, 0, 0]
    assert sums.tolist() == [-7.0, 5.5]


def test_one_absurd_value_does_not_hide_what_is_summed_after_it(kernel):
    column = numeric(summed=(0, 4), center=1.5)
    _, before = counts_of(kernel, column, [1e300, -1e300])
    _, after = counts_of(kernel, column, [1e300, -1e300, 7.0, -3.0])
    np.testing.assert_allclose(after - before, [-4.5, 5.5], rtol=1e-6)


def test_failures_and_latencies_are_counted_by_the_bin_of_each_value(kernel):
    values = np.array([[0.5, 0], [0.5, 2], [3.0, 0], [np.nan, 9], [np.inf, np.nan]])
    bases = np.full((5, 1), FIXED.block_at(1))
    failed, latency_ns = np.array([0, 1, 1, 0, 1]), np.array([10, 20, -1, 40, 50])
    area, _, _ = counted(kernel, FIXED, values, bases, failed, latency_ns)
    block = FIXED.blocks_of(area)[1]
    x, c = FIXED.place("x").bins, FIXED.place("c").bins
    assert block[FIXED.failed][x].tolist() == [1, 0, 1, 0, 1]
    assert block[FIXED.latency][x].tolist() == [30, 0, 0, 40, 50]
    assert block[FIXED.failed][c].tolist() == [1, 0, 1, 0, 1, 0]
    assert block[FIXED.latency][c].tolist() == [10, 0, 20, 40, 50, 0]
    assert block[BlockCounter.ROWS] == 5
    assert block[BlockCounter.FAILED_ROWS] == 3
    assert block[BlockCounter.REQUESTS] == block[BlockCounter.FAILED] == 0


def test_measures_count_requests(kernel):
    bases = np.full((2, 1), FIXED.block_at(0))
    area, _, outside = counted(
        kernel, FIXED, np.array([[50.0], [5.0]]), bases, np.array([0, 1]), measures=True
    )
    block = FIXED.blocks_of(area)[0]
    assert block[BlockCounter.REQUESTS] == 2
    assert block[BlockCounter.FAILED] == 1
    assert block[BlockCounter.ROWS] == block[BlockCounter.FAILED_ROWS] == 0
    assert block[FIXED.counts][FIXED.place("latency_ns").counts].tolist() == [1, 1, 0, 0, 0]
    assert not block[FIXED.counts][: FIXED.place("latency_ns").counts.start].any()
    assert outside.tolist() == [0, 1]


def test_a_row_is_counted_in_the_block_of_every_key(kernel):
    bases = np.array([[FIXED.block_at(0), FIXED.block_at(2)]])
    area, _, _ = counted(kernel, FIXED, np.array([[0.5, 1.0]]), bases)
    blocks = FIXED.blocks_of(area)
    assert not blocks[1].any()
    np.testing.assert_array_equal(blocks[0], blocks[2])
    assert blocks[0, BlockCounter.ROWS] == 1


def test_how_many_values_of_a_row_are_outside_the_reference(kernel):
    rows = [(0.5, 1), (-1, 1), (4.0, 3), (np.inf, np.inf), (np.nan, np.nan), (NOT_COUNTED, 7)]
    bases = np.full((6, 1), FIXED.block_at(0))
    assert counted(kernel, FIXED, np.array(rows), bases)[2].tolist() == [0, 1, 2, 2, 0, 1]


@pytest.mark.parametrize("wrong", [-1, 0, 17, FIXED.block_at(1) + 1, FIXED.words, 2**62, -(2**63)])
def test_a_row_without_a_block_is_left_out_whole_and_reported(kernel, wrong):
    bases = np.array([[FIXED.block_at(0), wrong], [FIXED.block_at(0), FIXED.block_at(1)]])
    values = np.array([[0.5, 1.0], [7.0, 2.0]])
    area, left_out, outside = counted(kernel, FIXED, values, bases)
    expected, _, _ = counted(kernel, FIXED, values[1:], bases[1:])
    assert left_out == 1
    assert outside.tolist() == [-1, 1]
    np.testing.assert_array_equal(area, expected)


def test_nothing_outside_the_area_is_written(kernel):
    """Around the area stands what another watch counted."""
    layout = FIXED
    memory = np.full(layout.words + 200, 7, np.int64)
    area = memory[100:-100]
    area[:] = 0
    rng = np.random.default_rng(3)
    values = rng.choice([np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, 3.0, 99.0], (500, 2))
    bases = rng.integers(-300, layout.words + 300, (500, 2))
    bases[::2] = layout.block_at(2)
    table = ColumnTable.of_columns(layout)
    zeros = np.zeros(500, np.int64)
    with np.errstate(over="ignore"):
        left_out = table.count(kernel, values, bases, zeros, zeros, area, np.zeros(500, np.int64))
    assert 200 < left_out <= 250
    assert (memory[:100] == 7).all()
    assert (memory[-100:] == 7).all()
    assert area.any()


def test_no_rows_and_no_columns_change_nothing_but_the_counters_of_rows(kernel):
    empty = AreaLayout(())
    area, left_out, _ = counted(kernel, empty, np.zeros((2, 0)), np.full((2, 1), empty.blocks_at))
    assert left_out == 0
    assert area.sum() == area[empty.blocks_at + BlockCounter.ROWS] == 2
    assert not counted(kernel, FIXED, np.zeros((0, 2)), np.zeros((0, 1), np.int64))[0].any()


@pytest.mark.parametrize(
    ("what", "shape"),
    [
        ("values", (3, 1)), ("values", (4, 2)), ("bases", (2, 1)), ("failed", (2,)),
        ("latency_ns", (4,)), ("area", (FIXED.words - 1,)), ("outside", (0,)),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_together_are_refused_before_anything_is_counted(
    kernel, what, shape
):
    arrays = {
        "values": np.zeros((3, 2)),
        "bases": np.full((3, 1), FIXED.block_at(0)),
        "failed": np.zeros(3, np.int64),
        "latency_ns": np.zeros(3, np.int64),
        "area": np.zeros(FIXED.words, np.int64),
        "outside": np.zeros(3, np.int64),
    }
    arrays[what] = np.zeros(shape, arrays[what].dtype)
    with pytest.raises(ValueError, match="fit"):
        ColumnTable.of_columns(FIXED).count(kernel, **arrays)
    assert not arrays["area"].any()


def test_a_table_cannot_be_changed():
    table = ColumnTable.of_columns(FIXED)
    for array in (table.geometry, table.columns, table.scales, table.trees, table.targets):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
