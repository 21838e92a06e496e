"""The table of an alert's life, cell by cell, and its timings."""

import itertools

import msgspec
import pytest

from sidecar.config.alerting import AlertSeverity
from sidecar.control.alerts.lifecycle import (
    AFTER,
    AT_ONCE,
    Condition,
    State,
    Timing,
    advanced,
    fingerprint,
    inactive,
    resolved,
)

S = 1_000_000_000
TIMING = Timing(for_ns=60 * S, keep_firing_ns=120 * S, no_data_ns=900 * S)
CODES = {"m": Condition.MET, "-": Condition.NOT_MET, "?": Condition.NO_DATA}


def life(conditions: str, *, timing: Timing = TIMING, every_s: int = 30) -> list[State]:
    """The states after each condition: `m` met, `-` not met, `?` no data."""
    alert, states = inactive("a", AlertSeverity.WARNING, (), 0), []
    for number, code in enumerate(conditions):
        alert = advanced(alert, CODES[code], timing, number * every_s * S)
        states.append(alert.state)
        if alert.state in {State.INACTIVE, State.RESOLVED}:
            alert = inactive("a", AlertSeverity.WARNING, (), number * every_s * S)
    return states


SHORT = {
    State.INACTIVE: ".", State.PENDING: "p", State.FIRING: "F", State.CLEARING: "c",
    State.RESOLVED: "R",
}  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "states"),
    [
        ("---", "..."),
        ("???", "..."),
        ("mmm", "ppF"),  # `for` of 60 s at a look every 30 s
        ("mm-mmm", "pp.ppF"),  # met again: the wait begins anew
        ("mmm-m", "ppFcF"),  # a moment of calm ends nothing
        ("mmm-----", "ppFccccR"),  # 120 s of calm do
        ("mmm----m-----", "ppFccccFccccR"),
        ("mm?m", "pppF"),  # no data: it waits, and fires on a value
        ("mm????", "pppppp"),
        ("mmm?????m", "ppFFFFFFF"),  # what fires goes on firing
        ("mmm-??--", "ppFccccR"),
    ],
)
def test_a_life_in_conditions_and_states(conditions, states):
    assert "".join(SHORT[state] for state in life(conditions)) == states


def test_without_waits_it_fires_and_ends_at_once():
    assert life("m-", timing=Timing(no_data_ns=S)) == [State.FIRING, State.RESOLVED]


@pytest.mark.parametrize("begun", ["m", "mmm", "mmm-"])
def test_when_data_is_missing_for_long_every_alert_ends(begun):
    last = State.INACTIVE if begun == "m" else State.RESOLVED

    states = life(begun + "?" * 31)

    assert states[-1] is last or last in states
    assert states[len(begun) : len(begun) + 29] == [states[len(begun)]] * 29


def test_every_state_but_the_last_can_be_left():
    leaves = {state for state, _ in itertools.chain(AT_ONCE, AFTER)}

    assert leaves == set(State) - {State.RESOLVED}


def test_nothing_moves_at_once_and_later_by_the_same_condition():
    assert not set(AT_ONCE) & set(AFTER)


def test_no_data_neither_begins_nor_at_once_ends_anything():
    assert not [pair for pair in AT_ONCE if pair[1] is Condition.NO_DATA]
    assert not [pair for pair in AFTER if pair[1] is Condition.NO_DATA and AFTER[pair][1].fires]


def test_an_episode_is_named_by_when_it_began_to_fire():
    alert = inactive("a", AlertSeverity.WARNING, (("x", "1"),), 0)
    first = advanced(alert, Condition.MET, Timing(), 5 * S)
    second = advanced(alert, Condition.MET, Timing(), 9 * S)

    assert first.starts_at_ns == 5 * S
    assert first.fingerprint == second.fingerprint
    assert first.episode != second.episode


def test_calm_and_met_again_is_the_same_episode():
    timing = Timing(keep_firing_ns=60 * S)
    alert = advanced(inactive("a", AlertSeverity.INFO, (), 0), Condition.MET, timing, 0)
    calm = advanced(alert, Condition.NOT_MET, timing, 30 * S)
    again = advanced(calm, Condition.MET, timing, 45 * S)

    assert again.episode == alert.episode
    assert calm.state.fires


def test_a_resolved_alert_says_when_it_ended():
    alert = advanced(inactive("a", AlertSeverity.INFO, (), 0), Condition.MET, Timing(), S)

    assert resolved(alert, 7 * S).ends_at_ns == 7 * S


def test_fingerprints_tell_rules_tiers_and_labels_apart():
    prints = {
        fingerprint(name, severity, labels)
        for name in ("a", "b")
        for severity in AlertSeverity
        for labels in ((), (("x", "1"),), (("x", "2"),), (("x1", ""),))
    }

    assert len(prints) == 2 * 3 * 4


def test_a_clock_that_was_set_back_lengthens_no_wait_beyond_itself():
    alert = advanced(
        inactive("a", AlertSeverity.INFO, (), 1000 * S), Condition.MET, TIMING, 1000 * S
    )
    back = advanced(alert, Condition.MET, TIMING, 10 * S)

    assert advanced(back, Condition.MET, TIMING, 70 * S).state is State.FIRING


def test_the_timings_are_named_as_the_table_names_them():
    names = {field.name for field in msgspec.structs.fields(Timing)}

    assert {wait.value for wait, _ in AFTER.values()} == names
