"""Every change of routing as a value: versions, overrides, splits, places."""

from __future__ import annotations

import msgspec
import pytest

from sidecar.config.tables import build_table
from sidecar.control.state import Override, Remembered, effective_percents
from sidecar.errors import ClientError, ConfigError
from sidecar.model import CellKey, Role


def test_the_first_start_has_version_one_and_the_percentages_of_the_file(start):
    state = start(next=5)
    assert state.version == 1
    assert state.percents("iris") == {"stable": 95.0, "next": 5.0}
    assert state.overridden() == []


def test_every_change_raises_the_version_by_one(start, salts, make_settings):
    state = start(next=5)
    changes = [
        lambda s: s.with_weights("iris", {"next": 10}, salts),
        lambda s: s.rolled_back("iris", salts),
        lambda s: s.rolled_back("iris", salts),  # also one that changes nothing
        lambda s: s.reset(None, salts),
        lambda s: s.with_settings(make_settings(next=7), salts),
    ]
    for number, change in enumerate(changes, start=2):
        state = change(state)
        assert state.version == number


def test_an_update_is_one_that_a_worker_can_compile(start):
    update = start(next=5, other=10).update()
    table = build_table(update)
    assert table.version == 1
    assert {target.cell for target in table.routes[0].targets} == {0, 1, 2}


def test_cells_are_route_model_role_and_every_model_has_a_row(start):
    state = start(next=5)
    assert [key for key in state.cells.keys if key] == [
        CellKey(route="iris", model="stable", role=Role.PRIMARY),
        CellKey(route="iris", model="next", role=Role.CANARY),
        CellKey(route="iris", model="trial", role=Role.SHADOW),
    ]
    assert [row for row in state.model_rows.keys if row] == ["stable", "trial", "next"]


def test_a_runtime_weight_outranks_the_file_until_it_is_reset(start, salts, make_settings):
    state = start(next=5).with_weights("iris", {"next": 20}, salts)
    state = state.with_settings(make_settings(next=50), salts)
    assert state.percents("iris")["next"] == 20
    assert state.overridden() == [Override(route="iris", model="next", percent=20, file_percent=50)]
    assert state.reset("iris", salts).percents("iris")["next"] == 50


def test_weights_that_are_not_named_stay_as_they_are(start, salts):
    state = start(a=10, b=20).with_weights("iris", {"b": 30}, salts)
    assert state.percents("iris") == {"stable": 60.0, "a": 10.0, "b": 30.0}
    assert state.overrides == {"iris": {"b": 30}}


def test_a_rollback_takes_every_canary_off_and_survives_restart_and_reload(
    start, salts, make_settings
):
    state = start(a=10, b=20).rolled_back(None, salts)
    assert state.percents("iris") == {"stable": 100.0, "a": 0.0, "b": 0.0}
    reloaded = state.with_settings(make_settings(a=10, b=20), salts)
    assert reloaded.percents("iris")["a"] == 0
    restarted = _remembered(reloaded).started(
        make_settings(a=10, b=20), cells=16, model_rows=16, salts=salts
    )
    assert restarted.percents("iris") == {"stable": 100.0, "a": 0.0, "b": 0.0}
    assert restarted.version == reloaded.version + 1


def test_a_rollback_outlives_the_absence_of_its_canary_from_the_file(start, salts, make_settings):
    state = start(a=10).rolled_back("iris", salts)
    state = state.with_settings(make_settings(), salts)
    assert state.overridden() == [Override(route="iris", model="a", percent=0, file_percent=None)]
    assert state.with_settings(make_settings(a=10), salts).percents("iris")["a"] == 0


def test_a_canary_that_is_new_in_the_file_is_not_touched_by_an_older_rollback(
    start, salts, make_settings
):
    state = start(a=10).rolled_back("iris", salts)
    state = state.with_settings(make_settings(a=10, b=5), salts)
    assert state.percents("iris") == {"stable": 95.0, "a": 0.0, "b": 5.0}


def test_an_unknown_route_is_refused_with_the_known_ones(start, salts):
    for change in (
        lambda s: s.with_weights("nope", {}, salts),
        lambda s: s.rolled_back("nope", salts),
        lambda s: s.reset("nope", salts),
    ):
        with pytest.raises(ClientError, match="iris") as refused:
            change(start(a=10))
        assert refused.value.status == 404


@pytest.mark.parametrize(
    ("weights", "code", "says"),
    [
        ({"nope": 1}, "unknown_canary", "a, b"),
        ({"stable": 90}, "unknown_canary", "primary"),
        ({"trial": 1}, "unknown_canary", "a, b"),
        ({"a": 100.5}, "bad_weight", "0 to 100"),
        ({"a": float("nan")}, "bad_weight", "0 to 100"),
        ({"a": 81}, "bad_weight", "101"),
    ],
)
def test_impossible_weights_are_refused(start, salts, weights, code, says):
    with pytest.raises(ClientError, match=says) as refused:
        start(a=10, b=20).with_weights("iris", weights, salts)
    assert (refused.value.status, refused.value.code) == (422, code)


def test_an_exchange_between_canaries_in_one_step_is_refused_in_words(start, salts):
    # Slots never move between canaries, so the primary would have to hand out what it lacks.
    with pytest.raises(ClientError, match="second change") as refused:
        start(a=90, b=0).with_weights("iris", {"a": 0, "b": 90}, salts)
    assert refused.value.code == "needs_two_steps"


def test_such_an_exchange_in_the_file_is_refused_by_a_reload_but_not_by_a_start(
    start, salts, make_settings
):
    before, after = start(a=90, b=0), make_settings(a=0, b=90)
    with pytest.raises(ConfigError, match=r"\$\.routes\[0\]\.canaries"):
        before.with_settings(after, salts)
    restarted = _remembered(before).started(after, cells=16, model_rows=16, salts=salts)
    assert restarted.percents("iris")["b"] == 90


def test_overrides_are_served_before_the_file_when_both_exceed_the_whole(start, make_settings):
    route = make_settings(a=60, b=30, c=30).routes[0]
    assert effective_percents(route, {"b": 80}) == {"a": 20, "b": 80, "c": 0}


def test_a_promoted_canary_leaves_the_other_canaries_their_users(start, salts, make_settings):
    before = start(a=10, b=20)
    slots_of_b = _slots(before.splits["iris"], "b")
    promoted = msgspec.structs.replace(make_settings(b=20).routes[0], primary="a")
    settings = msgspec.structs.replace(make_settings(a=0, b=20), routes=(promoted,))
    after = before.with_settings(settings, salts)
    assert after.percents("iris") == {"a": 80.0, "b": 20.0}
    assert _slots(after.splits["iris"], "b") == slots_of_b


def test_the_salt_is_renewed_only_when_a_rollout_begins(start, salts):
    state = start(a=0)
    first = state.splits["iris"].salt
    begun = state.with_weights("iris", {"a": 5}, salts)
    assert begun.splits["iris"].salt != first
    raised = begun.with_weights("iris", {"a": 10}, salts)
    assert raised.splits["iris"].salt == begun.splits["iris"].salt


def test_more_cells_than_the_board_has_are_refused_by_the_name_of_the_key(salts, make_settings):
    nothing = Remembered.nothing(cells=2, model_rows=16)
    with pytest.raises(ConfigError, match=r"\$\.metrics\.cells: .* holds 2, .* need 3"):
        nothing.started(make_settings(a=1), cells=2, model_rows=16, salts=salts)


def test_a_board_of_another_size_is_laid_out_anew(start, salts, make_settings):
    crowded = start(a=1, b=1).with_settings(make_settings(b=1), salts)
    assert crowded.cells.keys[1] is None
    anew = _remembered(crowded).started(make_settings(b=1), cells=8, model_rows=8, salts=salts)
    assert [key is None for key in anew.cells.keys] == [False] * 3 + [True] * 5


def _remembered(state: Remembered) -> Remembered:
    """What is left of a state when only that is read which a restart must not forget."""
    return Remembered(**{name: getattr(state, name) for name in Remembered.__struct_fields__})


def _slots(split, model: str) -> set[int]:
    index = split.models.index(model)
    return {slot for slot, holder in enumerate(split.slots) if holder == index}
