"""Decisions: the order of the rules, what each prevents, and how often chance picks what."""

import random
from dataclasses import dataclass, field

import pytest
from scipy import stats

from sidecar.errors import ClientError
from sidecar.model import Role
from sidecar.routing import (
    Match,
    Route,
    Router,
    RouteTable,
    ShadowTarget,
    Split,
    Sticky,
    StickyBy,
    Target,
    decide,
)


@dataclass
class Request:
    """A request head as routing sees it."""

    host: bytes | None = b"example.com"
    path: bytes = b"/"
    watched: dict[bytes, bytes] = field(default_factory=dict)
    client_address: str = "192.0.2.1"


def route(name: str = "iris", percents=None, *, primary: str = "stable", **rest) -> Route:
    """A route whose targets have the cells 0, 1, 2..."""
    split = Split.fresh(primary, percents or {}, "salt")
    targets = tuple(
        Target(model=model, role=Role.CANARY if cell else Role.PRIMARY, cell=cell)
        for cell, model in enumerate(split.models)
    )
    return Route(name=name, split=split, targets=targets, **rest)


def router(*routes: Route) -> Router:
    """A router over these routes."""
    return Router(RouteTable(version=7, routes=routes))


def never() -> float:
    """Chance that must not be asked."""
    raise AssertionError("this decision does not depend on chance")


def test_the_first_route_that_matches_wins():
    table = router(
        route("v2", match=Match(path_prefix=b"/v2")),
        route("host", match=Match(host="example.com")),
        route("rest"),
    )

    names = [
        table.decide(request, never).route.name
        for request in (
            Request(path=b"/v2/x"),
            Request(host=b"EXAMPLE.com:8080"),
            Request(host=b"other"),
        )
    ]

    assert names == ["v2", "host", "rest"]


def test_a_request_that_no_route_takes_is_404():
    with pytest.raises(ClientError) as refused:
        router(route(match=Match(path_prefix=b"/v2"))).decide(Request(), never)

    assert (refused.value.status, refused.value.code) == (404, "no_route")


def test_a_table_without_routes_takes_nothing():
    with pytest.raises(ClientError, match="no route"):
        router().decide(Request(), never)


def test_a_route_without_canaries_asks_no_chance_and_shares_one_decision():
    table = router(route())

    first, second = table.decide(Request(), never), table.decide(Request(), never)

    assert first is second
    assert first.target == Target(model="stable", role=Role.PRIMARY, cell=0)
    assert first.fallback is None
    assert first.shadows == ()


def test_a_canary_at_100_percent_asks_no_chance():
    decision = router(route(percents={"next": 100})).decide(Request(), never)

    assert decision.target.model == "next"
    assert decision.target.role is Role.CANARY


def test_the_primary_stands_in_for_a_canary_when_the_route_says_so():
    with_fallback = router(route(percents={"next": 100})).decide(Request(), never)
    without = router(route(percents={"next": 100}, fallback=False)).decide(Request(), never)

    assert with_fallback.fallback == Target(model="stable", role=Role.PRIMARY, cell=0)
    assert without.fallback is None


@pytest.mark.parametrize("model", ["stable", "next", "idle"])
def test_a_client_may_force_the_primary_or_any_canary_even_at_0_percent(model):
    table = router(route(percents={"next": 100, "idle": 0}))

    decision = table.decide(Request(watched={b"x-sidecar-model": model.encode()}), never)

    assert decision.target.model == model
    assert decision.fallback is None


@pytest.mark.parametrize("model", [b"trial", b"unknown", b"", b"STABLE", b"\xff"])
def test_forcing_a_shadow_or_an_unknown_model_is_400(model):
    table = router(route(shadows=(ShadowTarget(model="trial", index=0),)))

    with pytest.raises(ClientError) as refused:
        table.decide(Request(watched={b"x-sidecar-model": model}), never)

    assert (refused.value.status, refused.value.code) == (400, "unknown_model")


def test_the_forcing_field_means_nothing_where_forcing_is_off():
    table = router(route(force=False))

    decision = table.decide(Request(watched={b"x-sidecar-model": b"nonsense"}), never)

    assert decision.target.model == "stable"


def test_forcing_outranks_the_sticky_key():
    table = router(
        route(percents={"next": 100}, sticky=Sticky(StickyBy.HEADER, b"x-user")),
    )
    watched = {b"x-user": b"alice", b"x-sidecar-model": b"stable"}

    assert table.decide(Request(watched=watched), never).target.model == "stable"


@pytest.mark.parametrize(
    ("sticky", "request_of"),
    [
        (
            Sticky(StickyBy.HEADER, b"x-user"),
            lambda user: Request(watched={b"x-user": b"user-%d" % user}),
        ),
        (
            Sticky(StickyBy.COOKIE, b"session"),
            lambda user: Request(watched={b"cookie": b"a=1; session=user-%d" % user}),
        ),
        (
            Sticky(StickyBy.CLIENT_ADDRESS),
            lambda user: Request(client_address=f"10.0.{user // 256}.{user % 256}"),
        ),
    ],
    ids=["header", "cookie", "client_address"],
)
def test_a_sticky_key_decides_without_chance_and_always_the_same(sticky, request_of):
    table = router(route(percents={"next": 30}, sticky=sticky))

    chosen = [table.decide(request_of(user), never).target.model for user in range(2_000)]
    again = [table.decide(request_of(user), never).target.model for user in range(2_000)]

    assert chosen == again
    assert stats.binomtest(chosen.count("next"), 2_000, 0.3).pvalue > 1e-3


@pytest.mark.parametrize(
    ("sticky", "request_"),
    [
        (Sticky(StickyBy.HEADER, b"x-user"), Request()),
        (Sticky(StickyBy.HEADER, b"x-user"), Request(watched={b"x-user": b""})),
        (Sticky(StickyBy.COOKIE, b"session"), Request(watched={b"cookie": b"other=1"})),
        (Sticky(StickyBy.COOKIE, b"session"), Request()),
        (Sticky(StickyBy.CLIENT_ADDRESS), Request(client_address="")),
    ],
)
def test_a_request_without_the_sticky_key_goes_by_chance(sticky, request_):
    table = router(route(percents={"next": 50}, sticky=sticky))
    rng = random.Random(1)

    chosen = {table.decide(request_, rng.random).target.model for _ in range(50)}

    assert chosen == {"stable", "next"}


def test_raising_the_weight_never_moves_a_sticky_user_back():
    sticky = Sticky(StickyBy.HEADER, b"x-user")
    before = route(percents={"next": 10, "other": 10}, sticky=sticky)
    split = before.split.reweigh({"next": 40, "other": 10}, "unused")
    after = Route(name="iris", split=split, targets=before.targets, sticky=sticky)
    users = [Request(watched={b"x-user": b"user-%d" % user}) for user in range(2_000)]

    moves = {
        (
            router(before).decide(user, never).target.model,
            router(after).decide(user, never).target.model,
        )
        for user in users
    }

    assert moves == {
        ("stable", "stable"),
        ("stable", "next"),
        ("next", "next"),
        ("other", "other"),
    }


def test_chance_meets_the_percentages():
    table = router(route(percents={"next": 20, "other": 5}))
    rng = random.Random(20)

    chosen = [table.decide(Request(), rng.random).target.model for _ in range(20_000)]

    counts = [chosen.count(model) for model in ("stable", "next", "other")]
    assert stats.chisquare(counts, [15_000, 4_000, 1_000]).pvalue > 1e-3


def test_each_shadow_is_sampled_on_its_own():
    table = router(
        route(
            shadows=(
                ShadowTarget(model="always", index=0, sample=1.0),
                ShadowTarget(model="half", index=1, sample=0.5),
                ShadowTarget(model="never", index=2, sample=0.0),
                ShadowTarget(model="tenth", index=3, sample=0.1),
            )
        )
    )
    rng = random.Random(4)

    sampled = [
        tuple(shadow.model for shadow in table.decide(Request(), rng.random).shadows)
        for _ in range(10_000)
    ]

    joint = [
        sampled.count(models)
        for models in (
            ("always",),
            ("always", "half"),
            ("always", "tenth"),
            ("always", "half", "tenth"),
        )
    ]
    assert stats.chisquare(joint, [4_500, 4_500, 500, 500]).pvalue > 1e-3


def test_a_shadow_that_is_the_answering_model_is_still_mirrored():
    table = router(route(shadows=(ShadowTarget(model="stable", index=0, cell=9),)))

    decision = table.decide(Request(), never)

    assert decision.target.model == "stable"
    assert [shadow.model for shadow in decision.shadows] == ["stable"]


def test_forced_requests_are_mirrored_like_others():
    table = router(route(shadows=(ShadowTarget(model="trial", index=0, sample=0.5),)))
    rng = random.Random(5)
    forced = Request(watched={b"x-sidecar-model": b"stable"})

    mirrored = sum(bool(table.decide(forced, rng.random).shadows) for _ in range(2_000))

    assert stats.binomtest(mirrored, 2_000, 0.5).pvalue > 1e-3


def test_watched_names_every_field_that_a_decision_reads_and_no_other():
    table = router(
        route(
            "a",
            match=Match(headers=((b"x-env", b"blue"),)),
            sticky=Sticky(StickyBy.HEADER, b"x-user"),
            force=False,
        ),
        route("b", sticky=Sticky(StickyBy.COOKIE, b"session"), force=False),
        route("c", sticky=Sticky(StickyBy.CLIENT_ADDRESS), force=False),
    )

    assert table.watched == {b"x-env", b"x-user", b"cookie"}
    assert router(route()).watched == {b"x-sidecar-model"}
    assert router(route(force=False)).watched == frozenset()


def test_a_router_says_which_version_it_decides_by():
    assert router(route()).version == 7


def test_a_table_can_be_asked_without_compiling_it():
    table = RouteTable(version=1, routes=(route(),))

    assert decide(table, Request(), never).target.model == "stable"


def test_a_route_whose_targets_are_not_its_splits_cannot_exist():
    with pytest.raises(ValueError, match="different models"):
        Route(
            name="iris",
            split=Split.fresh("stable", {"next": 5}, "salt"),
            targets=(Target(model="stable", role=Role.PRIMARY),),
        )
