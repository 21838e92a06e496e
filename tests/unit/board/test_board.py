import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.board import Board, BoardLayout, CellCounter
from sidecar.board.memory import allocate_shared
from sidecar.errors import LocalError

OK = CellCounter.STATUS_2XX


def resident_kb(total_bytes):
    """Resident KiB of this process's mapping of a board with that size."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    size = f"Size: {total_bytes // 1024} kB".split()
    for number, line in enumerate(lines):
        if "memfd:sidecar-board" in line and lines[number + 1].split() == size:
            return next(int(row.split()[1]) for row in lines[number:] if row.startswith("Rss:"))
    raise AssertionError("no such mapping")


def test_memory_of_another_layout_is_not_taken_for_a_board(kernels):
    layout = BoardLayout(workers=1, cells=2, model_rows=1)
    memory = allocate_shared("test-board", layout.total_bytes)
    with pytest.raises(LocalError, match="another layout"):
        Board(layout, memory, kernels)
    memory[: len(layout.header)] = layout.header
    assert not Board(layout, memory, kernels).snapshot().counters.any()


def test_a_worker_the_board_was_not_made_for_gets_no_recorder(board):
    with pytest.raises(IndexError):
        board.recorder(2)


def test_cells_nobody_uses_cost_no_resident_memory(kernels):
    layout = BoardLayout(workers=3, cells=301, model_rows=1)  # a size no other test has
    board = Board.allocate(layout, kernels)
    board.snapshot()
    unused_kb = resident_kb(layout.total_bytes)
    recorder = board.recorder(1)
    for total_ns in layout.edges.values.tolist():
        recorder.record(150, OK, *[int(total_ns)] * 4)
    recorder.flush()
    board.snapshot()
    used_kb = resident_kb(layout.total_bytes)
    assert layout.total_bytes > 50 * 2**20
    assert unused_kb < 300
    assert 59 <= used_kb - unused_kb < 90


KILLED_WORKER = """
import os, signal
from sidecar.board import Board, BoardLayout, CellCounter

board = Board.allocate(BoardLayout(workers=1, cells=2, model_rows=1))

def worker(exchanges, flush):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    recorder = board.recorder(0)
    for _ in range(exchanges):
        recorder.record(1, CellCounter.STATUS_2XX, 1_000_000, -1, -1, -1)
    if flush:
        recorder.flush()
    os.kill(os.getpid(), signal.SIGKILL)

ends = [worker(1000, flush=False), worker(10, flush=True)]
snapshot = board.snapshot()
print(*ends, snapshot.counter(1, CellCounter.STATUS_2XX), snapshot.histogram(1, "total").count)
"""


def test_a_killed_worker_loses_what_it_had_not_flushed_and_its_successor_goes_on():
    # A process of its own: forking one that has threads (pytest's plugins may) is deprecated.
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", KILLED_WORKER],
        env=environ, capture_output=True, text=True, timeout=25, check=True,
    )  # fmt: skip
    flushed = 1000 // 256 * 256
    killed = -signal.SIGKILL
    assert ran.stdout.split() == [str(n) for n in (killed, killed, flushed + 10, flushed + 10)]
