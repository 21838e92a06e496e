"""Random lives of a routing state: weights, rollbacks, resets, reloads, restarts.

Whatever happens, in any order: versions rise by one, what is set at run time outranks the file,
every update compiles, keys keep their places, and no slot moves from one canary to another.
"""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sidecar.config.settings import Canary, ModelSettings, RouteSettings, Settings
from sidecar.config.tables import build_table
from sidecar.config.wire import decode, encode
from sidecar.control.state import Remembered, RoutingState
from sidecar.errors import ClientError, ConfigError
from sidecar.routing import Router

MODELS = ("a", "b", "c")
ROUTES = ("iris", "wine")
SIZE = {"cells": 16, "model_rows": 8}

percents = st.sampled_from([0, 0.01, 1, 5, 25, 33.33, 50, 100])
canaries = st.dictionaries(st.sampled_from(MODELS), percents, max_size=3).filter(
    lambda weights: sum(weights.values()) <= 100
)
files = st.dictionaries(st.sampled_from(ROUTES), canaries, min_size=1)


def settings_of(file: dict[str, dict[str, float]]) -> Settings:
    """The settings of a file: routes with their canaries; `stable` is always the primary."""
    return Settings(
        models={name: ModelSettings(url="http://m:1") for name in ("stable", *MODELS)},
        routes=tuple(
            RouteSettings(
                name=name,
                primary="stable",
                canaries=tuple(Canary(model=m, percent=p) for m, p in weights.items()),
            )
            for name, weights in file.items()
        ),
    )


class Lives(RuleBasedStateMachine):
    """`state` is the product's; `file` and `overrides` are what it ought to follow."""

    def __init__(self) -> None:
        super().__init__()
        numbers = itertools.count()
        self.salts = lambda: f"salt-{next(numbers)}"
        self.file: dict[str, dict[str, float]] = {}
        self.overrides: dict[tuple[str, str], float] = {}
        self.state: RoutingState
        self.before: RoutingState | None = None

    def becomes(self, state: RoutingState) -> None:
        self.before, self.state = self.state, state

    @initialize(file=files)
    def start(self, file) -> None:
        self.file = file
        nothing = Remembered.nothing(**SIZE)
        self.state = nothing.started(settings_of(file), **SIZE, salts=self.salts)

    @rule(route=st.sampled_from(ROUTES), weights=canaries)
    def set_weights(self, route, weights) -> None:
        with contextlib.suppress(ClientError):
            self.becomes(self.state.with_weights(route, weights, self.salts))
            self.overrides.update({(route, model): p for model, p in weights.items()})

    @rule(route=st.sampled_from([None, *ROUTES]))
    def roll_back(self, route) -> None:
        with contextlib.suppress(ClientError):
            self.becomes(self.state.rolled_back(route, self.salts))
            for name in [route] if route else self.file:
                self.overrides.update({(name, model): 0.0 for model in self.file[name]})

    @rule(route=st.sampled_from([None, *ROUTES]))
    def reset(self, route) -> None:
        with contextlib.suppress(ClientError):
            self.becomes(self.state.reset(route, self.salts))
            self.overrides = {
                at: p for at, p in self.overrides.items() if route is not None and at[0] != route
            }

    @rule(file=files)
    def reload(self, file) -> None:
        with contextlib.suppress(ConfigError):
            self.becomes(self.state.with_settings(settings_of(file), self.salts))
            self.file = file

    @rule(file=files)
    def restart(self, file) -> None:
        remembered = decode(encode(self.state), Remembered)
        state = remembered.started(settings_of(file), **SIZE, salts=self.salts)
        self.before, self.state, self.file = None, state, file

    @invariant()
    def versions_rise_by_one(self) -> None:
        if self.before is not None:
            assert self.state.version == self.before.version + 1

    @invariant()
    def what_is_set_at_run_time_outranks_the_file(self) -> None:
        for name, weights in self.file.items():
            held = self.state.percents(name)
            assert sum(held.values()) == pytest.approx(100)
            assert list(held) == ["stable", *weights]
            set_here = {m: p for (r, m), p in self.overrides.items() if r == name and m in weights}
            if sum(set_here.values()) <= 100:
                for model, percent in set_here.items():
                    assert held[model] == percent
        assert {(o.route, o.model): o.percent for o in self.state.overridden()} == self.overrides

    @invariant()
    def every_update_compiles_with_a_cell_for_every_target(self) -> None:
        table = build_table(self.state.update())
        assert Router(table).version == self.state.version
        cells = [target.cell for route in table.routes for target in route.targets]
        assert -1 not in cells
        assert len(set(cells)) == len(cells)

    @invariant()
    def keys_keep_their_places(self) -> None:
        if self.before is None:
            return
        for place, key in enumerate(self.before.cells.keys):
            if key is not None and key in self.state.cells.keys:
                assert self.state.cells.keys[place] == key

    @invariant()
    def no_slot_moves_from_one_canary_to_another(self) -> None:
        if self.before is None:
            return
        for name in set(self.before.splits) & set(self.state.splits):
            old, new = self.before.splits[name], self.state.splits[name]
            for before, after in set(zip(old.slots, new.slots, strict=True)):
                was, now = old.models[before], new.models[after]
                assert was == now or "stable" in {was, now} or was not in new.models


TestLives = Lives.TestCase
TestLives.settings = hypothesis_settings(max_examples=40, stateful_step_count=20)
