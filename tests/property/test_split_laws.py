"""Laws of the slot table through any history of changes, drawn by Hypothesis."""

from collections import Counter

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.errors import ConfigError
from sidecar.routing import SLOTS, SLOTS_PER_PERCENT, Split

CANARIES = ("next", "other", "third")

percentages = st.integers(0, SLOTS).map(lambda slots: slots / SLOTS_PER_PERCENT)
any_percents = st.dictionaries(st.sampled_from(CANARIES), st.floats(0, 100))


@st.composite
def possible_percents(draw):
    """Percentages of some canaries, in any order, that sum to at most 100."""
    left = 100.0
    percents = {}
    for model in draw(st.permutations(CANARIES))[: draw(st.integers(0, len(CANARIES)))]:
        percents[model] = draw(st.floats(0, left))
        left = max(left - percents[model], 0.0)
    return percents


def holders(split: Split) -> list[str]:
    """Who holds each slot."""
    return [split.models[index] for index in split.slots]


def moved_between_canaries(before: Split, after: Split) -> bool:
    """Whether any slot went from one canary to another."""
    return any(
        was != now and was != before.primary and now != after.primary
        for was, now in zip(holders(before), holders(after), strict=True)
    )


class Rollouts(RuleBasedStateMachine):
    """Canaries are raised, lowered, removed and changed together; users watch what they get."""

    @initialize(percents=possible_percents())
    def begin(self, percents):
        self.asked = percents
        self.split = Split.fresh("stable", percents, "0")
        self.changes = 0

    def change(self, percents):
        self.changes += 1
        before = self.split
        self.split = before.reweigh(percents, str(self.changes))
        self.asked = percents
        return before

    @rule(data=st.data(), model=st.sampled_from(CANARIES))
    def raise_one(self, data, model):
        now = self.asked.get(model, 0.0)
        room = 100.0 - sum(self.asked.values())
        raised = data.draw(st.floats(now, max(now, min(now + room, 100.0))))

        before = self.change({**self.asked, model: raised})

        changed = [
            (was, is_)
            for was, is_ in zip(holders(before), holders(self.split), strict=True)
            if was != is_
        ]
        assert set(changed) <= {("stable", model)}

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def lower_one(self, data):
        model = data.draw(st.sampled_from(sorted(self.asked)))
        lowered = data.draw(st.floats(0, self.asked[model]))

        before = self.change({**self.asked, model: lowered})

        changed = {
            (was, is_)
            for was, is_ in zip(holders(before), holders(self.split), strict=True)
            if was != is_
        }
        assert changed <= {(model, "stable")}

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def remove_one(self, data):
        model = data.draw(st.sampled_from(sorted(self.asked)))

        before = self.change({name: p for name, p in self.asked.items() if name != model})

        assert not moved_between_canaries(before, self.split)
        assert model not in self.split.models

    @rule(percents=possible_percents())
    def change_all(self, percents):
        before = self.split
        held = Counter(holders(before))
        wanted = {
            model: int(percent * SLOTS_PER_PERCENT + 1e-6) for model, percent in percents.items()
        }
        raised = sum(max(count - held[model], 0) for model, count in wanted.items())
        if raised > held["stable"]:
            with pytest.raises(ConfigError) as refused:
                self.change(percents)
            assert refused.value.code == "needs_two_steps"
        else:
            self.change(percents)
            assert not moved_between_canaries(before, self.split)

    @rule()
    def roll_back(self):
        self.change(dict.fromkeys(self.asked, 0.0))

        assert set(self.split.slots) == {0}

    @invariant()
    def percentages_are_met_to_one_slot(self):
        held = self.split.percents()
        assert sum(held.values()) == pytest.approx(100)
        for model, percent in self.asked.items():
            assert abs(held[model] - percent) < 1.001 / SLOTS_PER_PERCENT

    @invariant()
    def the_same_change_again_changes_nothing(self):
        assert self.split.reweigh(self.asked, "again") == self.split

    @invariant()
    def it_survives_the_wire(self):
        wire = msgspec.msgpack.encode(self.split)
        assert msgspec.msgpack.decode(wire, type=Split) == self.split


Rollouts.TestCase.settings = settings(max_examples=25, stateful_step_count=8)
test_rollouts = Rollouts.TestCase


@given(percents=any_percents)
@settings(max_examples=50)
def test_percentages_over_100_are_refused_and_all_others_are_met(percents):
    idle = Split.fresh("stable", {}, "salt")
    if sum(percents.values()) > 100 + 1e-6:
        with pytest.raises(ConfigError, match="sum to"):
            idle.reweigh(percents, "salt")
    else:
        held = idle.reweigh(percents, "salt").percents()
        assert all(abs(held[model] - percent) < 0.01001 for model, percent in percents.items())
