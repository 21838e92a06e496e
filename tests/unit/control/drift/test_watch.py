"""Rounds over made-up traffic with a real history: who is judged against what, and what it says."""

import asyncio
import dataclasses

import numpy as np
import pytest
from harness.drift_world import START_NS, DriftWorld, rows

from sidecar.baseline import learn
from sidecar.baseline.roles import Roles
from sidecar.config.monitoring import DriftSettings, Entity, FeatureOverride
from sidecar.control.drift import Question
from sidecar.drift import FindingKind, Status
from sidecar.errors import ClientError
from sidecar.model import Role
from sidecar.payload import Source

ROLES = Roles(prediction="prediction", score="score")


def judgement(found, window="5m", reference="baseline"):
    (watch,) = found.watches
    (one,) = [j for j in watch.judgements if (j.window, j.reference) == (window, reference)]
    return one


def statuses(one):
    return {verdict.feature: verdict.status for verdict in one.verdicts}


def ask(world, **question):
    return asyncio.run(world.watch.answer(Question(**question)))


# --- what is judged ------------------------------------------------------------------------------


def test_before_the_first_snapshot_nothing_is_known(world):
    assert world.watch.round.status is Status.INSUFFICIENT_DATA
    assert world.watch.round.watches == ()


def test_rows_like_those_of_the_baseline_are_in_order(world):
    world.pass_rows(rows(5_000, seed=2))
    found = judgement(world.judged())
    assert set(statuses(found).values()) == {Status.OK}
    assert (found.rows, found.reference_rows) == (5_000, 50_000)
    assert [verdict.evidence for verdict in found.verdicts] == [None] * len(found.verdicts)


def test_a_shifted_feature_is_named_and_has_its_evidence(world):
    world.pass_rows(rows(5_000, seed=2, shift=1.0))
    found = world.judged()
    assert found.status is Status.MAJOR
    one = judgement(found)
    assert [name for name, status in statuses(one).items() if status is not Status.OK] == ["x0"]
    (verdict,) = [verdict for verdict in one.verdicts if verdict.alarms]
    assert verdict.evidence.ks > 0.3
    assert (verdict.n, verdict.m) == (5_000, 50_000)
    assert verdict.phi >= 1
    assert verdict.reference_phi == 1
    assert verdict.window.start_ns == START_NS
    assert verdict.window.end_ns - verdict.window.start_ns == 300 * 10**9


def test_every_window_and_reference_is_there_and_says_why_it_cannot_be_judged(world):
    world.pass_rows(rows(5_000, seed=2))
    found = world.judged()
    (watch,) = found.watches
    assert {(one.window, one.reference) for one in watch.judgements} == {
        (window, reference)
        for window in ("5m", "1h")
        for reference in ("baseline", "previous", "day", "week")
    }
    for one in watch.judgements:
        assert bool(one.why) == (one.status is Status.INSUFFICIENT_DATA)
    assert "no whole window of 1h yet" in judgement(found, "1h").why
    assert "no snapshots of 'day' over 5m" in judgement(found, "5m", "day").why


def test_too_few_rows_are_insufficient_and_the_verdict_says_how_many(world):
    world.pass_rows(rows(300, seed=2))
    one = judgement(world.judged())
    assert one.status is Status.INSUFFICIENT_DATA
    assert "both sides need 500" in one.verdicts[0].why


def test_the_window_before_is_a_reference(world):
    world.pass_rows(rows(5_000, seed=2))
    world.pass_rows(rows(5_000, seed=3, shift=1.0))
    one = judgement(world.judged(), reference="previous")
    assert statuses(one)["x0"] is Status.MAJOR
    assert one.against.end_ns == one.current.start_ns


def test_the_same_hour_of_yesterday_is_a_reference_and_makes_a_shift_seasonal(world):
    world.pass_rows(rows(5_000, seed=2, shift=1.0))
    world.wait(minutes=24 * 60 - 5)
    world.pass_rows(rows(5_000, seed=3, shift=1.0))
    found = world.judged()
    yesterday = judgement(found, reference="day")
    assert yesterday.current.end_ns - yesterday.against.end_ns == 86_400 * 10**9
    assert yesterday.status is Status.OK
    assert judgement(found).status is Status.MAJOR
    (seasonal,) = found.watches[0].findings["5m"]
    assert (seasonal.kind, seasonal.features) == (FindingKind.SEASONAL, ("x0",))


def test_a_model_that_cannot_be_judged_is_said_and_holds_up_no_other(world, baseline, caplog):
    world.add(baseline, model="next")
    world.pass_rows(rows(5_000, seed=2))
    broken = world.history.window

    def window(owner, *wanted, **more):
        if owner == "owner-0":
            raise ValueError("a number fell between the snapshots")
        return broken(owner, *wanted, **more)

    world.history.window = window
    found = world.judged()
    assert [watch.key.model for watch in found.watches] == ["next"]
    assert found.taken_ns == world.now_ns
    assert [(one.message, one.model) for one in caplog.records] == [
        ("a model could not be judged", "stable")
    ]


def test_a_pinned_snapshot_is_a_reference_under_its_name(world):
    world.configure(references=("launch",))
    world.pass_rows(rows(5_000, seed=2))
    assert "no snapshot named 'launch' yet" in judgement(world.judged(), reference="launch").why
    world.history.pin("launch")
    world.pass_rows(rows(5_000, seed=3, shift=1.0))
    one = judgement(world.judged(), reference="launch")
    assert statuses(one)["x0"] is Status.MAJOR
    assert one.reference_rows == 5_000


def test_a_snapshot_that_was_taken_inside_the_window_is_no_reference(world):
    world.configure(references=("launch",))
    world.pass_rows(rows(2_000, seed=2), minutes=3)
    world.history.pin("launch")
    world.pass_rows(rows(2_000, seed=2), minutes=2)
    why = judgement(world.judged(), reference="launch").why
    assert "taken after the window began" in why


def test_a_window_longer_than_a_day_does_not_meet_itself(tmp_path, baseline):
    world = DriftWorld(tmp_path, baseline=baseline, drift=DriftSettings(windows=(172_800.0,)))
    world.wait(minutes=2 * 24 * 60)
    assert "it would meet itself" in judgement(world.judged(), "2d", "day").why


def test_yesterdays_window_ends_where_todays_begins_when_that_began_early(tmp_path, baseline):
    day = DriftSettings(windows=(86_400.0,))
    world = DriftWorld(tmp_path, baseline=baseline, drift=day)
    world.pass_rows(rows(5_000, seed=2))
    world.wait(minutes=24 * 60)
    world.pass_rows(rows(5_000, seed=3), minutes=1)
    world.wait(minutes=25 * 60)  # no snapshot stands nearer to 24 hours ago than this one

    one = judgement(world.judged(), "24h", "day")

    assert one.current.start_ns == world.now_ns - 25 * 3600 * 10**9
    assert one.against.end_ns == one.current.start_ns


def test_a_day_is_called_24h_and_found_under_any_spelling(world):
    world.configure(windows=(300.0, 86_400.0, 604_800.0))
    (watch,) = world.judged().watches
    assert list(dict.fromkeys(one.window for one in watch.judgements)) == ["5m", "24h", "7d"]
    (watch,) = ask(world, window="1d").watches
    assert {one.window for one in watch.judgements} == {"24h"}


def test_what_passed_between_two_names_is_compared_whatever_the_windows(world):
    world.history.pin("a")
    world.pass_rows(rows(3_000, seed=2), minutes=2)
    world.history.pin("b")
    world.pass_rows(rows(3_000, seed=3, shift=1.0), minutes=3)
    world.history.pin("c")
    world.pass_rows(rows(100, seed=4), minutes=1)
    early = judgement(ask(world, first="a", last="b"), "a..b")
    late = judgement(ask(world, first="b", last="c"), "b..c")
    until_now = judgement(ask(world, first="b", last="now"), "b..now")
    assert (early.status, early.rows) == (Status.OK, 3_000)
    assert (late.status, late.rows) == (Status.MAJOR, 3_000)
    assert until_now.rows == 3_100


def test_right_after_a_name_nothing_has_passed_since(world):
    world.history.pin("a")
    assert "since 'a' yet" in judgement(ask(world, first="a", last="now"), "a..now").why


def test_a_model_that_came_after_a_name_has_nothing_to_compare_since_then(world, baseline):
    world.history.pin("a")
    world.wait(minutes=60)
    world.add(baseline, model="next", role=Role.CANARY)
    world.pass_rows(rows(1_000, seed=2), minutes=2, which=1)
    (watch,) = ask(world, first="a", last="now", model="next").watches
    assert "not watched, in this form, when 'a'" in watch.judgements[0].why


def test_the_stretch_between_names_has_a_previous_one_too(world):
    world.pass_rows(rows(3_000, seed=2), minutes=3)
    world.history.pin("a")
    world.pass_rows(rows(3_000, seed=3, shift=1.0), minutes=3)
    world.history.pin("b")
    one = judgement(ask(world, first="a", last="b", reference="previous"), "a..b", "previous")
    assert one.status is Status.MAJOR
    assert one.against.end_ns == one.current.start_ns


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"first": "a", "last": "nowhere"}, "no snapshot 'nowhere'"),
        ({"first": "nowhere", "last": "now"}, "no snapshot 'nowhere'"),
        ({"window": "6m"}, "window '6m' is none of `drift.windows`; known: `5m`, `1h`"),
        ({"reference": "weak"}, "did you mean `week`?"),
        ({"route": "rose"}, "observed are: iris/stable (primary)"),
    ],
)
def test_a_question_about_nothing_is_refused_with_what_there_is(world, question, words):
    world.history.pin("a")
    with pytest.raises(ClientError) as refused:
        ask(world, **question)
    assert words in str(refused.value)


# --- learning, roles -----------------------------------------------------------------------------


def test_without_a_reference_everything_is_insufficient_and_says_how_far_learning_is(tmp_path):
    world = DriftWorld(tmp_path, baseline=None)
    (watch,) = world.judged().watches
    assert {one.status for one in watch.judgements} == {Status.INSUFFICIENT_DATA}
    assert watch.judgements[0].why.endswith("1,234 of 2,000 rows have come")


def test_a_provisional_reference_is_marked_and_named_so(tmp_path, baseline):
    provisional = dataclasses.replace(baseline, provisional=True)
    world = DriftWorld(tmp_path, baseline=provisional)
    world.pass_rows(rows(5_000, seed=2))
    world.pass_rows(rows(5_000, seed=2))
    found = world.judged()
    assert judgement(found).provisional
    assert "against provisional baseline" in judgement(found).verdicts[0].why
    assert not judgement(found, reference="previous").provisional


def test_each_model_in_each_role_is_judged_by_itself(world, baseline):
    world.add(baseline, model="next", role=Role.CANARY)
    world.pass_rows(rows(5_000, seed=2), minutes=2)
    world.pass_rows(rows(5_000, seed=3, shift=1.0), minutes=3, which=1)
    found = world.judged()
    assert {(watch.key.model, watch.status) for watch in found.watches} == {
        ("stable", Status.OK),
        ("next", Status.MAJOR),
    }
    (only,) = ask(world, model="next").watches
    assert only.key.role is Role.CANARY


# --- limits --------------------------------------------------------------------------------------


def test_overrides_hold_for_their_feature_alone(world):
    world.configure(features={"x0": FeatureOverride(drift=2.0, major=3.0)})
    world.pass_rows(rows(5_000, seed=2, shift=1.0))
    assert judgement(world.judged()).status is Status.OK
    world.configure(features={"x0": FeatureOverride(ignore=True)})
    one = judgement(world.judged())
    assert one.status is Status.OK
    assert [verdict.feature for verdict in one.verdicts if verdict.ignored] == ["x0"]


def test_a_declared_entity_sets_a_floor_to_dependence(world):
    world.configure(entity=Entity(source=Source(header="x-user")))
    world.pass_rows(rows(60_000, seed=2), minutes=60)
    found = world.judged()
    assert min(verdict.phi for verdict in judgement(found, "1h").verdicts) == 12
    assert min(verdict.phi for verdict in judgement(found, "5m").verdicts) < 2


def test_bursts_count_for_less(world):
    bursts = rows(5_000, seed=2)
    bursts["x0"] = np.repeat(bursts["x0"][::500], 500)
    world.pass_rows(bursts)
    verdicts = {verdict.feature: verdict for verdict in judgement(world.judged()).verdicts}
    assert verdicts["x0"].phi > 50
    assert verdicts["x0"].status is Status.INSUFFICIENT_DATA
    assert verdicts["x1"].phi < 2


# --- segments ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regional():
    """Rows in two regions; in `eu` the feature `x0` lies elsewhere."""

    def make(count, seed, *, shift=0.0):
        values = rows(count, seed)
        region = np.random.default_rng(seed).choice(["eu", "us", "ap"], size=count)
        values["x0"] = values["x0"] + np.where(region == "eu", 3.0 + shift, 0.0)
        return {**values, "region": region.tolist()}

    return make


@pytest.fixture
def segmented(tmp_path, regional):
    roles = Roles(
        prediction="prediction",
        score="score",
        segments=("region",),
        segment_values={"region": ("eu", "us")},
    )
    baseline = learn("stable", regional(60_000, 1), roles)
    return DriftWorld(tmp_path, baseline=baseline, segments={"region": ("eu", "us")})


def by_value(one):
    return {summary.segment.value: summary for summary in one.segments}


def test_a_segment_is_compared_with_its_own_rows_of_the_baseline(segmented, regional):
    segmented.pass_rows(regional(9_000, 2))
    one = judgement(segmented.judged())
    assert {summary.status for summary in one.segments} == {Status.OK}
    assert sum(summary.rows for summary in one.segments) == one.rows == 9_000
    assert not any(summary.stands_in for summary in one.segments)


def test_a_shift_in_one_segment_is_seen_there(segmented, regional):
    segmented.pass_rows(regional(9_000, 2, shift=1.5))
    found = by_value(judgement(segmented.judged()))
    assert {value: summary.status for value, summary in found.items()} == {
        "eu": Status.MAJOR,
        "us": Status.OK,
        None: Status.OK,
    }
    assert (found["eu"].feature, found["eu"].counts[Status.MAJOR]) == ("x0", 1)


def test_the_verdicts_of_a_segment_are_made_when_asked_for(segmented, regional):
    segmented.pass_rows(regional(9_000, 2, shift=1.5))
    summary = by_value(judgement(segmented.judged()))["eu"]
    (watch,) = ask(segmented, segment="region", window="5m", reference="baseline").watches
    found = {one.segment.value: one for one in watch.judgements}
    assert set(found) == {"eu", "us", None}
    assert found["eu"].rows == summary.rows
    (verdict,) = [verdict for verdict in found["eu"].verdicts if verdict.alarms]
    assert (verdict.feature, verdict.judged_psi) == ("x0", pytest.approx(summary.psi))
    (watch,) = ask(segmented, segment="region", value="other", window="5m").watches
    assert {one.segment.value for one in watch.judgements} == {None}


def test_where_the_baseline_does_not_know_a_value_its_whole_stands_in(tmp_path, baseline, regional):
    world = DriftWorld(tmp_path, baseline=baseline, segments={"region": ("eu", "us")})
    world.pass_rows(regional(9_000, 2))
    found = by_value(judgement(world.judged()))
    assert all(summary.stands_in for summary in found.values())
    assert (found["eu"].status, found["us"].status) == (Status.MAJOR, Status.OK)


def test_other_is_the_same_rows_only_where_the_same_values_are_told_apart(tmp_path, regional):
    roles = Roles(
        prediction="prediction",
        score="score",
        segments=("region",),
        segment_values={"region": ("eu", "us", "ap")},
    )
    baseline = learn("stable", regional(60_000, 1), roles)
    world = DriftWorld(tmp_path, baseline=baseline, segments={"region": ("eu", "us")})
    world.pass_rows(regional(9_000, 2))
    stands_in = {v: one.stands_in for v, one in by_value(judgement(world.judged())).items()}
    assert stands_in == {"eu": False, "us": False, None: True}


def test_an_ignored_column_alarms_in_no_segment_either(segmented, regional):
    segmented.configure(features={"x0": FeatureOverride(ignore=True)})
    segmented.pass_rows(regional(9_000, 2, shift=1.5))
    found = by_value(judgement(segmented.judged()))["eu"]
    assert found.status is Status.OK
    assert found.feature != "x0"


def test_a_burst_in_one_segment_is_judged_by_its_own_dispersion(segmented, regional):
    """The region's rows come from three customers, each at a time; the other region's do not."""
    values = regional(9_000, 2)
    eu = np.array(values["region"]) == "eu"
    values["x0"][eu] = np.repeat([2.0, 3.0, 5.0], -(-eu.sum() // 3))[: eu.sum()]
    segmented.pass_rows(values, minutes=6)
    found = by_value(judgement(segmented.judged()))
    assert found["eu"].counts[Status.MAJOR] == found["eu"].counts[Status.DRIFT] == 0
    assert found["eu"].counts[Status.INSUFFICIENT_DATA] > 0


# --- what is said of a window as a whole ---------------------------------------------------------


def test_a_model_that_changed_by_itself_is_found(world):
    values = rows(5_000, seed=2)
    values["prediction"] = 1 - values["prediction"]
    values["score"] = (values["score"] ** 4).round(2)
    world.pass_rows(values)
    kinds = {finding.kind for finding in world.judged().watches[0].findings["5m"]}
    assert kinds == {FindingKind.MODEL_DRIFT}


def test_figures_of_a_window_stand_without_a_reference(world):
    values = rows(5_000, seed=2)
    values["x1"][:500] = np.nan
    world.pass_rows(values)
    figures = world.judged().watches[0].figures["5m"]
    assert figures.rows == 5_000
    assert figures.missing["x1"] == pytest.approx(0.1)
    assert figures.positive_rate == pytest.approx(values["prediction"].mean())
    confidence = np.maximum(values["score"], 1 - values["score"]).mean()
    assert figures.confidence == pytest.approx(confidence, abs=0.005)


# --- one column in full --------------------------------------------------------------------------


def test_which_values_go_with_failures_and_slow_answers(world):
    values = rows(5_000, seed=2)
    high = values["x0"] > 1.0
    world.pass_rows(values, failed=high.astype(int), latency_ns=np.where(high, 10**9, 10**6))
    found = asyncio.run(world.watch.detail(Question(window="5m", reference="baseline"), "x0"))
    assert found.outcomes.failed.sum() == high.sum()
    share = found.outcomes.failed / np.maximum(found.outcomes.rows, 1)
    assert share[0] == 0
    assert share[-3] == 1
    assert found.outcomes.latency_ns[0] == found.outcomes.rows[0] * 10**6
    assert found.verdict.evidence is not None
    assert (found.expected.count, found.found.count) == (50_000, 5_000)


def test_which_segments_fail_is_shown_beside(segmented, regional):
    values = regional(9_000, 2)
    eu = np.array(values["region"]) == "eu"
    segmented.pass_rows(values, failed=eu.astype(int))
    found = asyncio.run(segmented.watch.detail(Question(segment="region", value="eu"), "x0"))
    assert found.rows == eu.sum()
    failed = {one.segment.value: one.failed for one in found.segments}
    assert failed == {"eu": eu.sum(), "us": 0, None: 0}


@pytest.mark.parametrize(
    ("question", "feature", "words"),
    [
        ({}, "y", "has no column 'y'; it has: x0, x1, x2, plan"),
        ({"segment": "region"}, "x0", "no segment key 'region'"),
        ({"reference": "week"}, "x0", "No snapshots of 'week'"),
        ({"window": "1h"}, "x0", "No whole window of 1h"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(world, question, feature, words):
    world.pass_rows(rows(5_000, seed=2))
    with pytest.raises(ClientError) as refused:
        asyncio.run(world.watch.detail(Question(**question), feature))
    assert words in str(refused.value)


# --- what it costs -------------------------------------------------------------------------------


def test_a_round_says_how_long_it_took(world):
    assert world.judged().duration_s == 0.25


def test_what_is_no_longer_watched_is_forgotten(world):
    world.judged()
    world.known = ()
    assert world.judged().watches == ()
    assert world.watch._prepared == {}


def test_a_new_baseline_is_taken_over(world):
    world.pass_rows(rows(5_000, seed=2, shift=1.0))
    assert judgement(world.judged()).status is Status.MAJOR
    (old,) = world.known
    edited = dataclasses.replace(old.baseline, rows=49_999)
    world.known = (dataclasses.replace(old, baseline=edited),)
    assert judgement(world.judged()).reference_rows == 49_999
