import numpy as np
import pytest
from harness.counted import FAR, SAME, SHIFTED, SLIGHT, judged

from sidecar.drift import FindingKind, summarise
from sidecar.drift.findings import partial_conjunction
from sidecar.model import ColumnPart

SCORE = {"score": ColumnPart.SCORE}
LARGER = tuple(20 * count for count in SLIGHT)
"""The slight shift, in 20,000 rows."""


def kinds(verdicts, **references):
    return [found.kind for found in summarise({"baseline": verdicts, **references})]


def named(count, counts):
    return {f"x{number}": counts for number in range(count)}


def test_a_quiet_window_has_nothing_to_tell():
    assert kinds(judged(named(30, SAME))) == []
    assert summarise({}) == []
    assert kinds([]) == []


def test_drift_from_the_baseline_but_not_from_last_week_is_seasonal():
    now = judged({"age": SHIFTED, "debt": FAR, "income": SAME})
    week = judged({"age": SAME, "debt": SAME, "income": SAME}, against="week")

    (found,) = summarise({"baseline": now, "week": week})

    assert (found.kind, found.features) == (FindingKind.SEASONAL, ("debt", "age"))
    assert found.reference.name == "week"
    assert "debt, age drifted from baseline and not from week" in found.why
    assert found.why.endswith("n = 1,000.")


@pytest.mark.parametrize(
    "then",
    [
        judged({"age": SHIFTED}, against="week"),  # a week ago it was different too
        judged({"age": (9,) * 10}, against="week"),  # nobody knows
        judged({"other": SAME}, against="week"),
        [],
    ],
)
def test_without_a_like_week_a_shift_is_not_seasonal(then):
    assert FindingKind.SEASONAL not in kinds(judged({"age": SHIFTED}), week=then)


def test_a_score_is_not_taken_for_the_feature_of_its_name():
    now = judged({"score": SHIFTED})
    then = judged({"score": SAME}, against="week", parts=SCORE)

    assert FindingKind.SEASONAL not in kinds(now, week=then)


def test_many_small_shifts_are_told_together():
    (found,) = summarise({"baseline": judged(named(30, LARGER))})

    assert found.kind is FindingKind.COMPOUND
    assert found.p < 0.01
    assert len(found.features) == 30
    assert "No column drifted from baseline by itself" in found.why
    assert "x0, x1, x2 and 27 more" in found.why


def test_one_or_two_columns_alone_cannot_make_a_compound_shift():
    assert kinds(judged({**named(2, LARGER), **{f"same{at}": SAME for at in range(28)}})) == []


def test_many_trifles_are_no_compound_shift_however_many_rows_there_are():
    trifle = tuple(100_000 + 2500 * step for step in range(-4, 6))

    assert kinds(judged(named(30, trifle))) == []


def test_columns_that_drift_alone_are_not_counted_among_the_small_shifts():
    found = summarise({"baseline": judged({"far": FAR, **named(5, LARGER)})})

    assert [one.kind for one in found] == [FindingKind.COMPOUND]
    assert "far" not in found[0].features


def test_a_shifted_score_on_steady_inputs_is_model_drift():
    (found,) = summarise({"baseline": judged({**named(5, SAME), "score": SHIFTED}, parts=SCORE)})

    assert (found.kind, found.features) == (FindingKind.MODEL_DRIFT, ("score",))
    assert "while none of 5 inputs did" in found.why


def test_where_an_input_has_shifted_too_it_is_not_the_model():
    verdicts = judged({"age": SHIFTED, "debt": SAME, "score": SHIFTED}, parts=SCORE)

    assert kinds(verdicts) == []


def test_where_inputs_have_shifted_a_little_together_it_is_not_the_model():
    verdicts = judged({**named(20, LARGER), "score": FAR}, parts=SCORE)

    assert kinds(verdicts) == [FindingKind.COMPOUND]


def test_where_no_input_could_be_judged_nothing_is_said_of_the_model():
    verdicts = judged({"age": (9,) * 10, "score": SHIFTED}, parts=SCORE)

    assert kinds(verdicts) == []


def test_a_column_that_loses_its_values_is_told():
    verdicts = judged({"age": SAME, "debt": (0,) * 10}, missing={"debt": 1000})

    (found,) = summarise({"baseline": verdicts})

    assert (found.kind, found.features) == (FindingKind.MISSING, ("debt",))
    assert "debt has no value in 100.00% of 1,000 rows, against 0.00% of 10,000" in found.why


def test_the_combined_p_is_that_of_the_third_smallest_and_beyond_among_thirty():
    p = np.full(30, 1.0)
    p[:2] = 1e-12
    assert partial_conjunction(p) == pytest.approx(0.5)

    p[2] = 1e-12
    assert partial_conjunction(p) == pytest.approx(28e-12, rel=1e-6)  # one of 28: Bonferroni


def test_equal_p_values_combine_to_themselves():
    assert partial_conjunction(np.full(30, 0.004)) == pytest.approx(0.004, rel=1e-9)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_combining_holds_its_level_however_columns_depend_on_each_other(correlation):
    rng = np.random.default_rng(9)
    common, own = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 30))
    z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    ranks = np.argsort(np.argsort(z, axis=0), axis=0)
    p = (ranks + 0.5) / len(z)  # uniform, and dependent

    combined = np.array([partial_conjunction(one) for one in p])

    assert (combined <= 0.01).mean() < 0.0125
