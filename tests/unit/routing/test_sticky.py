"""Sticky keys: where they are found, and how evenly they fall on slots."""

import pytest
from scipy import stats

from sidecar.routing import SLOTS
from sidecar.routing.sticky import cookie_value, slot_hash


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"user=alice", b"alice"),
        (b"a=1; user=alice; b=2", b"alice"),
        (b"a=1;user=alice", b"alice"),
        (b"user=", b""),
        (b"user=a=b", b"a=b"),
        (b"user=first; user=second", b"first"),
        (b"User=alice", None),
        (b"superuser=x", None),
        (b"user", None),
        (b"", None),
        (b";;=;", None),
    ],
)
def test_a_cookie_is_found_by_its_exact_name(field, value):
    assert cookie_value(field, b"user") == value


def test_a_key_has_one_slot_for_ever():
    # Frozen: another value would move every sticky user of a rollout in progress at an upgrade.
    assert slot_hash("salt")(b"user-1") == 7588


def test_slots_are_uniform_over_sequential_keys():
    slot_of = slot_hash("salt")
    bins = [0] * 100
    for user in range(100_000):
        bins[slot_of(b"user-%d" % user) * 100 // SLOTS] += 1

    assert stats.chisquare(bins).pvalue > 1e-3


def test_slots_under_two_salts_are_independent():
    first, second = slot_hash("first"), slot_hash("second")
    table = [[0] * 5 for _ in range(5)]
    for user in range(20_000):
        key = b"user-%d" % user
        table[first(key) * 5 // SLOTS][second(key) * 5 // SLOTS] += 1

    assert stats.chi2_contingency(table).pvalue > 1e-3
