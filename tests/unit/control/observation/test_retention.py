"""Old snapshots thin out, within a budget, and never those with names."""

from dataclasses import dataclass
from itertools import pairwise

import pytest

from sidecar.config.monitoring import DriftSettings
from sidecar.config.units import Duration
from sidecar.control.observation.retention import NEWEST, dropped, levels, spacing_s

NS = 1_000_000_000
NOW = 1_700_000_000
DRIFT = DriftSettings()
HOUR, DAY = 3600, 86_400


@dataclass(frozen=True)
class Snapshot:
    taken_ns: int
    size_bytes: int = 100
    series: tuple[str, ...] = ("stays",)


def every(interval_s, until_s, size_bytes=100):
    """Snapshots of the last `until_s` seconds, oldest first."""
    count = until_s // interval_s
    return [Snapshot((NOW - n * interval_s) * NS, size_bytes) for n in range(count, -1, -1)]


def kept_of(snapshots, *, drift=DRIFT, budget=10**12, pinned=()):
    gone = dropped(
        snapshots,
        now_ns=NOW * NS,
        kept=levels(drift),
        budget_bytes=budget,
        pinned=[stamp * NS for stamp in pinned],
    )
    return [one for one in snapshots if one.taken_ns not in gone]


def ages(snapshots):
    return [NOW - one.taken_ns // NS for one in snapshots]


def largest_gap(snapshots, younger_than_s):
    found = sorted(age for age in ages(snapshots) if age <= younger_than_s)
    return max(b - a for a, b in pairwise(found))


def test_the_last_hours_stay_whole_and_older_days_thin_out():
    kept = kept_of(every(60, 20 * DAY))
    assert largest_gap(kept, 3 * HOUR) == 60
    assert largest_gap(kept, 50 * HOUR) <= 300
    assert largest_gap(kept, 8 * DAY) <= 1800
    assert max(ages(kept)) <= 8 * DAY + 2 * HOUR
    assert 1000 < len(kept) < 1300


def test_snapshots_that_are_asked_for_all_the_time_take_no_place_of_those_that_are_due():
    kept = kept_of(every(1, 2 * HOUR))
    assert len(kept) <= 2 * HOUR / 30 + NEWEST + 1
    due = kept_of(every(60, 2 * HOUR))
    assert len(due) == 2 * HOUR / 60 + 1


@pytest.mark.parametrize("late_s", [0, 7, 29, 31, 59])
def test_what_is_due_stays_however_late_it_comes(late_s):
    on_time = every(60, 3 * HOUR)
    late = [Snapshot(one.taken_ns - late_s * NS + (n % 3) * NS) for n, one in enumerate(on_time)]
    assert len(kept_of(late)) == len(late)


@pytest.mark.parametrize("age_s", [60, HOUR, 40 * HOUR, 7 * DAY])
def test_the_last_totals_of_a_series_that_left_are_not_thinned_out(age_s):
    """It left right after another snapshot, which is the first of its span, and so the one kept."""
    others = every(60, 8 * DAY)
    last = Snapshot((NOW - age_s) * NS + 1, series=("stays", "left"))
    snapshots = sorted([*others, last], key=lambda one: one.taken_ns)
    assert last in kept_of(snapshots)
    assert len(kept_of(snapshots)) == len(kept_of(others)) + 1


def test_the_last_totals_of_a_series_that_left_age_and_make_room_like_the_others():
    old = Snapshot((NOW - 9 * DAY) * NS, series=("left",))
    assert old not in kept_of([old, *every(60, DAY)])
    recent = Snapshot((NOW - 2 * HOUR) * NS + 1, series=("left",))
    snapshots = sorted([*every(60, DAY), recent], key=lambda one: one.taken_ns)
    assert recent not in kept_of(snapshots, budget=NEWEST * 100)


def test_thinning_again_drops_nothing_more():
    kept = kept_of(every(60, 9 * DAY))
    assert kept_of(kept) == kept


def test_what_is_taken_every_second_is_whole_for_three_minutes():
    kept = kept_of(every(1, HOUR), drift=DriftSettings(interval=Duration(1)))
    assert largest_gap(kept, 180) == 1
    assert largest_gap(kept, HOUR) <= 60


def test_long_windows_are_kept_for_as_long_as_they_are_compared():
    weeks = DriftSettings(windows=(Duration(7 * DAY),))
    kept = kept_of(every(600, 30 * DAY), drift=weeks)
    assert max(ages(kept)) >= 14 * DAY


@pytest.mark.parametrize("budget", [60_000, 20_000, 5_000])
def test_a_budget_makes_all_distances_longer_and_keeps_the_reach(budget):
    kept = kept_of(every(60, 8 * DAY), budget=budget)
    assert sum(one.size_bytes for one in kept) <= budget
    assert max(ages(kept)) > 7 * DAY
    assert ages(kept)[-NEWEST:] == [60 * n for n in range(NEWEST - 1, -1, -1)]


def test_without_room_the_oldest_go_and_the_newest_stay():
    kept = kept_of(every(60, DAY), budget=0)
    assert ages(kept) == [60 * n for n in range(NEWEST - 1, -1, -1)]


def test_what_has_a_name_stays_whatever_its_age_and_the_budget():
    pinned = NOW - 20 * DAY
    kept = kept_of([Snapshot(pinned * NS, 10**6), *every(60, DAY)], budget=1000, pinned=[pinned])
    assert kept[0].taken_ns == pinned * NS


def test_the_spacing_is_what_is_kept_at_an_age():
    kept = levels(DRIFT)
    spacings = [spacing_s(kept, age_s) for age_s in (60, 3 * HOUR, 4 * HOUR, 3 * DAY, 30 * DAY)]
    assert spacings == [30.0, 30.0, 300.0, 1800.0, 1800.0]
