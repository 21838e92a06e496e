"""Who is observed, against what, and in which blocks."""

import pytest
from harness.observed_world import learned, route, segment

from sidecar.baseline import provisional
from sidecar.config.monitoring import MonitorSettings
from sidecar.control.observation.learning import Lessons
from sidecar.control.observation.subjects import Lesson, primary_of, subjects
from sidecar.model import ColumnPart, Role
from sidecar.payload import PayloadSettings, Protocol

ROWS = [(float(n), n % 7 + 0.5) for n in range(200)]
REGIONS = ["north" if n % 3 else "south" for n in range(200)]


def baseline(model="stable", shift=0.0, **segments):
    rows = [(length + shift, width) for length, width in ROWS]
    return provisional(model, ("length", "width"), rows, segments=segments)


def observed(*routes, baselines=None, lessons=None, rows=None, **monitor):
    found = subjects(
        routes,
        MonitorSettings(**monitor),
        baselines=baselines or {},
        lessons=lessons or {},
        learned_rows=rows or {},
    )
    return {(one.key.route, one.key.model): one for one in found}


EVERYBODY = route(canaries=("next",), shadows=("trial",))


def test_every_model_in_its_role_is_a_subject_primaries_first():
    found = observed(EVERYBODY, route(name="other"))
    assert [one.key.role for one in found.values()] == [
        Role.PRIMARY,
        Role.PRIMARY,
        Role.CANARY,
        Role.SHADOW,
    ]


def test_a_route_without_payload_or_a_monitor_that_is_off_observes_nothing():
    silent = route(payload=PayloadSettings(codec=Protocol.NONE))
    assert observed(silent) == {}
    assert observed(EVERYBODY, enabled=False) == {}


def test_a_canary_and_a_shadow_are_compared_with_the_primarys_reference_unless_they_have_one():
    mine, theirs = baseline("stable"), baseline("trial", shift=100)
    found = observed(EVERYBODY, baselines={"stable": mine, "trial": theirs})
    assert found["iris", "next"].baseline is mine
    assert found["iris", "next"].columns == mine.columns
    said = tuple(one for one in theirs.columns if one.part is not ColumnPart.FEATURE)
    assert found["iris", "trial"].columns == said  # the features it gets are the primary's
    assert found["iris", "stable"].features == ("length", "width")
    assert all(one.learn == 0 for one in found.values())


def test_without_a_reference_the_primary_is_learned_and_only_measures_are_counted():
    found = observed(EVERYBODY, learn_rows=500, rows={primary_of(EVERYBODY): 120})
    assert [one.learn for one in found.values()] == [380, 0, 0]
    assert all(one.columns == () and one.measures for one in found.values())


def test_what_was_learned_is_the_reference_of_the_whole_route():
    lesson = Lesson(baseline=baseline())
    found = observed(EVERYBODY, lessons={primary_of(EVERYBODY): lesson})
    assert all(one.baseline is lesson.baseline and one.provisional for one in found.values())
    assert all(one.learn == 0 for one in found.values())


@pytest.mark.parametrize(
    ("values", "of_file", "told_apart", "learns"),
    [
        (("a", "b"), {}, ("a", "b"), False),
        ((), {"region": REGIONS}, ("north", "south"), False),
        ((), {}, (), True),
        (("a", "other"), {}, ("a",), False),
    ],
)
def test_segments_have_listed_values_or_those_of_the_baseline_or_learn_them(
    values, of_file, told_apart, learns
):
    one = route(segment(*values), canaries=("next",))
    found = observed(one, baselines={"stable": baseline(**of_file)})
    assert [s.values for s in found["iris", "stable"].segments] == [told_apart]
    assert found["iris", "next"].segments == found["iris", "stable"].segments
    assert bool(found["iris", "stable"].learn) == learns
    assert found["iris", "stable"].layout.block_count == len(told_apart) + 1


def test_values_that_were_learned_beside_a_baseline_file_are_told_apart():
    one = route(segment())
    lesson = Lesson(baseline=baseline(shift=5, region=REGIONS))
    mine = baseline()
    found = observed(one, baselines={"stable": mine}, lessons={primary_of(one): lesson})
    subject = found["iris", "stable"]
    assert (subject.baseline, subject.learn) == (mine, 0)
    assert subject.segments[0].values == ("north", "south")


@pytest.mark.parametrize(
    ("codec", "protocol", "counted"),
    [
        (Protocol.OPENAI, None, True),
        (Protocol.OPEN_INFERENCE, None, False),
        (Protocol.AUTO, None, True),  # nothing is known yet
        (Protocol.AUTO, Protocol.OPENAI, True),
        (Protocol.AUTO, Protocol.MLFLOW, False),
    ],
)
def test_tokens_are_counted_where_the_protocol_may_have_them(codec, protocol, counted):
    one = route(payload=PayloadSettings(codec=codec))
    lessons = (
        {}
        if protocol is None
        else {primary_of(one): Lesson(baseline=baseline(), protocol=protocol)}
    )
    (subject,) = observed(one, lessons=lessons).values()
    assert ("prompt_tokens" in {column.name for column in subject.measures}) == counted


def test_a_series_is_the_same_as_long_as_it_counts_alike():
    def owner(one=EVERYBODY, **more):
        return observed(one, **more)["iris", "stable"].owner

    mine = {"stable": baseline()}
    assert owner(baselines=mine) == owner(baselines={"stable": baseline()}, learn_rows=500)
    others = {
        owner(baselines=mine),
        owner(),
        owner(baselines={"stable": baseline(shift=1)}),
        owner(route(segment("a")), baselines=mine),
        owner(route(segment("b")), baselines=mine),
        owner(route(segment("a", name="age")), baselines=mine),
        observed(EVERYBODY, baselines=mine)["iris", "next"].owner,
    }
    assert len(others) == 7


# -- learning ----------------------------------------------------------------------------------

PRIMARY = primary_of(EVERYBODY)


def rows(count, first=0, /, **more):
    return learned(count, first, key=PRIMARY, owner="w", **more)


def test_rows_of_several_workers_are_learned_together_and_no_more_than_wanted():
    lessons = Lessons()
    assert not lessons.take(rows(60), rows_wanted=100)
    assert lessons.take(rows(60, 60), rows_wanted=100)
    assert not lessons.take(rows(60, 120), rows_wanted=100)
    assert lessons.rows(PRIMARY) == 100
    made = lessons.made(PRIMARY, [segment(top=1)]).baseline
    assert (made.rows, made.provisional, made.model) == (100, True, "stable")
    assert made.features == ("length", "width")
    assert made.distribution("length").count == 100
    assert made.segments[0].values == ("north",)
    assert {column.name for column in made.columns} >= {"prediction", "score"}


def test_listed_values_are_kept_apart_although_they_are_rare():
    lessons = Lessons()
    lessons.take(rows(100), rows_wanted=100)
    (made,) = lessons.made(PRIMARY, [segment("south", "west")]).baseline.segments
    assert made.values == ("south", "west")
    assert made.rows == (34, 0, 66)


def test_names_that_some_rows_lack_are_missing_there():
    lessons = Lessons()
    lessons.take(rows(50), rows_wanted=100)
    other = {"names": ("height", "length"), "rows": [[2.0 + n, 1.0] for n in range(50)]}
    lessons.take(rows(50, **other, scores=[], segments={}), rows_wanted=100)
    made = lessons.made(PRIMARY, [segment()]).baseline
    assert made.features == ("length", "width", "height")
    assert [made.distribution(name).missing for name in made.features] == [0, 50, 50]
    assert made.distribution("score").missing == 50
    assert sum(made.segments[0].rows) == 100


def test_rows_that_all_have_other_names_teach_no_more_columns_than_one_row_may_have(monkeypatch):
    monkeypatch.setattr("sidecar.control.observation.learning.MOST_COLUMNS", 3)
    lessons = Lessons()
    for number in range(10):
        names = ("length", f"key-{number}")
        lessons.take(
            rows(10, names=names, rows=[[1.0 + n, 2.0] for n in range(10)]), rows_wanted=100
        )
    made = lessons.made(PRIMARY, [segment()]).baseline
    assert made.features == ("length", "key-0", "key-1")
    assert [made.distribution(name).missing for name in made.features] == [0, 90, 90]


def test_rows_without_features_teach_the_values_of_segments_and_what_is_spoken():
    lessons = Lessons()
    bare = {"names": (), "rows": [[] for _ in range(100)], "predictions": [], "scores": []}
    assert lessons.take(rows(100, **bare, protocol=Protocol.OPENAI), rows_wanted=100)
    lesson = lessons.made(PRIMARY, [segment()])
    assert lesson.protocol is Protocol.OPENAI
    assert lesson.baseline.columns == ()
    assert lesson.baseline.segments[0].values == ("north", "south")


@pytest.mark.parametrize(
    "wrong",
    [
        {"predictions": [1]},
        {"scores": [0.5] * 3},
        {"segments": {"region": ["a"]}},
        {"names": ("length",)},
    ],
)
def test_a_message_whose_lists_do_not_fit_together_is_left_out(wrong):
    lessons = Lessons()
    assert not lessons.take(rows(20, **wrong), rows_wanted=10)
    assert lessons.rows(PRIMARY) == 0
