"""Windows of the past, and snapshots that people have named."""

import numpy as np
import pytest

from sidecar.config.monitoring import DriftSettings
from sidecar.config.units import Duration, Size
from sidecar.control.observation import history as history_module
from sidecar.control.observation.history import History
from sidecar.control.observation.store import SnapshotStore
from sidecar.errors import ClientError
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch import Area, AreaLayout, Column, WatchCounter

COLUMN = Column(name="x", part=ColumnPart.FEATURE, kind=ColumnKind.NUMERIC, edges=(0.0, 1.0))
LAYOUT = AreaLayout((COLUMN,))
NS = 1_000_000_000
START = 1_700_000_000
DRIFT = DriftSettings(interval=Duration(60), windows=(Duration(300), Duration(3600)))


def area(count):
    words = np.zeros(LAYOUT.words, np.int64)
    words[WatchCounter.READ] = count
    words[LAYOUT.block_at(0) + LAYOUT.counts.start] = count
    return Area(LAYOUT, words)


class Past:
    """A history into which snapshots are taken at given seconds, each with a total."""

    def __init__(self, folder, drift=DRIFT):
        self.folder = folder
        self.history = History(SnapshotStore(folder / "snapshots"), drift)
        self.history.load()

    def take(self, at_s, total, owner="a"):
        self.history.take((START + at_s) * NS, {owner: area(total)})

    def every(self, interval_s, until_s, per_interval=10):
        """Snapshots at even distances, between which always the same is counted."""
        for number in range(until_s // interval_s + 1):
            self.take(number * interval_s, number * per_interval)

    def window(self, end_s, length_s, **more):
        """Start, end and count of a window, or None."""
        found = self.history.window("a", (START + end_s) * NS, length_s, **more)
        return found and described(found)


def described(window):
    return (
        window.start_ns // NS - START,
        window.end_ns // NS - START,
        window.area.counter(WatchCounter.READ),
    )


@pytest.fixture
def past(tmp_path):
    return Past(tmp_path)


def test_a_window_is_the_difference_of_two_snapshots_and_its_parts_add_up_to_it(past):
    past.every(60, 1200)
    assert past.window(1200, 300) == (900, 1200, 50)
    assert past.window(1000, 300) == (720, 1020, 50)
    found = past.history.window("a", (START + 1200) * NS, 300)
    assert found.parts[:, 0, 0].tolist() == [10] * 5
    assert (found.length_s, found.asked_s) == (300.0, 300)


def test_parts_are_as_many_as_asked_for(past):
    past.every(60, 3600)
    assert len(past.history.window("a", (START + 3600) * NS, 3600).parts) == 30
    few = past.history.window("a", (START + 3600) * NS, 3600, most_parts=4)
    assert few.parts[:, 0, 0].tolist() == [150] * 4


def test_there_is_no_window_before_the_first_snapshot_or_of_somebody_else(past):
    past.every(60, 240)
    assert past.window(240, 300) == (0, 240, 40)  # a minute short is within a quarter
    assert past.window(240, 600) is None
    assert past.window(-3600, 300) is None
    assert past.history.window("b", (START + 240) * NS, 60) is None


def test_a_gap_in_which_nobody_took_snapshots_makes_no_window(past):
    past.every(60, 600)
    past.take(7200, 1000)
    past.take(7260, 1010)
    assert past.window(7260, 60) == (7200, 7260, 10)
    assert past.window(7260, 300) is None
    assert past.window(7260, 6900) == (360, 7260, 950)


def test_half_hours_of_last_week_serve_for_five_minutes(tmp_path):
    past = Past(tmp_path)
    week = 7 * 86_400
    for number in range(48):
        past.take(number * 1800, number * 100)
    past.take(week + 43_200, 10_000)
    # Around 12:10 of that day: the half hour from 12:00 to 12:30.
    assert past.window(43_200 + 600, 300) == (43_200, 45_000, 100)


def test_windows_are_the_same_after_a_restart(past, tmp_path):
    past.every(60, 1200)
    again = Past(tmp_path)
    assert again.history.newest_ns == (START + 1200) * NS
    again.take(1260, 210)
    assert again.window(1200, 300) == (900, 1200, 50)
    assert again.window(1260, 300) == (960, 1260, 50)


def test_a_damaged_snapshot_is_left_out_and_the_next_best_is_taken(past, tmp_path):
    past.every(60, 1200)
    file = tmp_path / "snapshots" / f"{(START + 900) * NS:020d}.snapshot"
    file.write_bytes(file.read_bytes()[:-1])
    again = Past(tmp_path)
    again.take(1260, 210)
    assert again.window(1200, 300) == (840, 1200, 60)
    assert again.history.losses.damaged == 1


def test_a_stamp_that_does_not_rise_is_refused(past):
    past.take(60, 1)
    with pytest.raises(ValueError, match="earlier"):
        past.take(60, 2)


# -- names -------------------------------------------------------------------------------------


def test_what_passed_between_two_names_is_exact_however_old_they_are(past, tmp_path):
    past.take(0, 100)
    past.history.pin("before")
    past.take(60, 250)
    past.history.pin("after")
    past.take(40 * 86_400, 9000)
    assert len(past.history.shelf) == 3
    again = Past(tmp_path)
    again.take(41 * 86_400, 9500)
    assert described(again.history.between("a", "before", "after")) == (0, 60, 150)


def test_a_pin_keeps_what_its_windows_are_made_of(past):
    past.every(60, 3600)
    past.history.pin("good")
    before = past.window(3600, 300), past.window(3600, 3600)
    past.take(40 * 86_400, 9000)
    assert (past.window(3600, 300), past.window(3600, 3600)) == before
    assert before == ((3300, 3600, 50), (0, 3600, 600))
    past.history.unpin("good")
    for minute in range(10):  # the newest are kept whatever their age
        past.take(41 * 86_400 + 60 * minute, 9001 + minute)
    assert past.window(3600, 300) is None


def test_a_name_moves_to_a_new_snapshot(past):
    past.take(0, 1)
    past.history.pin("now")
    past.take(60, 2)
    past.history.pin("now")
    assert past.history.pins["now"].taken_ns == (START + 60) * NS


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("a", "nope", "unknown_snapshot"),
        ("nope", "a", "unknown_snapshot"),
        ("b", "a", "wrong_order"),
        ("a", "a", "wrong_order"),
    ],
)
def test_names_that_make_no_window_are_refused_in_words(past, first, last, code):
    past.take(0, 1)
    past.history.pin("a")
    past.take(60, 2)
    past.history.pin("b")
    with pytest.raises(ClientError) as refused:
        past.history.between("x", first, last)
    assert refused.value.code == code


def test_a_series_that_one_of_two_names_does_not_have_has_no_window(past):
    past.take(0, 1)
    past.history.pin("a")
    past.take(60, 2, owner="b")
    past.history.pin("b")
    assert past.history.between("b", "a", "b") is None


def test_there_is_nothing_to_name_before_the_first_snapshot_and_names_are_bounded(
    past, monkeypatch
):
    with pytest.raises(ClientError, match="no snapshot yet"):
        past.history.pin("a")
    monkeypatch.setattr(history_module, "MOST_PINS", 2)
    past.take(0, 1)
    for name in ("a", "b", "a"):
        past.history.pin(name)
    with pytest.raises(ClientError, match="drop one first"):
        past.history.pin("c")


def test_names_that_cannot_be_read_are_forgotten_and_said(past, tmp_path, caplog):
    past.take(0, 1)
    past.history.pin("a")
    (tmp_path / "snapshots" / "pins.json").write_bytes(b"{")
    assert Past(tmp_path).history.pins == {}
    assert "names of snapshots cannot be read" in caplog.text


def test_names_that_the_disk_refused_are_written_with_the_next_snapshot(tmp_path):
    refuses = [True]

    def replace(path, content):
        if refuses[0]:
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    history = History(SnapshotStore(tmp_path / "snapshots", replace=replace), DRIFT)
    history.take(START * NS, {"a": area(1)})
    history.pin("a")
    assert not (tmp_path / "snapshots" / "pins.json").exists()
    refuses[0] = False
    history.take((START + 60) * NS, {"a": area(2)})
    assert set(Past(tmp_path).history.pins) == {"a"}


def test_a_smaller_budget_holds_from_the_next_snapshot_on(past):
    past.every(60, 6000)
    assert len(past.history.shelf) == 101
    past.history.configure(DriftSettings(history=Size(past.history.size_bytes // 4)))
    past.take(6060, 2000)
    assert len(past.history.shelf) <= 26
    assert past.window(6060, 3600) is not None
