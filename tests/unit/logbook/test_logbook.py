"""Every exchange that is entered is in the journal, or counted on the board: once, and in order."""

import pytest
from harness.logbook_desk import ERROR, KEYS, OK, Desk

from sidecar.board import CellCounter
from sidecar.config.recording import CaptureSettings
from sidecar.logbook import logbook as module
from sidecar.model import CellKey, DropReason, Role

SAMPLED_OUT = CellCounter.RECORDS_SAMPLED_OUT


def test_nothing_is_written_while_the_request_is_served_and_everything_soon_after(desk):
    for number in range(3):
        desk.enter(request_id=b"req-%d" % number)
    assert desk.shelf.taken == []
    assert [delay_s for delay_s, _ in desk.due] == [module.DELAY_S]
    desk.run_due()
    assert [one.request_id for one in desk.shelf.records] == ["req-0", "req-1", "req-2"]
    assert desk.due == []


def test_an_exchange_is_on_the_board_before_its_record_is_in_the_journal(desk):
    """Else a worker that is killed in between would have logged more than it counted."""
    seen = []
    append = desk.shelf.append

    def look(subject, payload):
        seen.append(desk.counter(subject, CellCounter.STATUS_2XX))
        return append(subject, payload)

    desk.shelf.append = look
    desk.enter()
    desk.enter()
    desk.run_due()
    assert seen == [2, 2]


def test_writing_pauses_after_its_slice_and_goes_on_at_once(desk):
    step_ns = module.SLICE_NS // 20

    def append(subject, payload):
        desk.now_ns += step_ns
        desk.shelf.taken.append((subject, payload))
        return True

    desk.shelf.append = append
    for _ in range(100):
        desk.enter()
    desk.run_due()
    written = len(desk.shelf.taken)
    assert 20 <= written < 100
    assert [delay_s for delay_s, _ in desk.due] == [0.0]
    while desk.due:
        desk.run_due()
    assert len(desk.shelf.taken) == 100


def test_what_the_monitor_is_still_to_read_is_waited_for_and_keeps_the_order(desk):
    first = desk.enter(request_id=b"first", awaited=True)
    desk.enter(request_id=b"second")
    desk.run_due()
    assert desk.shelf.taken == []
    first.awaited = False
    desk.run_due()
    assert [one.request_id for one in desk.shelf.records] == ["first", "second"]


def test_a_monitor_that_never_comes_back_holds_nobody_for_long(desk):
    desk.enter(awaited=True)
    desk.run_due()
    desk.now_ns += module.AWAITED_NS
    desk.run_due()
    assert len(desk.shelf.taken) == 1


def test_more_than_may_wait_is_written_at_once_whether_it_was_read_or_not(desk):
    for _ in range(module.MOST_WAITING):
        desk.enter(awaited=True)
    assert desk.shelf.taken == []
    desk.enter()
    assert len(desk.shelf.taken) == module.MOST_WAITING + 1


def test_large_bodies_do_not_pile_up_in_memory(desk):
    for _ in range(3):
        desk.enter(awaited=True, request_bytes=module.MOST_WAITING_BYTES // 3 + 1)
    assert len(desk.shelf.taken) == 3


def test_what_the_journal_refuses_is_counted_once_in_the_cell_of_the_exchange(desk):
    desk.shelf.refuses = DropReason.DISK_FULL
    desk.enter(cell=1)
    desk.enter(cell=1)
    desk.run_due()
    for _ in range(3):
        desk.logbook.tick()
    assert desk.counter(1, CellCounter.of_drop(DropReason.DISK_FULL)) == 2
    assert desk.counter(0, CellCounter.of_drop(DropReason.DISK_FULL)) == 0


def test_a_share_of_the_exchanges_is_recorded_and_the_others_are_counted(kernels):
    desk = Desk(kernels, capture=CaptureSettings(records=0.25))
    for number in range(2000):
        desk.enter(request_id=b"req-%d" % number)
    desk.logbook.catch_up()
    recorded = len(desk.shelf.taken)
    assert 400 < recorded < 600
    assert desk.counter(0, SAMPLED_OUT) == 2000 - recorded


def test_failures_are_recorded_whatever_the_share(kernels):
    desk = Desk(kernels, capture=CaptureSettings(records=0))
    desk.enter(counter=ERROR, status=0)
    desk.enter(counter=OK)
    desk.run_due()
    assert [one.outcome.value for one in desk.shelf.records] == ["error"]
    assert desk.counter(0, SAMPLED_OUT) == 1


def test_a_request_and_its_copies_share_the_fate_of_being_sampled(kernels):
    desk = Desk(kernels, capture=CaptureSettings(records=0.5))
    for number in range(200):
        desk.enter(request_id=b"req-%d" % number)
        desk.enter(request_id=b"req-%d" % number, cell=2)
    desk.logbook.catch_up()
    primaries = {one.request_id for one in desk.shelf.records if one.role is Role.PRIMARY}
    shadows = {one.request_id for one in desk.shelf.records if one.role is Role.SHADOW}
    assert primaries == shadows
    assert 50 < len(primaries) < 150


def test_a_defect_in_composing_is_counted_logged_without_payload_and_ends_nothing(desk, caplog):
    broken = desk.enter(request_id=b"broken")
    broken.counter = 99  # no outcome
    desk.enter(request_id=b"sound")
    desk.run_due()
    assert [one.request_id for one in desk.shelf.records] == ["sound"]
    assert desk.counter(0, CellCounter.of_drop(DropReason.FAULT)) == 1
    assert len(caplog.records) == 1


def test_what_was_entered_is_written_for_those_whose_cell_it_was(desk):
    desk.enter(cell=1, request_id=b"old")
    other = CellKey(route="r", model="other", role=Role.CANARY)
    desk.install(keys=(KEYS[0], other, KEYS[2]))
    desk.enter(cell=1, request_id=b"new")
    desk.run_due()
    assert [(one.request_id, one.model) for one in desk.shelf.records] == [
        ("old", "next"),
        ("new", "other"),
    ]
    assert desk.shelf.tables[-1][1] == other


def test_exchanges_of_a_cell_that_nobody_has_any_more_are_still_recorded(desk):
    desk.install(keys=(KEYS[0], None, KEYS[2]))
    desk.enter(cell=1)
    desk.run_due()
    assert [one.model for one in desk.shelf.records] == ["next"]


@pytest.mark.parametrize("cell", [-1, 3])
def test_what_has_no_cell_on_the_board_is_neither_counted_nor_recorded(desk, cell):
    desk.enter(cell=cell, count=False)
    desk.run_due()
    assert desk.shelf.taken == []


def test_a_policy_keeps_what_it_has_learned_while_its_route_stays_the_same(desk):
    before = desk.logbook._by_cell[0].policy
    desk.install()
    assert desk.logbook._by_cell[0].policy is before
    desk.install(capture=CaptureSettings(bodies=0.5))
    assert desk.logbook._by_cell[0].policy is not before
