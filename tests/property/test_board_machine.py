"""Any order of recording, flushing, crashing and changing hands leaves the right numbers behind."""

import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sidecar.board import LATENCY_COLUMNS, Board, BoardLayout, CellCounter, warm
from sidecar.board.recorder import PENDING_ROWS

WORKERS, CELLS = 2, 3
KERNELS = warm(os.environ)

workers = st.integers(0, WORKERS - 1)
cells = st.integers(0, CELLS - 1)
counters = st.sampled_from(CellCounter)
durations_ns = st.one_of(st.just(-1), st.integers(0, 2 * 10**12))
exchanges = st.tuples(counters, *[durations_ns] * len(LATENCY_COLUMNS))
owners = st.sampled_from(["iris stable primary", "iris next canary"])


class BoardMachine(RuleBasedStateMachine):
    """The board beside a plain model of it: lists of what each worker has seen in each cell."""

    @initialize()
    def allocate(self):
        layout = BoardLayout(workers=WORKERS, cells=CELLS, model_rows=1)
        self.board = Board.allocate(layout, KERNELS)
        self.recorders = [self.board.recorder(worker) for worker in range(WORKERS)]
        self.counts = [[Counter() for _ in range(CELLS)] for _ in range(WORKERS)]
        self.flushed = [[[] for _ in range(CELLS)] for _ in range(WORKERS)]
        self.pending = [[] for _ in range(WORKERS)]
        self.owners = [[None] * CELLS for _ in range(WORKERS)]

    @rule(worker=workers, cell=cells, exchange=exchanges, times=st.sampled_from([1, 3, 200]))
    def record(self, worker, cell, exchange, times):
        for _ in range(times):
            self.recorders[worker].record(cell, *exchange)
            self.pending[worker].append((cell, exchange))
            if len(self.pending[worker]) == PENDING_ROWS:
                self._flushed(worker)

    @rule(worker=workers)
    def flush(self, worker):
        self.recorders[worker].flush()
        self._flushed(worker)

    @rule(worker=workers, cell=cells, counter=counters, n=st.integers(1, 5))
    def count(self, worker, cell, counter, n):
        self.recorders[worker].count(cell, counter, n)
        self.counts[worker][cell][counter] += n

    @rule(worker=workers)
    def crash(self, worker):
        self.recorders[worker] = self.board.recorder(worker)
        self.pending[worker].clear()

    @rule(worker=workers, cell=cells, owner=owners)
    def assign(self, worker, cell, owner):
        self.recorders[worker].assign_cell(cell, owner)
        if self.owners[worker][cell] != owner:
            self._flushed(worker)
            self.owners[worker][cell] = owner
            self.counts[worker][cell].clear()
            self.flushed[worker][cell].clear()

    @invariant()
    def the_board_shows_the_sum_over_workers_of_what_was_flushed(self):
        snapshot = self.board.snapshot()
        for cell in range(CELLS):
            exchanges = [one for worker in self.flushed for one in worker[cell]]
            expected = Counter(exchange[0] for exchange in exchanges)
            for worker in self.counts:
                expected += worker[cell]
            assert snapshot.counters[cell].tolist() == [expected[name] for name in CellCounter]
            for at, column in enumerate(LATENCY_COLUMNS):
                values = [one[1 + at] for one in exchanges if one[1 + at] >= 0]
                counted = snapshot.histogram(cell, column)
                assert counted.total == sum(values)
                buckets = np.searchsorted(counted.edges.values, values, side="right")
                assert Counter(buckets.tolist()) == Counter(
                    dict(enumerate(counted.counts.tolist()))
                )

    def _flushed(self, worker):
        for cell, exchange in self.pending[worker]:
            self.flushed[worker][cell].append(exchange)
        self.pending[worker].clear()


BoardMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=25)
TestBoard = BoardMachine.TestCase

pytestmark = pytest.mark.timeout(180)  # many examples, on machines that do more
