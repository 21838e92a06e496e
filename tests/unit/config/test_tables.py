"""From an update to the values that decisions are made by."""

import msgspec
import pytest

from sidecar.config.convert import convert
from sidecar.config.tables import build_table
from sidecar.config.update import RoutingUpdate
from sidecar.errors import ConfigError
from sidecar.model import CellKey, Role
from sidecar.routing import Match, ShadowTarget, Split, Sticky, StickyBy, Target

MODELS = {name: {"url": f"http://{name}:1"} for name in ("stable", "next", "trial")}


def update_of(route: dict, *, split: Split | None = None, cells: tuple = ()) -> RoutingUpdate:
    """An update with one route; by default its split is what its canaries say."""
    settings = convert({"models": MODELS, "routes": [{"name": "iris", **route}]})
    first = settings.routes[0]
    percents = {canary.model: canary.percent for canary in first.canaries}
    return RoutingUpdate(
        version=3,
        routes=settings.routes,
        models=settings.models,
        splits={"iris": split or Split.fresh(first.primary, percents, "salt")},
        limits=settings.limits,
        cells=cells,
        model_rows=(),
    )


def test_a_route_gets_its_targets_in_the_order_of_its_split():
    split = Split.fresh("stable", {"trial": 1, "next": 2}, "salt")
    canaries = [{"model": "next", "percent": 9}, {"model": "trial"}]
    cells = (
        CellKey(route="iris", model="next", role=Role.CANARY),
        None,
        CellKey(route="iris", model="stable", role=Role.PRIMARY),
        CellKey(route="other", model="trial", role=Role.CANARY),
    )

    table = build_table(
        update_of({"primary": "stable", "canaries": canaries}, split=split, cells=cells)
    )

    assert table.version == 3
    assert table.routes[0].split is split
    assert table.routes[0].targets == (
        Target(model="stable", role=Role.PRIMARY, cell=2),
        Target(model="trial", role=Role.CANARY, cell=-1),
        Target(model="next", role=Role.CANARY, cell=0),
    )


def test_shadows_know_their_place_in_the_settings_and_on_the_board():
    cells = (
        CellKey(route="iris", model="stable", role=Role.PRIMARY),
        CellKey(route="iris", model="stable", role=Role.SHADOW),
    )
    shadows = [{"model": "trial", "sample": 0.25}, {"model": "stable"}]

    (route,) = build_table(update_of({"primary": "stable", "shadows": shadows}, cells=cells)).routes

    assert route.shadows == (
        ShadowTarget(model="trial", index=0, sample=0.25, cell=-1),
        ShadowTarget(model="stable", index=1, sample=1.0, cell=1),
    )


def test_conditions_are_compared_in_lower_case_and_bytes():
    match = {"host": "*.Example.COM", "path_prefix": "/V2", "headers": {"X-Env": "Blue"}}

    (route,) = build_table(update_of({"primary": "stable", "match": match})).routes

    assert route.match == Match(
        host="*.example.com", path_prefix=b"/V2", headers=((b"x-env", b"Blue"),)
    )


@pytest.mark.parametrize(
    ("sticky", "expected"),
    [
        (None, None),
        ({"header": "X-User"}, Sticky(StickyBy.HEADER, b"x-user")),
        ({"cookie": "Session"}, Sticky(StickyBy.COOKIE, b"Session")),
        ({"client_address": True}, Sticky(StickyBy.CLIENT_ADDRESS)),
    ],
)
def test_header_names_are_folded_and_cookie_names_are_not(sticky, expected):
    (route,) = build_table(update_of({"primary": "stable", "sticky": sticky})).routes

    assert route.sticky == expected


def test_flags_are_carried_over():
    off = build_table(update_of({"primary": "stable", "fallback": False, "force": False}))
    on = build_table(update_of({"primary": "stable"}))

    assert (off.routes[0].fallback, off.routes[0].force) == (False, False)
    assert (on.routes[0].fallback, on.routes[0].force) == (True, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splits": {}}, r"^\$\.splits\.iris: expected a split for this route, got none"),
        (
            {"splits": {"iris": Split.fresh("next", {"stable": 1}, "")}},
            r"^\$\.splits\.iris: expected the primary 'stable' to come first, got 'next'",
        ),
        (
            {"splits": {"iris": Split.fresh("stable", {"trial": 1}, "")}},
            r"^\$\.splits\.iris: expected the canaries \['next'\], got \['trial'\]",
        ),
        ({"models": {}}, r"^\$\.routes\[0\]: expected a model of `models`, got 'stable'"),
    ],
)
def test_an_update_that_does_not_fit_together_is_refused(change, message):
    update = update_of({"primary": "stable", "canaries": [{"model": "next", "percent": 1}]})

    with pytest.raises(ConfigError, match=message):
        build_table(msgspec.structs.replace(update, **change))
