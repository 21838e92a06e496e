"""What the journal has to hold, as a worker's slice says it, across the deaths of its processes."""

from sidecar.board import Board, BoardLayout, CellCounter
from sidecar.model import DropReason

OK = CellCounter.STATUS_2XX
ABORTED = CellCounter.ABORTED
QUEUE_FULL = CellCounter.of_drop(DropReason.QUEUE_FULL)


def board(kernels, workers=1):
    return Board.allocate(BoardLayout(workers=workers, cells=4, model_rows=1), kernels)


def answer(recorder, cell, counter=OK, times=1):
    for _ in range(times):
        recorder.record(cell, counter, 1_000_000, -1, -1, -1)
    recorder.flush()


def test_every_ending_is_owed_to_the_journal_but_what_was_sampled_out_or_dropped(kernels):
    one = board(kernels)
    recorder = one.recorder(0)
    answer(recorder, 2, OK, times=5)
    answer(recorder, 2, ABORTED)
    recorder.count(2, CellCounter.RETRIES, 7)
    recorder.count(2, CellCounter.RECORDS_SAMPLED_OUT)
    recorder.count(2, QUEUE_FULL, 2)
    accounts = one.accounts()
    assert accounts.owed(0, 2) == 3
    assert accounts.owed(0, 1) == 0


def test_a_new_run_writes_down_what_the_one_before_it_owed(kernels):
    one = board(kernels)
    one.take_over(0, 11)
    recorder = one.recorder(0)
    answer(recorder, 1, times=4)
    recorder.count(1, QUEUE_FULL)
    one.take_over(0, 12)
    answer(one.recorder(0), 1, times=10)
    accounts = one.accounts()
    assert accounts.runs == (12,)
    assert accounts.owed_before(0, 1) == 3
    assert accounts.owed(0, 1) == 13


def test_a_run_after_another_adds_up_though_nobody_looked_in_between(kernels):
    one = board(kernels)
    for run in range(1, 5):
        one.take_over(0, run)
        answer(one.recorder(0), 1, times=run)
    assert one.accounts().owed_before(0, 1) == 1 + 2 + 3


def test_workers_owe_for_themselves(kernels):
    two = board(kernels, workers=2)
    two.take_over(0, 5)
    two.take_over(1, 6)
    answer(two.recorder(1), 0)
    accounts = two.accounts()
    assert accounts.runs == (5, 6)
    assert (accounts.owed(0, 0), accounts.owed(1, 0)) == (0, 1)


def test_what_a_cell_owed_is_forgotten_with_its_owner(kernels):
    one = board(kernels)
    recorder = one.recorder(0)
    recorder.assign_cell(1, "r stable primary")
    answer(recorder, 1, times=3)
    one.take_over(0, 2)
    recorder.assign_cell(1, "r other primary")
    assert one.accounts().owed(0, 1) == one.accounts().owed_before(0, 1) == 0
