"""The queue: bounded, fair when it must leave something out; every exchange accounted for."""

import json
import random

import numpy as np
import pytest
from harness.counting import numeric
from harness.observing import (
    AREA_WORDS,
    Bench,
    balanced,
    counters,
    features,
    inference,
    plan,
    probabilities,
    shadow_watch,
    watch,
)
from scipy.stats import kstest

from sidecar.errors import ConfigError
from sidecar.model import CellKey, Role
from sidecar.monitor import Capture, Ticket
from sidecar.monitor.capture import Loss
from sidecar.sketch import BlockCounter, WatchCounter

ANSWER = probabilities(0.9)
BODY = inference([[0.1, 0.2, 0.3]])


def test_nothing_is_read_on_the_request_path():
    bench = Bench(watch())
    for _ in range(10):
        assert bench.offer(BODY, ANSWER)
    assert bench.monitor.watchers[0].counters[WatchCounter.READ] == 0
    assert counters(bench.area()) == {"OFFERED": 10, "READ": 10}


def test_cells_that_are_not_watched_have_no_watcher_and_neither_has_cell_minus_one():
    bench = Bench(watch(slot=0))
    other = CellKey(route="other", model="m", role=Role.PRIMARY)
    bench.monitor.install(plan(watch()), [other, watch().key, None])
    watchers = bench.monitor.watchers
    assert [one is None for one in watchers] == [True, False, True, True]
    assert watchers[-1] is None


def test_cells_change_hands_with_the_routing_and_never_get_fewer():
    bench = Bench(watch())
    mine = bench.monitor.watchers[0]
    bench.monitor.remap([None, None, watch().key])
    assert bench.monitor.watchers == [None, None, mine, None]
    bench.monitor.remap([watch().key])
    assert bench.monitor.watchers == [mine, None, None, None]


def test_when_monitoring_is_off_nobody_is_watched():
    bench = Bench(watch(), settings={"enabled": False})
    assert set(bench.monitor.watchers) == {None}


@pytest.mark.parametrize(("settings", "fits"), [
    ({"pending": 7}, 7),
    ({"pending_bytes": 5 * (len(BODY) + len(ANSWER) + 60)}, 5),
])  # fmt: skip
def test_what_waits_is_bounded_in_number_and_bytes_and_the_rest_is_counted(settings, fits):
    bench = Bench(watch(), settings=settings)
    taken = [bench.offer(BODY, ANSWER) for _ in range(20)]
    assert taken == [True] * fits + [False] * (20 - fits)
    area = bench.area()
    assert counters(area) == {"OFFERED": 20, "READ": fits, "QUEUE_FULL": 20 - fits}
    assert all(bench.offer(BODY, ANSWER) for _ in range(fits))  # there is room again


def test_bytes_that_were_taken_are_given_back_whatever_becomes_of_exchanges():
    bench = Bench(watch(), shadow_watch(), settings={"pending": 50, "max_cpu_share": 0.001})
    room = bench.monitor._room.left
    rng = random.Random(1)
    for _ in range(300):
        bench.costs_ns = rng.choice([0, 10_000, 1_000_000])
        ticket = Ticket(bench.request(inference([[0.1] * rng.choice([1, 3, 2000])])))
        capture = bench.monitor.capture()
        capture.take_answer(ANSWER)
        parts = [
            lambda ticket=ticket: bench.offer(b"", ANSWER, ticket=ticket),
            lambda ticket=ticket: bench.offer(b"", ANSWER, ticket=ticket, to=1),
            lambda: bench.offer(BODY[:-1], ANSWER),
            lambda capture=capture: bench.offer(BODY, capture=capture),
        ]
        rng.shuffle(parts)
        for part in parts:
            part()
        bench.turn(rng.choice([0, 1, 5]))
    bench.turn()
    assert bench.monitor._room.left == room
    assert balanced(bench.area(0))
    assert balanced(bench.area(1))


def test_reading_goes_on_in_slices_and_the_loop_has_its_turn_between_them():
    bench = Bench(watch())
    bench.costs_ns = 100_000  # one look at the clock per exchange
    for _ in range(50):
        bench.offer(BODY, ANSWER)
    assert bench.turn() >= 10
    assert bench.monitor.watchers[0].counters[WatchCounter.READ] == 50


def many_at_once(bench: Bench) -> None:
    """Let exchanges wait that are read at once, by the shape of one that was read before."""
    bench.offer(BODY, ANSWER)
    bench.turn()
    for _ in range(50):
        bench.offer(BODY, ANSWER)


def test_the_loop_has_its_turn_between_the_steps_of_reading_many_at_once():
    turns = []
    for costs_ns in (0, 200_000):
        bench = Bench(watch())
        many_at_once(bench)
        bench.costs_ns = costs_ns
        turns.append(bench.turn())
        assert bench.monitor.watchers[0].counters[WatchCounter.READ] == 51
    assert turns[1] >= turns[0] + 2


def test_what_is_being_read_by_a_watch_that_goes_is_read_to_its_end():
    bench = Bench(watch())
    many_at_once(bench)
    counted = bench.monitor.watchers[0].counters
    bench.costs_ns = 200_000
    bench.turn(3)
    assert bench.monitor._steps is not None
    bench.install(watch(columns=[numeric("x", (0.0, 1.0))], slot=1))
    assert counted[WatchCounter.READ] == 51
    bench.turn()
    assert bench.offer(BODY, ANSWER)


def test_beyond_the_budget_a_sample_is_read_and_the_rest_is_counted_as_shed():
    bench = Bench(watch(), settings={"max_cpu_share": 0.01})
    bench.costs_ns = 50_000
    for _ in range(20):
        for _ in range(200):
            bench.offer(BODY, ANSWER)
        bench.turn()
        bench.elapsed_ns += 10_000_000
    found = counters(bench.area())
    assert found["OFFERED"] == 4000
    assert found["SHED"] > found["READ"] > 20
    assert balanced(bench.area())


def test_what_is_read_of_too_much_is_a_fair_sample_of_it():
    column = numeric("x", tuple(np.linspace(0, 1, 201)))
    bench = Bench(watch([column]), settings={"max_cpu_share": 0.05}, with_sink=True)
    bench.costs_ns = 400_000  # of each look at the clock: a slice reads 256 between two
    for _ in range(40):
        for place in range(300):  # a value that says where in its round an exchange stood
            bench.offer(inference([[(place + 0.5) / 300]]), ANSWER)
        bench.turn()
        bench.elapsed_ns += 100_000_000
    wires = [one.ended.request.wire for one in bench.told]
    read = [json.loads(wire[wire.index(b"{") :])["inputs"][0]["data"][0] for wire in wires]
    assert 300 < len(read) < 6000
    assert kstest(read, "uniform").pvalue > 1e-4
    assert bench.area().block(0).distribution("x").rows == len(read)


def test_a_shadow_shares_the_fate_of_its_exchange():
    bench = Bench(watch(), shadow_watch(), settings={"max_cpu_share": 0.01})
    bench.costs_ns = 100_000
    for number in range(500):
        ticket = Ticket(bench.request(BODY))
        order = (0, 1) if number % 2 else (1, 0)
        for to in order:
            bench.offer(b"", ANSWER, ticket=ticket, to=to)
            if number % 3 == 0:
                bench.turn()
        if number % 100 == 0:
            bench.elapsed_ns += 200_000_000
    primary, shadow = counters(bench.area(0)), counters(bench.area(1))
    assert primary["SHED"] == shadow["SHED"] > 0
    assert primary["READ"] == shadow["READ"] == shadow["PAIRED"] == shadow["AGREED"] > 0


def test_a_primary_that_found_no_place_leaves_its_shadow_unpaired():
    bench = Bench(watch(), shadow_watch(), settings={"pending": 1})
    ticket = Ticket(bench.request(BODY))
    assert bench.offer(b"", ANSWER, ticket=ticket, to=1)
    assert not bench.offer(b"", ANSWER, ticket=ticket, to=0)
    assert counters(bench.area(1)) == {"OFFERED": 1, "READ": 1, "UNPAIRED": 1}


@pytest.mark.parametrize(("loss", "counter"), [
    (Loss.NO_ROOM, "QUEUE_FULL"), (Loss.SHED, "SHED"), (Loss.BROKEN, "UNREAD_SHAPE"),
])  # fmt: skip
def test_an_exchange_whose_body_was_lost_on_the_way_is_counted_by_the_reason(loss, counter):
    bench = Bench(watch())
    capture = bench.monitor.capture()
    capture.answer.lose(loss)
    assert not bench.offer(BODY, capture=capture)
    assert counters(bench.area()) == {"OFFERED": 1, counter: 1}


def test_a_codec_with_a_bug_is_counted_logged_once_and_stops_nothing(caplog):
    bench = Bench(watch())
    codec = bench.monitor.watchers[0].bodies.codec
    original = codec.read_request

    def broken(body):
        if b"secret" in body.data:
            raise KeyError("secret payload")
        return original(body)

    codec.read_request = broken
    for _ in range(3):
        bench.offer(b'{"secret": 1}', ANSWER)
        bench.offer(BODY, ANSWER)
    area = bench.area()
    assert counters(area) == {"OFFERED": 6, "READ": 3, "UNREAD_SHAPE": 3}
    assert area.block(0).counter(BlockCounter.REQUESTS) == 3
    (record,) = caplog.records
    assert "secret" not in caplog.text
    assert record.kind == "KeyError"


def test_a_kernel_with_a_bug_stops_nothing(caplog):
    bench = Bench(watch(), watch(model="next", slot=1))

    def broken(*_):
        raise ValueError("a bug")

    bench.monitor.watchers[0].batch._count_values = broken
    for to in (0, 1):
        bench.offer(BODY, ANSWER, to=to)
    assert bench.area(1).block(0).counter(BlockCounter.ROWS) == 1
    assert len(caplog.records) == 1


def test_everything_that_waits_is_read_when_the_worker_ends():
    bench = Bench(watch(learn=10), settings={"max_cpu_share": 0.0001})
    for _ in range(5):
        bench.offer(BODY, ANSWER)
    bench.monitor.drain()
    assert counters(bench.area()) == {"OFFERED": 5, "READ": 5}
    assert sum(len(chunk["rows"]) for chunk in bench.learned) == 5


# -- plans that change -----------------------------------------------------------------------------


def test_a_plan_that_cannot_be_changes_nothing():
    bench = Bench(watch())
    bench.offer(BODY, ANSWER)
    before = bench.area()
    mine = bench.monitor.watchers[0]
    for bad in (
        watch(slot=99),
        watch(at=16 * AREA_WORDS),
        watch((*watch().columns, *features(1))),
        watch(columns=(numeric("a"), numeric("a"))),
    ):
        good = watch(model="next", slot=0, owner="somebody else")
        with pytest.raises(ConfigError, match=r"cannot observe stable \(primary\) on route all"):
            bench.install(good, bad)
        bench.watches = (watch(),)
        assert bench.monitor.watchers[0] is mine
        assert bench.area() == before


def test_a_watch_that_stays_as_it_was_keeps_its_watcher_and_its_numbers():
    bench = Bench(watch())
    bench.offer(BODY, ANSWER)
    bench.turn()
    mine = bench.monitor.watchers[0]
    bench.install(watch(), watch(model="next", slot=1), version=2)
    assert bench.monitor.watchers[0] is mine
    assert counters(bench.area()) == {"OFFERED": 1, "READ": 1}


def test_a_watch_of_the_same_owner_goes_on_counting():
    bench = Bench(watch(learn=10))
    bench.offer(BODY, ANSWER)
    bench.turn()
    bench.install(watch(learn=0))
    bench.offer(BODY, ANSWER)
    area = bench.area()
    assert counters(area) == {"OFFERED": 2, "READ": 2}
    assert area.block(0).counter(BlockCounter.ROWS) == 2


@pytest.mark.parametrize("successor", [[watch(learn=5)], []])
def test_exchanges_that_wait_for_a_watch_that_changes_or_goes_are_shed(successor):
    bench = Bench(watch())
    room = bench.monitor._room.left
    for _ in range(3):
        bench.offer(BODY, ANSWER)
    bench.install(*successor)
    assert bench.monitor._room.left == room
    bench.install(watch())  # comes back, to the numbers it had
    bench.offer(BODY, ANSWER)
    assert counters(bench.area()) == {"OFFERED": 4, "READ": 1, "SHED": 3}


def test_what_was_read_before_the_plan_changed_is_on_the_board():
    bench = Bench(watch())
    bench.offer(BODY, ANSWER)
    bench.turn()
    before = bench.watches
    bench.install(watch(model="next", slot=1))
    bench.watches = before
    assert bench.area().block(0).distribution("f0").rows == 1


def test_a_comparison_that_ends_after_its_watch_was_replaced_touches_no_area_of_others():
    bench = Bench(watch(), shadow_watch())
    ticket = Ticket(bench.request(BODY))
    bench.offer(b"", ANSWER, ticket=ticket, to=1)
    bench.turn()
    heir = shadow_watch(owner="somebody else")
    first = bench.watches
    bench.install(watch(), shadow_watch(slot=2))
    bench.watches = first
    assert counters(bench.area(1)) == {"OFFERED": 1, "READ": 1, "UNPAIRED": 1}
    bench.install(watch(), heir)
    bench.offer(b"", ANSWER, ticket=ticket, to=0)
    assert counters(bench.area(0)) == {"OFFERED": 1, "READ": 1}
    assert counters(bench.area(1)) == {}


def test_exchanges_of_other_watches_go_on_waiting():
    bench = Bench(watch(), watch(model="next", slot=1))
    for to in (0, 1):
        bench.offer(BODY, ANSWER, to=to)
    bench.install(watch(learn=5), watch(model="next", slot=1))
    assert counters(bench.area(0)) == {"OFFERED": 1, "SHED": 1}
    assert counters(bench.area(1)) == {"OFFERED": 1, "READ": 1}


def test_bounds_change_with_the_plan_and_what_is_held_stays_accounted_for():
    bench = Bench(watch())
    bench.offer(BODY, ANSWER)
    held = bench.monitor._pending[0].held_bytes
    capture: Capture = bench.monitor.capture()
    capture.take_answer(b"x" * 100)
    bench.install(watch(), settings={"pending_bytes": 1000})
    assert bench.monitor._room.left == 1000 - held - 100
    capture.release()
    bench.turn()
    assert bench.monitor._room.left == 1000


# -- who is told -----------------------------------------------------------------------------------


def test_a_sink_is_told_of_each_exchange_with_its_score():
    bench = Bench(watch(), with_sink=True)
    bench.offer(BODY, ANSWER)
    bench.offer(inference([[99.0, 0.2, 0.3]]), ANSWER, status=500)
    bench.turn()
    usual, unusual = bench.told
    assert (usual.unusual, unusual.unusual) == (0.0, 0.5)
    assert usual.outputs.scores == [0.9]
    assert unusual.outputs is None
    assert unusual.ended.status == 500
    assert list(unusual.ended.request.inputs.rows[0]) == [99.0, 0.2, 0.3]
    assert bench.left_unread == []


def test_a_sink_that_fails_once_is_told_the_right_scores_of_all_others(monkeypatch):
    bench = Bench(watch(), with_sink=True)
    found = bench.found

    def fails(findings):
        monkeypatch.setattr(bench, "found", found)
        raise RuntimeError("a defect")

    monkeypatch.setattr(bench, "found", fails)
    for strange in (0.1, 99.0, 0.1, 99.0):
        bench.offer(inference([[strange, 0.2, 0.3]]), ANSWER)
        bench.turn()
    assert [one.unusual for one in bench.told] == [0.5, 0.0, 0.5]


def test_a_request_that_cannot_be_counted_takes_nobody_elses_score(monkeypatch):
    bench = Bench(watch(), with_sink=True)
    batch = bench.monitor.watchers[0].batch
    add = batch.add

    def fails(*record):
        monkeypatch.setattr(batch, "add", add)
        raise RuntimeError("a defect")

    monkeypatch.setattr(batch, "add", fails)
    for strange in (0.1, 99.0, 0.1):
        bench.offer(inference([[strange, 0.2, 0.3]]), ANSWER)
        bench.turn()
    assert [one.unusual for one in bench.told] == [0.5, 0.0]
    assert len(bench.left_unread) == 1


def test_what_is_being_read_takes_places_in_the_queue():
    bench = Bench(watch(), settings={"pending": 51})
    many_at_once(bench)
    bench.costs_ns = 200_000
    bench.turn(3)
    assert bench.monitor._steps is not None
    assert bench.offer(BODY, ANSWER)
    assert not bench.offer(BODY, ANSWER)
    bench.turn()
    assert bench.offer(BODY, ANSWER)


def test_a_sink_is_told_of_what_is_left_unread_and_of_nothing_twice():
    bench = Bench(watch(), settings={"max_cpu_share": 0.05}, with_sink=True)
    bench.costs_ns = 400_000
    for _ in range(10):
        for _ in range(300):
            bench.offer(BODY, ANSWER)
        bench.offer(b"{", ANSWER)
        bench.turn()
        bench.elapsed_ns += 100_000_000
    told = [id(one.ended) for one in bench.told]
    left = [id(one) for one in bench.left_unread]
    assert told
    assert {one.unread for one in bench.left_unread} == {"shed", "not_json"}
    assert len({*told, *left}) == len(told) + len(left) == 3010
