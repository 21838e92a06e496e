"""Which bodies are kept: shares are met, failures are kept, the unusual are the most unusual."""

import random
from collections import Counter

import pytest

from sidecar.records import CapturePolicy, Why
from sidecar.records.policy import WINDOW, Unusual


def whys(policy: CapturePolicy, scores, *, model="m", failed=False, seed=1) -> Counter:
    chance = random.Random(seed)
    return Counter(
        policy.why(model, failed=failed, unusual=score, draw=chance.random()) for score in scores
    )


def test_the_share_of_a_model_is_met_and_outranks_that_of_the_route():
    policy = CapturePolicy(bodies=0.1, models={"next": 0.5, "never": 0.0})

    found = {m: whys(policy, [None] * 20_000, model=m)[Why.SAMPLED] for m in ("m", "next", "never")}

    assert found["m"] == pytest.approx(2000, abs=6 * 42)  # six standard deviations
    assert found["next"] == pytest.approx(10_000, abs=6 * 71)
    assert found["never"] == 0


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (1.0, 1000)])
def test_none_and_all_are_exact(share, kept):
    assert whys(CapturePolicy(bodies=share), [None] * 1000)[Why.SAMPLED] == kept


def test_every_failure_is_kept_and_says_so():
    assert whys(CapturePolicy(bodies=0.5), [1.0] * 100, failed=True) == {Why.FAILED: 100}


def test_without_failures_they_are_sampled_as_the_rest():
    policy = CapturePolicy(bodies=1.0, failures=False)

    assert whys(policy, [None] * 10, failed=True) == {Why.SAMPLED: 10}


def test_a_sample_is_fair_to_the_usual_and_the_unusual():
    chance = random.Random(2)
    policy = CapturePolicy(bodies=0.2, unusual=0.05)
    sampled = Counter()
    for _ in range(40_000):
        score = chance.choice([0.0, 0.9])
        if policy.why("m", failed=False, unusual=score, draw=chance.random()) is Why.SAMPLED:
            sampled[score] += 1

    assert sampled[0.0] == pytest.approx(4000, abs=6 * 57)
    assert sampled[0.9] == pytest.approx(4000, abs=6 * 57)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2])
@pytest.mark.parametrize(
    "draw_score",
    [
        lambda chance: chance.random(),
        lambda chance: chance.choice([0.0] * 7 + [0.5, 0.5, 0.75]),  # as the monitor scores
        lambda chance: 0.5,
    ],
)
def test_the_share_of_the_unusual_is_met_whatever_the_scores(share, draw_score):
    chance = random.Random(3)
    unusual = Unusual(share)
    count = 100_000

    taken = sum(unusual.take(draw_score(chance), chance.random()) for _ in range(count))

    assert taken / count == pytest.approx(share, rel=0.05, abs=6 * (share / count) ** 0.5)


def test_shortcuts_change_nothing():
    """The threshold spares a rank only where the rank would say no."""
    chance = random.Random(7)
    for share in (0.001, 0.05, 0.5, 1.0):
        quick, slow = Unusual(share), Unusual(share)
        for _ in range(3000):
            score, draw = chance.choice([0.1, 0.5, chance.random()]), chance.random()
            slow._threshold = 0.0
            assert quick.take(score, draw) == slow.take(score, draw)


def test_what_passes_would_never_be_taken_and_is_learned_from_all_the_same():
    chance = random.Random(3)
    asked, spared = Unusual(0.05), Unusual(0.05)
    passed = 0
    for _ in range(5 * WINDOW):
        score, draw = chance.choice([0.0, 0.5, 0.75, 0.875]), chance.random()
        taken = asked.take(score, draw)
        if spared.passes(score):
            passed += 1
            assert not taken
        else:
            assert spared.take(score, draw) == taken
    assert WINDOW < passed < 5 * WINDOW


def test_of_a_share_of_nothing_everything_passes():
    unusual = Unusual(0.0)
    assert all(unusual.passes(score) for score in (0.0, 0.5, 1.0))


def test_the_most_unusual_are_taken():
    chance = random.Random(4)
    unusual = Unusual(0.01)
    for _ in range(WINDOW):
        unusual.take(chance.random() / 2, chance.random())

    assert unusual.take(0.9, draw=0.999)
    assert not unusual.take(0.3, draw=0.0)


def test_what_is_not_unusual_at_all_is_never_taken():
    unusual = Unusual(0.5)

    assert not any(unusual.take(0.0, draw=0.0) for _ in range(5000))


def test_a_new_level_of_scores_becomes_usual():
    chance = random.Random(5)
    unusual = Unusual(0.01)
    for _ in range(2000):
        unusual.take(0.1, chance.random())
    later = [unusual.take(0.9, chance.random()) for _ in range(5000)]

    assert all(later[:20])
    assert sum(later[-3000:]) / 3000 == pytest.approx(0.01, abs=0.008)


def test_models_have_thresholds_of_their_own():
    chance = random.Random(6)
    policy = CapturePolicy(unusual=0.01)
    for _ in range(2000):
        policy.why("calm", failed=False, unusual=0.1, draw=chance.random())
        policy.why("wild", failed=False, unusual=0.9, draw=chance.random())

    assert policy.why("calm", failed=False, unusual=0.5, draw=0.99) is Why.UNUSUAL
    assert policy.why("wild", failed=False, unusual=0.5, draw=0.99) is None


def test_an_exchange_without_a_score_is_not_unusual():
    assert whys(CapturePolicy(unusual=1.0), [None] * 100) == {None: 100}


def test_who_keeps_nothing_says_so():
    assert CapturePolicy(failures=False).keeps_nothing
    assert not CapturePolicy(failures=False, models={"m": 0.1}).keeps_nothing
    assert not CapturePolicy(failures=False, unusual=0.01).keeps_nothing
    assert not CapturePolicy().keeps_nothing


def test_who_keeps_failures_alone_says_so():
    assert not CapturePolicy(models={"m": 0.1}).may_keep_answered("other")
    assert CapturePolicy(models={"m": 0.1}).may_keep_answered("m")
    assert CapturePolicy(unusual=0.01).may_keep_answered("other")
