"""Who is seated stays; newcomers fit in, or it is said what would help."""

import itertools

import pytest
from harness.observed_world import route, segment
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.monitoring import MonitorSettings
from sidecar.control.observation.seating import LINE_WORDS, Seating
from sidecar.control.observation.subjects import subjects

VALUES = ("north", "south", "east", "west")


def wanted(*sizes):
    """Subjects with so many blocks each; the same size at the same place is the same subject."""
    routes = [
        route(segment(*VALUES[: blocks - 1]) if blocks > 1 else segment(), name=f"r{place}")
        for place, blocks in enumerate(sizes)
        if blocks
    ]
    return subjects(routes, MonitorSettings(), baselines={}, lessons={}, learned_rows={})


@pytest.fixture
def salts():
    numbers = itertools.count()
    return lambda: str(next(numbers))


def empty(words=10**6, slots=8):
    return Seating(arena_words=words, slots=slots)


def test_a_subject_that_stays_keeps_its_seat_and_others_come_and_go(salts):
    first, _ = empty().seated(wanted(1, 2, 1), salts)
    staying = wanted(1, 2, 1)[1]
    before = first.seat(staying.owner)
    second, _ = first.seated([staying], salts)
    third, _ = second.seated(wanted(3, 2, 4), salts)
    assert before == second.seat(staying.owner) == third.seat(staying.owner)


def test_a_subject_that_comes_back_is_another_tenant(salts):
    (one,) = wanted(1)
    first, _ = empty().seated([one], salts)
    nobody, _ = first.seated([], salts)
    again, _ = nobody.seated([one], salts)
    assert nobody.seats == ()
    assert first.seat(one.owner).tenant != again.seat(one.owner).tenant


def test_a_newcomer_takes_the_first_gap_that_is_long_enough(salts):
    first, _ = empty().seated(wanted(1, 2, 1), salts)
    gone = wanted(1, 2, 1)[1]
    left, _ = first.seated([wanted(1, 2, 1)[0], wanted(1, 2, 1)[2]], salts)
    newcomer = wanted(0, 0, 0, 1)
    second, _ = left.seated([wanted(1, 2, 1)[0], wanted(1, 2, 1)[2], *newcomer], salts)
    assert second.seat(newcomer[0].owner).at == first.seat(gone.owner).at
    assert second.seat(newcomer[0].owner).slot == first.seat(gone.owner).slot


def test_without_room_those_who_are_there_stay_and_the_reason_says_what_helps(salts):
    one, two = wanted(2, 1)
    arena, _ = empty(words=two.layout.words + 10).seated([two], salts)
    full, (left_out,) = arena.seated([one, two], salts)
    assert full.seats == arena.seats
    assert left_out.key == one.key
    assert left_out.needed_bytes == one.layout.words * 8
    assert "raise monitor.memory" in left_out.reason
    assert "to 1MiB and restart" in left_out.reason


def test_without_a_slot_that_is_the_reason(salts):
    seating, left_out = empty(slots=2).seated(wanted(1, 1, 1), salts)
    assert len(seating.seats) == 2
    assert "2 models in their roles are observed already" in left_out[0].reason


def test_an_arena_without_memory_says_that_observing_was_off_when_it_was_made(salts):
    _, (left_out,) = empty(words=0).seated(wanted(1), salts)
    assert "monitor.enabled" in left_out.reason


@given(st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=1, max_size=6))
def test_seats_never_overlap_whoever_comes_and_goes(plans):
    numbers = itertools.count()
    seating = empty(words=9_000, slots=4)
    for sizes in plans:
        seating, left_out = seating.seated(wanted(*sizes), lambda: str(next(numbers)))
        ends = 0
        for seat in seating.seats:
            assert seat.at >= ends
            assert seat.at % LINE_WORDS == 0
            ends = seat.at + seat.words
        assert ends <= seating.arena_words
        assert len({seat.slot for seat in seating.seats}) == len(seating.seats)
        assert len({seat.tenant for seat in seating.seats}) == len(seating.seats)
        assert len(seating.seats) + len(left_out) == sum(size > 0 for size in sizes)
