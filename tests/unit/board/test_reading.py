import os
import subprocess
import sys

import pytest

from sidecar.board import CellCounter, ModelGauge, WorkerGauge

OK = CellCounter.STATUS_2XX


def test_cells_and_models_are_summed_over_workers_and_gauges_kept_apart(board):
    for worker in (0, 1):
        recorder = board.recorder(worker)
        recorder.record(3, OK, 1_000_000 * (worker + 1), -1, -1, -1)
        recorder.add_worker(WorkerGauge.CONNECTIONS, worker + 1)
        recorder.add_model(0, ModelGauge.IDLE, 5)
        recorder.flush()
    snapshot = board.snapshot()
    assert snapshot.counter(3, OK) == 2
    assert snapshot.histogram(3, "total").count == 2
    assert snapshot.histogram(3, "total").mean == 1_500_000
    assert snapshot.workers[:, WorkerGauge.CONNECTIONS].tolist() == [1, 2]
    assert snapshot.worker_sum(WorkerGauge.CONNECTIONS) == 3
    assert snapshot.model_sum(0, ModelGauge.IDLE) == 10


def test_a_cell_nobody_used_has_an_empty_histogram(board):
    counted = board.snapshot().histogram(0, "upstream")
    assert counted.count == 0
    assert counted.edges == board.layout.edges


def test_a_snapshot_does_not_change_afterwards_and_cannot_be_changed(board):
    recorder = board.recorder(0)
    recorder.record(0, OK, 1_000_000, -1, -1, -1)
    recorder.flush()
    snapshot = board.snapshot()
    recorder.record(0, OK, 1_000_000, -1, -1, -1)
    recorder.flush()
    recorder.add_worker(WorkerGauge.ACCEPTED)
    assert snapshot.counter(0, OK) == snapshot.histogram(0, "total").count == 1
    assert snapshot.worker_sum(WorkerGauge.ACCEPTED) == 0
    for table in (snapshot.counters, snapshot.workers, snapshot.models, snapshot.sums):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        snapshot.latency[0][0, 0] = 1


WHILE_A_WORKER_WRITES = """
import os, signal
from sidecar.board import Board, BoardLayout, CellCounter

OK = CellCounter.STATUS_2XX
board = Board.allocate(BoardLayout(workers=1, cells=2, model_rows=1))
worker = os.fork()
if not worker:
    recorder = board.recorder(0)
    while True:
        recorder.record(1, OK, 3_000_000, 2_000_000, 1_000_000, 500_000)
try:
    earlier = board.snapshot()
    growths = 0
    while growths < 50:
        later = board.snapshot()
        assert (later.counters >= earlier.counters).all()
        later.histogram(1, "total").since(earlier.histogram(1, "total"))  # raises if a count fell
        growths += later.counter(1, OK) > earlier.counter(1, OK)
        earlier = later
finally:
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
print("seen growing")
"""


def test_no_count_falls_while_a_worker_writes():
    # A process of its own: forking one that has threads (pytest's plugins may) is deprecated.
    ran = subprocess.run(
        [sys.executable, "-c", WHILE_A_WORKER_WRITES],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, text=True, timeout=25, check=True,
    )  # fmt: skip
    assert ran.stdout == "seen growing\n"
