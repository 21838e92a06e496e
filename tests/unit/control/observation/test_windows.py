"""Which snapshots a window is the difference of."""

from itertools import pairwise

import pytest

from sidecar.control.observation.windows import cut, gap_ns, nearest, pick_ends

STAMPS = [0, 10, 20, 30, 60, 90]


@pytest.mark.parametrize(
    ("start", "end", "picked"),
    [
        (10, 30, (1, 3)),  # exactly
        (12, 28, (1, 3)),  # the nearest
        (16, 44, (2, 3)),
        (16, 46, (2, 4)),
        (70, 75, (4, 5)),  # both nearest to one: the two around
        (40, 44, (3, 4)),
        (-5, 0, None),  # nothing before
        (90, 95, None),  # nothing after
    ],
)
def test_the_nearest_snapshots_are_picked(start, end, picked):
    assert pick(start, end, 20) == picked


def pick(start, end, slack, stamps=STAMPS):
    return pick_ends(stamps, start, end, start_slack_ns=slack, end_slack_ns=slack)


def test_ends_that_are_too_far_off_make_no_window():
    assert pick(40, 89, 10) == (3, 5)
    assert pick(40, 89, 9) is None
    assert pick_ends(STAMPS, 40, 80, start_slack_ns=10, end_slack_ns=9) is None
    assert pick(0, 1, 100, stamps=[]) is None
    assert pick(0, 10, 100, stamps=[5]) is None


def test_a_gap_is_the_distance_of_the_snapshots_around_a_moment():
    assert [gap_ns(STAMPS, at) for at in (5, 45, 60, -5, 95)] == [10, 30, 0, 0, 0]


def test_of_two_that_are_as_near_the_earlier_is_taken():
    assert nearest([0, 10], 5) == 0
    assert nearest([0, 10], 6) == 1


def test_a_window_with_few_snapshots_is_cut_at_all_of_them():
    assert cut(STAMPS, 1, 4, most=3) == (1, 2, 3, 4)


@pytest.mark.parametrize("most", [1, 2, 7, 30])
def test_parts_are_consecutive_few_enough_and_of_about_the_same_length(most):
    stamps = [7 * number + number % 3 for number in range(1000)]
    places = cut(stamps, 100, 900, most=most)
    assert (places[0], places[-1], len(places)) == (100, 900, most + 1)
    lengths = [stamps[b] - stamps[a] for a, b in pairwise(places)]
    assert max(lengths) - min(lengths) <= 20


def test_a_gap_makes_fewer_parts_and_never_an_empty_one():
    stamps = [0, 1, 2, 3, 1000, 1001]
    assert cut(stamps, 0, 5, most=3) == (0, 3, 4, 5)
