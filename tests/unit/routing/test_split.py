"""The slot table: what a change of percentages moves, and what it must leave alone."""

import pytest

from sidecar.errors import ConfigError
from sidecar.routing import SLOTS, Split


def slots_of(split: Split, model: str) -> set[int]:
    """The slots a model holds."""
    index = split.models.index(model)
    return {slot for slot, holder in enumerate(split.slots) if holder == index}


def test_a_fresh_split_gives_each_canary_its_percentage_and_the_primary_the_rest():
    split = Split.fresh("stable", {"next": 5, "other": 2.5}, "salt")

    assert split.models == ("stable", "next", "other")
    assert split.percents() == {"stable": 92.5, "next": 5.0, "other": 2.5}


def test_a_split_without_canaries_is_all_the_primarys():
    assert Split.fresh("stable", {}, "salt").percents() == {"stable": 100.0}


def test_raising_a_canary_takes_slots_from_the_primary_only():
    before = Split.fresh("stable", {"next": 5, "other": 10}, "salt")

    after = before.reweigh({"next": 20, "other": 10}, "unused")

    assert slots_of(before, "next") < slots_of(after, "next")
    assert slots_of(after, "other") == slots_of(before, "other")


def test_lowering_a_canary_gives_slots_back_to_the_primary_only():
    before = Split.fresh("stable", {"next": 20, "other": 10}, "salt")

    after = before.reweigh({"next": 5, "other": 10}, "unused")

    assert slots_of(after, "next") < slots_of(before, "next")
    assert slots_of(after, "stable") > slots_of(before, "stable")
    assert slots_of(after, "other") == slots_of(before, "other")


def test_a_canary_that_is_left_out_is_gone_and_its_slots_are_the_primarys():
    before = Split.fresh("stable", {"next": 20, "other": 10}, "salt")

    after = before.reweigh({"other": 10}, "unused")

    assert after.models == ("stable", "other")
    assert slots_of(after, "other") == slots_of(before, "other")
    assert after.percents() == {"stable": 90.0, "other": 10.0}


def test_reordering_the_canaries_moves_nobody():
    before = Split.fresh("stable", {"next": 20, "other": 10}, "salt")

    after = before.reweigh({"other": 10, "next": 20}, "unused")

    assert after.models == ("stable", "other", "next")
    assert all(slots_of(after, model) == slots_of(before, model) for model in before.models)


def test_a_canary_that_comes_back_gets_the_same_slots():
    before = Split.fresh("stable", {"next": 20, "other": 10}, "salt")

    after = before.reweigh({"next": 3, "other": 10}, "a").reweigh({"next": 20, "other": 10}, "b")

    assert after == before


def test_a_raise_that_would_move_users_between_canaries_is_refused_and_works_in_two_steps():
    split = Split.fresh("stable", {"next": 60, "other": 40}, "salt")

    with pytest.raises(ConfigError, match=r"\$\.other: the primary has 0 % to give") as refused:
        split.reweigh({"next": 20, "other": 80}, "unused")
    in_two_steps = split.reweigh({"next": 20, "other": 40}, "a").reweigh(
        {"next": 20, "other": 80}, "b"
    )

    assert refused.value.code == "needs_two_steps"
    assert in_two_steps.percents() == {"stable": 0.0, "next": 20.0, "other": 80.0}


def test_one_canary_may_rise_while_another_falls_when_the_primary_has_enough():
    before = Split.fresh("stable", {"next": 30, "other": 10}, "salt")

    after = before.reweigh({"next": 10, "other": 30}, "unused")

    assert after.percents() == {"stable": 60.0, "next": 10.0, "other": 30.0}
    assert not slots_of(after, "other") & slots_of(before, "next")


def test_the_salt_is_kept_while_a_canary_holds_a_slot():
    split = Split.fresh("stable", {"next": 5, "other": 0}, "first")

    assert split.reweigh({"next": 50, "other": 1}, "second").salt == "first"
    assert split.reweigh({"next": 0, "other": 0}, "second").salt == "first"


def test_a_new_salt_is_adopted_when_a_rollout_begins():
    idle = Split.fresh("stable", {"next": 5}, "first").reweigh({"next": 0}, "second")

    assert idle.reweigh({"next": 5}, "third").salt == "third"


def test_changing_nothing_twice_changes_nothing():
    split = Split.fresh("stable", {"next": 5}, "salt")

    assert split.reweigh({"next": 5}, "other salt") == split


@pytest.mark.parametrize(
    ("percents", "message"),
    [
        ({"next": 60, "other": 41}, r"^\$: the canaries' percentages sum to 101, expected at most"),
        ({"next": -1}, r"^\$\.next: expected a percentage, 0 to 100, got -1"),
        ({"next": 100.5}, r"^\$\.next: expected a percentage, 0 to 100, got 100\.5"),
        ({"next": float("nan")}, r"^\$\.next: expected a percentage, 0 to 100, got nan"),
        ({"stable": 10}, r"^\$\.stable: the primary holds what the canaries leave"),
    ],
)
def test_percentages_that_cannot_be_are_refused(percents, message):
    with pytest.raises(ConfigError, match=message):
        Split.fresh("stable", {}, "salt").reweigh(percents, "salt")


@pytest.mark.parametrize("percent", [5.1, 0.07, 33.33, 99.99, 0.29, 57.0])
def test_a_decimal_percentage_gets_exactly_the_slots_it_names(percent):
    split = Split.fresh("stable", {"next": percent}, "salt")

    assert split.percents()["next"] == percent


def test_percentages_that_sum_to_100_only_on_paper_are_accepted():
    thirds = {"a": 100 / 3, "b": 100 / 3, "c": 100 / 3}

    split = Split.fresh("stable", thirds, "salt")

    assert split.percents() == {"stable": 0.01, "a": 33.33, "b": 33.33, "c": 33.33}


@pytest.mark.parametrize(
    ("models", "slots", "salt", "message"),
    [
        ((), bytes(SLOTS), "", "1 to 256 models"),
        (tuple(f"m{i}" for i in range(257)), bytes(SLOTS), "", "1 to 256 models"),
        (("a", "a"), bytes(SLOTS), "", "a model twice"),
        (("a",), bytes(SLOTS - 1), "", "10000 slots, got 9999"),
        (("a",), b"\x01" * SLOTS, "", "does not name"),
        (("a",), bytes(SLOTS), "s" * 65, "at most 64 bytes"),
    ],
)
def test_a_split_whose_parts_do_not_fit_cannot_exist(models, slots, salt, message):
    with pytest.raises(ValueError, match=message):
        Split(models=models, slots=slots, salt=salt)
