"""Who holds which row of the board."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.control.places import Places, PlacesFull


def test_keys_are_seated_in_order_on_an_empty_board():
    assert Places[str].empty(4).seat(["a", "b"]).keys == ("a", "b", None, None)


def test_a_key_keeps_its_place_while_others_come_and_go():
    places = Places[str].empty(4).seat(["a", "b", "c"]).seat(["c", "d"])
    assert places.keys.index("c") == 2


def test_a_freed_place_rests_until_all_that_were_free_before_are_taken():
    places = Places[str].empty(4).seat(["a", "b"]).seat(["b"])
    assert places.seat(["b", "c"]).keys == (None, "b", "c", None)
    assert places.seat(["b", "c", "d"]).keys == (None, "b", "c", "d")
    assert places.seat(["b", "c", "d", "e"]).keys == ("e", "b", "c", "d")


def test_of_two_freed_places_the_one_freed_first_is_taken_first():
    places = Places[str].empty(2).seat(["a", "b"]).seat(["a"]).seat([])
    assert places.seat(["c"]).keys == (None, "c")


def test_a_key_that_is_wanted_twice_has_one_place():
    assert Places[str].empty(2).seat(["a", "a"]).keys == ("a", None)


def test_more_keys_than_places_are_refused_with_both_numbers():
    with pytest.raises(PlacesFull) as full:
        Places[str].empty(2).seat(["a", "b", "c"])
    assert (full.value.wanted, full.value.capacity) == (3, 2)


def test_another_capacity_is_another_board():
    places = Places[str].empty(2).seat(["a"])
    assert places.with_capacity(2) is places
    assert places.with_capacity(3) == Places[str].empty(3)


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), max_size=5), max_size=12))
def test_every_wanted_key_has_exactly_one_place_and_none_moves_while_wanted(updates):
    places = Places[str].empty(5)
    for wanted in updates:
        before = places
        places = places.seat(sorted(wanted))
        seated = [key for key in places.keys if key is not None]
        assert sorted(seated) == sorted(wanted)
        for key in wanted & set(before.keys):
            assert places.keys.index(key) == before.keys.index(key)
        free = [place for place, key in enumerate(places.keys) if key is None]
        assert sorted(places.free) == free
