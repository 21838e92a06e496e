"""Areas of the arena: whose they are, what is zeroed and when, and what a reader may see."""

import os
import subprocess
import sys

import numpy as np
import pytest
from harness.counting import categorical, numeric

from sidecar.board import Board, BoardLayout
from sidecar.board.layout import SliceView
from sidecar.model import ColumnPart
from sidecar.sketch import AreaLayout, BlockCounter, ColumnTable, WatchCounter

AREA = AreaLayout(
    (numeric("x", summed=(0, 4)), categorical("c")),
    (numeric("latency_ns", (10.0, 100.0), ColumnPart.MEASURE),),
    block_count=2,
)
WIDER = AreaLayout((numeric("y", [float(n) for n in range(40)]),), (), block_count=3)
AT = 200
PLACE = {"slot": 1, "at": AT}


@pytest.fixture
def board(kernels):
    layout = BoardLayout(workers=2, cells=2, model_rows=1, arena_words=1000, watch_slots=4)
    return Board.allocate(layout, kernels)


def opened(board, worker=0, area=AREA, owner="iris", **place):
    return board.recorder(worker).open_area(**{**PLACE, **place}, words=area.words, owner=owner)


def count_rows(board, words, values, block=0, area=AREA):
    values = np.array(values, np.float64)
    zeros = np.zeros(len(values), np.int64)
    bases = np.full((len(values), 1), area.block_at(block))
    table = ColumnTable.of_columns(area)
    return table.count(board.kernels.count_values, values, bases, zeros, zeros, words, zeros.copy())


def read(board, area=AREA, owner="iris", **place):
    return board.read_area(area, **{**PLACE, **place}, owner=owner)


def test_what_workers_count_is_read_as_one_sum(board):
    for worker, values in enumerate([[(0.5, 0), (-3.0, 1)], [(0.5, 1), (-1.5, 5)]]):
        words = opened(board, worker)
        words[WatchCounter.READ] += 2
        count_rows(board, words, values)
    found = read(board)
    assert found.counter(WatchCounter.READ) == 4
    assert found.block(0).counter(BlockCounter.ROWS) == 4
    assert found.block(0).distribution("x").counts.tolist() == [2, 2, 0, 0, 0, 0, 0]
    assert found.block(0).distribution("x").sums.tolist() == [-4.5, 0.0]
    assert found.block(0).distribution("c").counts.tolist() == [1, 2, 1, 0, 0]
    assert not found.block(1).words.any()


def test_an_area_nobody_has_opened_is_empty(board):
    assert not read(board).words.any()


def test_a_worker_that_has_not_opened_the_area_adds_nothing(board):
    count_rows(board, opened(board, 0, owner="before"), [(0.5, 0)] * 3)
    count_rows(board, opened(board, 1), [(0.5, 0)])
    assert read(board).block(0).counter(BlockCounter.ROWS) == 1


def test_the_successor_of_a_worker_goes_on_counting(board):
    count_rows(board, opened(board), [(0.5, 0)])
    count_rows(board, opened(board), [(0.5, 0)])
    assert read(board).block(0).counter(BlockCounter.ROWS) == 2


def test_a_new_owner_starts_at_zero_and_the_old_one_is_gone(board):
    count_rows(board, opened(board), [(0.5, 0)])
    count_rows(board, opened(board, owner="iris, other edges"), [(0.5, 0), (0.5, 0)])
    assert read(board, owner="iris, other edges").block(0).counter(BlockCounter.ROWS) == 2
    assert not read(board).words.any()


@pytest.mark.parametrize("at", [AT + 1 - WIDER.words, AT + AREA.words - 1, AT - 5])
def test_who_loses_words_of_an_area_has_lost_it(board, at):
    count_rows(board, opened(board), [(0.5, 0)])
    opened(board, slot=2, at=at, area=WIDER, owner="wider")
    assert not read(board).words.any()
    count_rows(board, opened(board), [(0.5, 0)] * 2)
    assert read(board).block(0).counter(BlockCounter.ROWS) == 2
    assert not read(board, slot=2, at=at, area=WIDER, owner="wider").words.any()


@pytest.mark.parametrize("at", [AT - WIDER.words, AT + AREA.words])
def test_areas_side_by_side_leave_each_other_alone(board, at):
    count_rows(board, opened(board), [(0.5, 0)])
    opened(board, slot=2, at=at, area=WIDER, owner="wider")[:] = -1
    expected = opened(board, 1)
    count_rows(board, expected, [(0.5, 0)])
    assert read(board).words.tolist() == (2 * expected).tolist()


def test_an_area_that_moves_starts_at_zero(board):
    count_rows(board, opened(board), [(0.5, 0)])
    assert not opened(board, at=AT + 1).any()
    assert not read(board).words.any()


def test_another_layout_at_the_same_place_is_not_taken_for_the_area(board):
    count_rows(board, opened(board), [(0.5, 0)])
    assert not read(board, area=AreaLayout(AREA.columns, AREA.measures, 1)).words.any()


@pytest.mark.parametrize(
    "wrong", [{"slot": -1}, {"slot": 4}, {"at": -1}, {"at": 1001 - AREA.words}]
)
def test_what_the_arena_does_not_have_is_neither_opened_nor_read(board, wrong):
    with pytest.raises(IndexError, match="no w"):
        opened(board, **wrong)
    with pytest.raises(IndexError, match="no w"):
        read(board, **wrong)


def test_the_last_words_of_the_arena_can_be_used(board):
    at = 1000 - AREA.words
    opened(board, at=at)[:] = 5
    assert read(board, at=at).counter(WatchCounter.UNPAIRED) == 5


def test_a_board_without_an_arena_has_no_areas(kernels):
    board = Board.allocate(BoardLayout(workers=1, cells=1, model_rows=1), kernels)
    with pytest.raises(IndexError, match="the arena has 0"):
        opened(board, at=0)


def test_areas_stay_inside_their_arena_and_leave_the_rest_of_the_board_alone(board):
    before = board.snapshot()
    opened(board, at=0)[:] = -1
    opened(board, slot=2, at=1000 - AREA.words, owner="last")[:] = -1
    after = board.snapshot()
    for table in ("workers", "models", "counters", "sums"):
        np.testing.assert_array_equal(getattr(before, table), getattr(after, table))
    neighbour = SliceView.of(board.layout, board._slice(1))
    assert not neighbour.arena.any()
    assert not neighbour.watches.any()


SNAPSHOTS_WHILE_COUNTING = """
import os
import numpy as np
from harness.counting import numeric
from sidecar.board import Board, BoardLayout
from sidecar.sketch import AreaLayout, BlockCounter, ColumnTable, WatchCounter

ROWS, LOOKS = 64, 200
area = AreaLayout((numeric("x", summed=(0, 4)), numeric("y")), (), 2)
board = Board.allocate(BoardLayout(workers=1, cells=1, model_rows=1, arena_words=area.words))
place = {"slot": 0, "at": 0, "owner": "iris"}
words = board.recorder(0).open_area(words=area.words, **place)
parent, child = os.getpid(), os.fork()
if not child:
    table = ColumnTable.of_columns(area)
    values = np.full((ROWS, 2), 3.0)
    zeros, bases = np.zeros(ROWS, np.int64), np.full((ROWS, 1), area.block_at(0))
    # The reader says there when it has seen enough.
    while not words[WatchCounter.SHED] and os.getppid() == parent:
        table.count(board.kernels.count_values, values, bases, zeros, zeros, words, zeros.copy())
        words[WatchCounter.READ] += 1
    os._exit(0)
last = board.read_area(area, **place)
changes = 0
while changes < LOOKS:
    now = board.read_area(area, **place)
    now.since(last)  # raises when a number fell
    changes += now != last
    last = now
words[WatchCounter.SHED] = 1
os.waitpid(child, 0)
final = board.read_area(area, **place)
block, rows = final.block(0), ROWS * final.counter(WatchCounter.READ)
found = [block.counter(BlockCounter.ROWS), *(block.distribution(name).rows for name in ("x", "y"))]
print(found == [rows] * 3)
"""


def test_no_number_falls_while_a_worker_counts():
    # A process of its own: forking one that has threads (pytest's plugins may) is deprecated.
    path = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-c", SNAPSHOTS_WHILE_COUNTING],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True, text=True, timeout=25, check=True,
    )  # fmt: skip
    assert ran.stdout.split() == ["True"]
