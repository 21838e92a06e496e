import pytest

from sidecar.board import Board, BoardLayout, CellCounter, ModelGauge, WorkerGauge
from sidecar.board.recorder import PENDING_ROWS

OK = CellCounter.STATUS_2XX


def test_a_record_is_on_the_board_after_a_flush(board):
    recorder = board.recorder(0)
    recorder.record(1, OK, 4_000_000, 3_000_000, 2_000_000, 1_000_000)
    assert board.snapshot().counter(1, OK) == 0
    recorder.flush()
    snapshot = board.snapshot()
    assert snapshot.counter(1, OK) == 1
    for column, value in (("total", 4), ("upstream", 3), ("first_byte", 2), ("overhead", 1)):
        counted = snapshot.histogram(1, column)
        assert (counted.count, counted.total) == (1, value * 1_000_000)
        assert counted.quantile(0.5).lower == value * 1_000_000


def test_records_reach_the_board_by_themselves_when_enough_are_pending(board):
    recorder = board.recorder(0)
    for _ in range(PENDING_ROWS - 1):
        recorder.record(0, OK, 1000, -1, -1, -1)
    assert board.snapshot().counter(0, OK) == 0
    recorder.record(0, OK, 1000, -1, -1, -1)
    assert board.snapshot().counter(0, OK) == PENDING_ROWS


def test_no_record_is_lost_or_counted_twice_whatever_the_flushes(board):
    recorder = board.recorder(0)
    for number in range(1000):
        recorder.record(number % 4, OK, 20_000 + number, -1, -1, -1)
        if number % 77 == 0:
            recorder.flush()
    recorder.flush()
    recorder.flush()
    snapshot = board.snapshot()
    assert [snapshot.counter(cell, OK) for cell in range(4)] == [250] * 4
    total = sum(snapshot.histogram(cell, "total").total for cell in range(4))
    assert total == sum(20_000 + number for number in range(1000))


def test_a_record_without_a_cell_is_counted_nowhere(board):
    recorder = board.recorder(0)
    recorder.record(-1, OK, 1, 1, 1, 1)
    recorder.count(-1, OK)
    recorder.flush()
    assert not board.snapshot().counters.any()


def test_rare_counters_are_on_the_board_at_once(board):
    recorder = board.recorder(1)
    recorder.count(2, CellCounter.RETRIES)
    recorder.count(2, CellCounter.SHADOW_TIMEOUT, 3)
    snapshot = board.snapshot()
    assert snapshot.counter(2, CellCounter.RETRIES) == 1
    assert snapshot.counter(2, CellCounter.SHADOW_TIMEOUT) == 3
    assert snapshot.counters.sum() == 4


def test_numbers_of_a_worker_are_added_to_and_set(board):
    recorder = board.recorder(1)
    recorder.add_worker(WorkerGauge.IN_FLIGHT, 3)
    recorder.add_worker(WorkerGauge.IN_FLIGHT, -1)
    recorder.set_worker(WorkerGauge.ROUTING_VERSION, 12)
    snapshot = board.snapshot()
    assert snapshot.workers[1, WorkerGauge.IN_FLIGHT] == 2
    assert snapshot.workers[1, WorkerGauge.ROUTING_VERSION] == 12
    assert not snapshot.workers[0].any()


def test_numbers_of_a_model_stand_in_its_row(board):
    recorder = board.recorder(0)
    recorder.add_model(2, ModelGauge.CONNECTS)
    recorder.set_model(1, ModelGauge.BREAKER, 2)
    snapshot = board.snapshot()
    assert snapshot.model_sum(2, ModelGauge.CONNECTS) == 1
    assert snapshot.model_sum(1, ModelGauge.BREAKER) == 2
    assert snapshot.models.sum() == 3


def test_a_reset_cell_is_empty_and_its_neighbours_are_not(board):
    recorder = board.recorder(0)
    for cell in range(3):
        recorder.record(cell, OK, 50_000, 50_000, 50_000, 50_000)
    recorder.reset_cell(1)
    recorder.flush()
    snapshot = board.snapshot()
    assert [snapshot.counter(cell, OK) for cell in range(3)] == [1, 0, 1]
    assert snapshot.histogram(1, "total").count == 0
    assert snapshot.histogram(2, "total").count == 1
    assert not snapshot.sums[1].any()


@pytest.mark.parametrize("index", [-1, 4])
def test_what_the_board_does_not_have_has_no_owner_and_cannot_be_reset(board, index):
    recorder = board.recorder(0)
    with pytest.raises(IndexError, match="no cell"):
        recorder.reset_cell(index)
    with pytest.raises(IndexError, match="no cell"):
        recorder.assign_cell(index, "iris stable primary")
    with pytest.raises(IndexError, match="no model row"):
        recorder.assign_model(index, "stable")


def test_a_cell_of_the_same_owner_goes_on_and_one_of_a_new_owner_starts_at_zero(board):
    board.recorder(0).assign_cell(0, "iris stable primary")
    board.recorder(0).assign_cell(1, "iris next canary")
    before = board.recorder(0)
    for cell in (0, 1):
        before.record(cell, OK, 50_000, -1, -1, -1)
    before.flush()

    after_restart = board.recorder(0)
    after_restart.assign_cell(0, "iris stable primary")
    after_restart.assign_cell(1, "iris other canary")

    snapshot = board.snapshot()
    assert [snapshot.counter(cell, OK) for cell in (0, 1)] == [1, 0]
    assert [snapshot.histogram(cell, "total").count for cell in (0, 1)] == [1, 0]


def test_exchanges_still_pending_when_a_cell_changes_hands_are_not_the_new_owners(board):
    recorder = board.recorder(0)
    recorder.assign_cell(0, "iris next canary")
    recorder.record(0, OK, 50_000, -1, -1, -1)
    recorder.assign_cell(0, "iris other canary")
    recorder.flush()
    assert board.snapshot().counter(0, OK) == 0


def test_a_model_row_changes_hands_like_a_cell(board):
    recorder = board.recorder(0)
    for row, name in enumerate(["stable", "next"]):
        recorder.assign_model(row, name)
        recorder.add_model(row, ModelGauge.CONNECTS, 5)
    recorder.assign_model(0, "stable")
    recorder.assign_model(1, "other")
    snapshot = board.snapshot()
    assert [snapshot.model_sum(row, ModelGauge.CONNECTS) for row in (0, 1)] == [5, 0]


def test_a_worker_that_takes_over_goes_on_counting_from_gauges_at_zero(board):
    before = board.recorder(0)
    before.record(0, OK, 50_000, -1, -1, -1)
    before.flush()
    before.add_worker(WorkerGauge.IN_FLIGHT, 7)
    before.add_worker(WorkerGauge.ACCEPTED, 9)
    before.add_model(0, ModelGauge.CONNECTIONS, 4)
    before.add_model(0, ModelGauge.CONNECTS, 6)

    after = board.recorder(0)
    after.reset_gauges()
    after.record(0, OK, 50_000, -1, -1, -1)
    after.add_worker(WorkerGauge.ACCEPTED)
    after.flush()

    snapshot = board.snapshot()
    assert snapshot.counter(0, OK) == 2
    assert snapshot.histogram(0, "total").count == 2
    assert snapshot.worker_sum(WorkerGauge.IN_FLIGHT) == 0
    assert snapshot.worker_sum(WorkerGauge.ACCEPTED) == 10
    assert snapshot.model_sum(0, ModelGauge.CONNECTIONS) == 0
    assert snapshot.model_sum(0, ModelGauge.CONNECTS) == 6


def test_a_full_buffer_of_the_largest_board_row_stays_inside_its_slice(kernels):
    board = Board.allocate(BoardLayout(workers=3, cells=2, model_rows=1), kernels)
    middle = board.recorder(1)
    for _ in range(PENDING_ROWS):
        middle.record(1, CellCounter.SHADOW_BROKEN, *[10**13] * 4)
    snapshot = board.snapshot()
    assert snapshot.counter(1, CellCounter.SHADOW_BROKEN) == PENDING_ROWS
    assert snapshot.counters.sum() == PENDING_ROWS
    assert sum(counts.sum() for counts in snapshot.latency.values()) == 4 * PENDING_ROWS
    assert not snapshot.workers.any()
