"""Stamps of snapshots rise, whatever is done to the wall clock."""

from sidecar.control.observation.timeline import Timeline

HOUR = 3600


class Clock:
    def __init__(self, wall=1_000_000):
        self.wall = wall
        self.monotonic = 5

    def timeline(self, last=0):
        return Timeline(
            wall_ns=lambda: self.wall, monotonic_ns=lambda: self.monotonic, last_ns=last
        )

    def passes(self, elapsed):
        self.wall += elapsed
        self.monotonic += elapsed


def test_stamps_are_the_wall_clocks_as_long_as_it_rises():
    clock = Clock()
    timeline = clock.timeline()
    clock.passes(60)
    assert timeline.stamp_ns() == clock.wall
    clock.wall += HOUR  # set forwards
    assert timeline.stamp_ns() == clock.wall


def test_after_an_hour_back_stamps_rise_at_half_pace_until_the_clock_has_caught_up():
    clock = Clock()
    timeline = clock.timeline()
    clock.passes(60)
    before = timeline.stamp_ns()
    clock.wall -= HOUR
    clock.passes(HOUR)
    assert timeline.stamp_ns() == before + HOUR // 2
    clock.passes(HOUR)
    assert timeline.stamp_ns() == before + HOUR
    clock.passes(60)
    assert timeline.stamp_ns() == clock.wall == before + HOUR + 60


def test_two_stamps_of_one_moment_differ():
    timeline = Clock().timeline()
    assert timeline.stamp_ns() < timeline.stamp_ns() < timeline.stamp_ns()


def test_a_timeline_goes_on_from_the_newest_snapshot_there_is():
    clock = Clock(wall=1000)
    assert clock.timeline(last=5000).stamp_ns() > 5000
    assert clock.timeline(last=500).stamp_ns() == 1000
