"""What is remembered of counters: exact over resets, bounded however long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.alerting import SeriesSelection
from sidecar.config.signals import Read, Reading
from sidecar.config.wire import decode, encode
from sidecar.control.alerts.samples import by_name
from sidecar.control.alerts.windows import POINTS, Points, Track, Windows, earlier

S = 1_000_000_000


def track_of(values: list[float], *, every_s: int = 15, window_s: int = 300) -> Track:
    track = Track.begun(values[0], 0)
    for number, value in enumerate(values[1:], start=1):
        track = track.followed_by(value, number * every_s * S, window_s * S)
    return track


def test_a_series_seen_once_has_no_increase_however_large_it_is():
    assert track_of([1e9]).increase() is None


def test_an_increase_is_what_was_added_within_the_window():
    increase = track_of([0, 10, 20, 30]).increase()

    assert (increase.amount, increase.elapsed_s) == (30, 45)


def test_what_is_older_than_the_window_does_not_count():
    values = [1000.0 * n for n in range(100)]

    increase = track_of(values, every_s=15, window_s=300).increase()

    assert increase.elapsed_s == 300
    assert increase.amount == 20 * 1000


def test_a_counter_that_begins_anew_loses_nothing():
    assert track_of([0, 100, 3, 5]).increase().amount == 105


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=20),
    st.sets(st.integers(1, 19)),
)
def test_whatever_restarts_there_are_the_increase_is_the_sum_of_what_was_counted(added, restarts):
    raw, total, values = 0, 0, [0.0]
    for place, amount in enumerate(added):
        # A restart is seen only by a value below the last one.
        if place in restarts and amount < raw:
            raw = 0
        raw += amount
        total += amount
        values.append(float(raw))

    assert track_of(values, window_s=10_000).increase().amount == total


@pytest.mark.parametrize("window_s", [30, 300, 3600, 86_400])
def test_a_track_stays_small_and_its_window_true_to_a_sixtieth(window_s):
    track = Track.begun(0.0, 0)
    for number in range(1, 3 * window_s // 15):
        track = track.followed_by(float(number), number * 15 * S, window_s * S)

        assert len(track.points.at_ns) <= POINTS + 3
    elapsed_s = track.increase().elapsed_s

    assert window_s <= elapsed_s <= window_s + max(15, window_s / POINTS) + 15


def test_a_clock_that_was_set_back_begins_a_new_window():
    track = Track.begun(0.0, 100 * S).followed_by(10.0, 115 * S, 300 * S)

    assert track.followed_by(12.0, 50 * S, 300 * S).increase() is None


def test_after_a_time_as_long_as_the_window_nothing_of_before_is_in_it():
    track = Track.begun(0.0, 0).followed_by(1000.0, 15 * S, 300 * S)
    late = track.followed_by(2000.0, 4000 * S, 300 * S)

    assert late.increase() is None
    assert late.followed_by(2007.0, 4015 * S, 300 * S).increase().amount == 7


def test_the_newest_value_that_is_old_enough_is_the_earlier_one():
    points = Points()
    for minute in range(90):
        points = points.followed_by(float(minute), minute * 60 * S, 3600 * S)

    assert earlier(points, 3600 * S, 89 * 60 * S) == pytest.approx(29, abs=1)
    assert earlier(points, 3600 * S, 3000 * S) is None


READING = Reading(
    read=Read.INCREASE,
    of=SeriesSelection(series="sidecar_c_total", where={"route": "a"}),
    window_s=300,
)


def windows_after(steps: list[list[object]]) -> Windows:
    windows = Windows()
    for number, samples in enumerate(steps):
        found = by_name(samples, frozenset({"sidecar_c_total"}))
        windows = windows.followed_by([READING], found, number * 15 * S)
    return windows


def test_only_series_that_are_read_are_remembered(sample):
    wanted = sample("sidecar_c_total", 1, route="a")
    others = [sample("sidecar_c_total", 1, route="b"), sample("sidecar_d_total", 1, route="a")]

    windows = windows_after([[wanted, *others]])

    (tracks,) = windows.tracks.values()
    assert set(tracks) == {("sidecar_c_total", (("route", "a"),))}


def test_a_series_that_is_missing_once_goes_on_where_it_was(sample):
    def one(value):
        return [sample("sidecar_c_total", value, route="a")]

    windows = windows_after([one(5), [], one(9)])

    assert windows.increase(one(9)[0], 300).amount == 4


def test_a_series_that_is_gone_is_forgotten_after_its_window(sample):
    windows = windows_after([[sample("sidecar_c_total", 5, route="a")], *[[]] * 30])

    assert windows.tracks == {300 * S: {}}


def test_rules_that_share_a_window_each_follow_their_own_series(sample):
    readings = [
        Reading(read=Read.INCREASE, of=SeriesSelection(series=name), window_s=300)
        for name in ("sidecar_c_total", "sidecar_d_total")
    ]
    windows = Windows()
    for number in range(5):
        samples = [sample(name, 10.0 * number) for name in ("sidecar_c_total", "sidecar_d_total")]
        found = by_name(samples, frozenset({"sidecar_c_total", "sidecar_d_total"}))
        windows = windows.followed_by(readings, found, number * 15 * S)

    amounts = [windows.increase(one, 300).amount for one in samples]

    assert amounts == [40, 40]


def test_missing_series_take_their_place_among_the_bounded(sample, monkeypatch):
    monkeypatch.setattr("sidecar.control.alerts.windows.MOST_TRACKS", 3)
    first = [sample("sidecar_c_total", 1, route="a", model=str(n)) for n in range(3)]
    second = [sample("sidecar_c_total", 1, route="a", model=str(n)) for n in range(3, 5)]

    windows = windows_after([first, second])

    assert len(windows.tracks[300 * S]) == 3
    assert windows.left_out == 0
    assert windows_after([[*first, *second]]).left_out == 2


def test_windows_come_back_from_disk_as_they_were(sample):
    windows = windows_after([[sample("sidecar_c_total", n, route="a")] for n in range(5)])

    assert decode(encode(windows), Windows) == windows
