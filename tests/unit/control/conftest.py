"""A small world of settings and states."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from sidecar.config.settings import Canary, ModelSettings, RouteSettings, Settings, Shadow
from sidecar.control.state import Remembered, RoutingState, Salts

CELLS = 16


@pytest.fixture
def salts() -> Salts:
    numbers = itertools.count()
    return lambda: f"salt-{next(numbers)}"


def settings_of(**canaries: float) -> Settings:
    """Route `iris`: primary `stable`, these canaries in order, and the shadow `trial`."""
    names = ["stable", "trial", *canaries]
    return Settings(
        models={name: ModelSettings(url="http://127.0.0.1:9000") for name in names},
        routes=(
            RouteSettings(
                name="iris",
                primary="stable",
                canaries=tuple(Canary(model=m, percent=p) for m, p in canaries.items()),
                shadows=(Shadow(model="trial"),),
            ),
        ),
    )


@pytest.fixture
def make_settings() -> Callable[..., Settings]:
    return settings_of


@pytest.fixture
def start(salts: Salts) -> Callable[..., RoutingState]:
    """The state of a first start with these canaries."""

    def make(**canaries: float) -> RoutingState:
        nothing = Remembered.nothing(cells=CELLS, model_rows=CELLS)
        return nothing.started(settings_of(**canaries), cells=CELLS, model_rows=CELLS, salts=salts)

    return make
