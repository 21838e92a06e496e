"""Rows and requests wait together, are counted apart, and none is counted twice or left out."""

import struct

import numpy as np
import pytest
from harness.counting import count_in_numpy, numeric
from harness.observing import EVEN, OUTPUTS, features

from sidecar.baseline import measure_columns
from sidecar.monitor.batch import CAPACITY, RECENT, REQUEST, ROW, SLOW_FROM, Batch
from sidecar.sketch import NOT_COUNTED, Area, AreaLayout, BlockCounter

MEASURES = measure_columns(openai=False)
SAID = [1.0, 0.9, 0.9]


class Counted:
    """A batch over memory of its own, fed row by row."""

    def __init__(self, kernels, layout=None, keys=1):
        self.layout = layout or AreaLayout((*features(2), *OUTPUTS), MEASURES)
        self.words = np.zeros(self.layout.words, np.int64)
        self.batch = Batch(self.layout, self.words, keys, kernels.count_values)
        self.scores = []
        self.batch.judged = lambda scores, _groups: self.scores.extend(scores.tolist())

    def request(self, *rows, said=SAID, failed=False, latency_ns=1_000_000, bases=None):
        """A request of one row is one record, any other one more than it has rows."""
        facts = (failed, latency_ns, bases or [self.layout.block_at(0)])
        measures = [latency_ns, 0.0, len(rows)]
        if len(rows) == 1:
            self.batch.add(ROW | REQUEST, rows[0], said, measures, *facts)
            return
        for row in rows:
            self.batch.add(ROW, row, said, self.batch.no_measures, *facts)
        self.batch.add(REQUEST, self.batch.no_cells, (), measures, *facts)

    @property
    def area(self):
        self.batch.flush()
        return Area(self.layout, self.words)


@pytest.fixture
def counted(kernels):
    return Counted(kernels)


@pytest.mark.parametrize("per_request", [0, 1, 3, 200, 256, 257, 1000])
@pytest.mark.parametrize("requests", [1, 255, 256, 257])
def test_rows_and_requests_are_counted_once_wherever_buffers_end(counted, per_request, requests):
    if per_request * requests > 3_000:  # kernels are interpreted when coverage is taken
        requests = 3
    for number in range(requests):
        counted.request(*[[0.5, -0.5]] * per_request, failed=number % 2 == 1)
    block = counted.area.block(0)
    rows = per_request * requests
    assert block.counter(BlockCounter.REQUESTS) == requests
    assert block.counter(BlockCounter.FAILED) == requests // 2
    assert block.counter(BlockCounter.ROWS) == rows
    assert block.counter(BlockCounter.FAILED_ROWS) == per_request * (requests // 2)
    assert block.distribution("f0").rows == rows
    assert block.distribution("latency_ns").rows == requests
    assert block.distribution("request_rows").rows == requests


@pytest.mark.parametrize("bad", [["text", 0.0], [None, 0.0], [0.0], [10**400, 0.0]])
def test_a_row_that_holds_no_number_adds_nothing(counted, bad):
    with pytest.raises((struct.error, TypeError, OverflowError)):
        counted.request(bad)
    assert counted.area.block(0).counter(BlockCounter.REQUESTS) == 0


def test_flushing_what_is_empty_changes_nothing(counted):
    counted.batch.flush()
    assert not counted.words.any()


def test_it_counts_what_numpy_counts(kernels):
    layout = AreaLayout((*features(3), *OUTPUTS), MEASURES, block_count=5)
    counted = Counted(kernels, layout, keys=2)
    rng = np.random.default_rng(7)
    expected = np.zeros(layout.words, np.int64)
    starts = [layout.block_at(block) for block in range(5)]
    n = 700
    values = rng.normal(0, 2, (n, 6))
    values[rng.random((n, 6)) < 0.1] = np.nan
    values[rng.random((n, 6)) < 0.1] = NOT_COUNTED
    values[rng.random((n, 6)) < 0.02] = np.inf
    failed = (rng.random(n) < 0.2).astype(np.int64)
    latency = rng.integers(-1, 10**9, n)
    bases = np.array([[starts[rng.integers(0, 2)], starts[rng.integers(2, 5)]] for _ in range(n)])
    _, outside = count_in_numpy(layout, layout.columns, values, bases, failed, latency, expected)
    confidence = values[:, 5]
    low = layout.columns[5].edges[layout.columns[5].bins[1] - 1]
    strange = outside + ((confidence < low) & (confidence != NOT_COUNTED))
    measures = np.column_stack([latency, 1 - 0.5 ** strange.astype(float), np.ones(n)])
    count_in_numpy(layout, layout.measures, measures, bases, failed, latency, expected)
    for at in range(n):
        own = bases[at].tolist()
        row, said = values[at, :3].tolist(), values[at, 3:].tolist()
        latency_ns = int(latency[at])
        counted.request(row, said=said, failed=bool(failed[at]), latency_ns=latency_ns, bases=own)
    assert counted.area == Area(layout, expected)
    assert np.allclose(counted.scores, measures[:, 1], atol=0)


@pytest.mark.parametrize(("rows", "said", "expected"), [
    ([[0.0, 0.0]], SAID, 0.0),
    ([[9.0, 0.0]], SAID, 0.5),
    ([[9.0, -9.0]], SAID, 0.75),
    ([[np.inf, 0.0]], SAID, 0.5),
    ([[np.nan, NOT_COUNTED]], SAID, 0.0),  # what is missing is not strange
    ([[0.0, 0.0]], [1.0, 0.55, 0.55], 0.5),  # unsure
    ([[0.0, 0.0]], [5.0, 0.9, 0.9], 0.5),  # a prediction never seen
    ([[9.0, 0.0]], [5.0, 0.55, 0.55], 0.875),
    ([[0.0, 0.0]], [NOT_COUNTED] * 3, 0.0),
    ([[9.0, 9.0], [9.0, 0.0], [0.0, 0.0]], SAID, 0.75),  # its most unusual row
    ([], SAID, 0.0),
])  # fmt: skip
def test_each_strange_thing_halves_what_the_score_lacks_to_one(counted, rows, said, expected):
    counted.request([0.0, 0.0])
    counted.request(*rows, said=said)
    counted.request([0.0, 0.0])
    unusual = counted.area.block(0).distribution("unusual")
    assert counted.scores == [0.0, expected, 0.0]
    assert unusual.rows == 3


def test_rows_that_overflow_the_buffer_still_judge_their_request(counted):
    counted.request(*[[0.0, 0.0]] * 300, [9.0, 9.0], *[[0.0, 0.0]] * 300)
    counted.request([0.0, 0.0])
    counted.batch.flush()
    assert counted.scores == [0.75, 0.0]


def test_an_answer_is_slow_beyond_99_percent_of_the_latest(counted):
    latencies = list(range(1_000_000, 2_000_000, 1_000))
    for latency_ns in latencies:
        counted.request([0.0, 0.0], latency_ns=latency_ns)
    counted.batch.flush()
    assert set(counted.scores) == {0.0}  # nothing is slow before it is known what is usual
    counted.batch.learn_what_is_slow()
    counted.scores.clear()
    for latency_ns in (1_000_000, 1_980_000, 1_995_000, 10**9, -1):
        counted.request([0.0, 0.0], latency_ns=latency_ns)
    counted.batch.flush()
    assert counted.scores == [0.0, 0.0, 0.5, 0.5, 0.0]


def test_too_few_answers_say_nothing_about_what_is_slow(counted):
    for _ in range(SLOW_FROM - 1):
        counted.request([0.0, 0.0], latency_ns=1_000_000)
    counted.batch.flush()
    counted.batch.learn_what_is_slow()
    counted.scores.clear()
    counted.request([0.0, 0.0], latency_ns=10**12)
    counted.batch.flush()
    assert counted.scores == [0.0]


def test_what_was_slow_long_ago_is_forgotten(counted):
    for latency_ns, count in ((10**9, RECENT), (10**6, RECENT + 7)):
        for _ in range(count):
            counted.request(latency_ns=latency_ns)
    counted.batch.flush()
    counted.batch.learn_what_is_slow()
    counted.scores.clear()
    counted.request(latency_ns=10**9)
    counted.batch.flush()
    assert counted.scores == [0.5]


def test_without_columns_requests_and_rows_are_counted_all_the_same(kernels):
    counted = Counted(kernels, AreaLayout((), MEASURES))
    for _ in range(CAPACITY + 1):
        counted.request([], [], said=[])
    block = counted.area.block(0)
    assert block.counter(BlockCounter.ROWS) == 2 * (CAPACITY + 1)
    assert block.distribution("latency_ns").rows == CAPACITY + 1


def test_without_measures_rows_are_counted_all_the_same(kernels):
    counted = Counted(kernels, AreaLayout((numeric("f0", EVEN),)))
    counted.batch.add(ROW | REQUEST, [0.5], [], [], True, -1, [counted.layout.blocks_at])
    block = counted.area.block(0)
    assert block.counter(BlockCounter.REQUESTS) == block.counter(BlockCounter.FAILED_ROWS) == 1
    assert counted.scores == [0.0]
