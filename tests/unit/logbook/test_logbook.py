"""Every exchange that is entered is in the journal, or counted on the board: once, and in order."""

import pytest
from harness.logbook_desk import ERROR, KEYS, OK, Desk, ended_exchange

from sidecar.board import CellCounter
from sidecar.config.recording import CaptureSettings
from sidecar.journal import FAILURE
from sidecar.logbook import logbook as module
from sidecar.model import CellKey, DropReason, Role
from sidecar.monitor import Findings
from sidecar.monitor.exchanges import SHORT_BYTES
from sidecar.payload import Outputs

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

    def look(items):
        seen.extend(desk.counter(subject, CellCounter.STATUS_2XX) for subject, _ in items)

    desk.shelf.extend = look
    desk.enter()
    desk.enter()
    desk.run_due()
    assert seen == [2, 2]


def test_writing_pauses_after_its_slice_and_goes_on_at_once(desk):
    step_ns = module.SLICE_NS // 50

    def extend(items):
        desk.now_ns += step_ns * len(items)
        desk.shelf.taken += items

    desk.shelf.extend = extend
    for _ in range(100):
        desk.enter()
    desk.run_due()
    written = len(desk.shelf.taken)
    assert 50 <= written < 100
    assert [delay_s for delay_s, _ in desk.due] == [0.0]
    while desk.due:
        desk.run_due()
    assert len(desk.shelf.taken) == 100


def findings(*exchanges):
    said = Outputs(predictions=[7] * len(exchanges))
    return Findings(exchanges, said, [], (), [0.0] * len(exchanges))


def test_what_the_monitor_reads_is_written_in_that_moment_with_what_it_found(desk):
    read = desk.enter(request_id=b"read", awaited=True)
    desk.enter(request_id=b"unwatched")
    desk.run_due()
    assert [one.request_id for one in desk.shelf.records] == ["unwatched"]
    desk.logbook.found(findings(read))
    assert [one.request_id for one in desk.shelf.records] == ["unwatched", "read"]
    assert desk.shelf.records[1].predictions == (7,)
    assert desk.due == []


def test_what_the_monitor_leaves_is_written_soon_without_findings(desk):
    left = desk.enter(awaited=True)
    desk.logbook.left(left)
    assert desk.shelf.taken == []
    desk.run_due()
    assert [one.rows for one in desk.shelf.records] == [0]


def test_what_the_monitor_never_took_waits_for_nobody(desk):
    never = ended_exchange()
    desk.logbook.left(never)
    desk.logbook.enter(never)
    desk.run_due()
    assert len(desk.shelf.taken) == 1


def test_a_monitor_that_never_comes_back_holds_nobody_for_long(desk):
    desk.enter(awaited=True)
    desk.run_due()
    desk.logbook.tick()
    assert desk.due == []
    desk.now_ns += module.AWAITED_NS
    desk.logbook.tick()
    desk.run_due()
    assert len(desk.shelf.taken) == 1


def test_what_was_written_before_it_was_read_is_not_written_again(desk):
    late = desk.enter(awaited=True)
    desk.logbook.catch_up()
    desk.logbook.found(findings(late))
    desk.logbook.left(late)
    desk.run_due()
    assert len(desk.shelf.taken) == 1


@pytest.mark.parametrize(("unread", "kept"), [(None, True), ("shed", False)])
def test_a_large_body_that_is_still_to_be_read_is_left_to_the_monitor(desk, unread, kept):
    body = b"x" * (SHORT_BYTES + 1)
    late = desk.enter(awaited=True, body=body, unread=unread)
    desk.logbook.catch_up()
    assert len(desk.shelf.taken) == 1
    assert late.request.wire.endswith(body) is kept


def test_a_defect_in_choosing_is_counted_and_takes_no_other_record_along(desk, caplog):
    desk.enter(request_id=b"first")
    broken = desk.enter(request_id="no bytes", counter=ERROR, status=0)
    desk.enter(request_id=b"last")
    desk.run_due()
    assert [one.request_id for one in desk.shelf.records] == ["first", "last"]
    assert desk.counter(broken.cell, CellCounter.of_drop(DropReason.FAULT)) == 1
    desk.enter(request_id=b"later")
    desk.run_due()
    assert desk.shelf.records[-1].request_id == "later"


def test_catching_up_keeps_the_order_of_what_was_awaited(desk):
    for number in range(5):
        desk.enter(request_id=b"req-%d" % number, awaited=True)
    desk.logbook.catch_up()
    assert [one.request_id for one in desk.shelf.records] == [f"req-{n}" for n in range(5)]


def test_a_failure_of_an_answering_model_is_marked_as_one_in_the_journal(desk):
    desk.enter(counter=ERROR, status=0)
    desk.enter(counter=ERROR, status=0, cell=2, shadow_of="stable")
    desk.enter(counter=OK)
    desk.run_due()
    assert [subject for subject, _ in desk.shelf.taken] == [0 | FAILURE, 2, 0]


def test_more_than_may_wait_is_written_at_once_whether_it_was_read_or_not(desk):
    most = module.MOST_WAITING_BYTES // module.EXCHANGE_BYTES
    for _ in range(most // 2):
        desk.enter(awaited=True, request_bytes=0, answer_bytes=0)
        desk.enter(request_bytes=0, answer_bytes=0)
    assert desk.shelf.taken == []
    desk.enter()
    assert len(desk.shelf.taken) == most + 1


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
