"""From what the controller sent to what a worker decides by: settings become pure routing values.

Everything that could make a decision fail later fails here, so that a worker refuses a bad update
whole and keeps the table it has.
"""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.config import settings
from sidecar.config.update import RoutingUpdate
from sidecar.errors import ConfigError
from sidecar.model import CellKey, Role
from sidecar.routing import (
    Match,
    Route,
    RouteTable,
    ShadowTarget,
    Split,
    Sticky,
    StickyBy,
    Target,
)


def build_table(update: RoutingUpdate) -> RouteTable:
    """The routing table of an update; compile it with `Router`.

    A target whose key has no cell gets cell -1: it is routed to, but not counted.

    Raises ConfigError when a route has no split, its split names other models than the route, or a
    model is missing.
    """
    cells = {key: cell for cell, key in enumerate(update.cells) if key is not None}
    for index, route in enumerate(update.routes):
        _check_models(route, update.models, path=f"$.routes[{index}]")
        _check_split(route, update.splits.get(route.name), path=f"$.splits.{route.name}")
    return RouteTable(
        version=update.version,
        routes=tuple(_route(route, update.splits[route.name], cells) for route in update.routes),
    )


def build_match(match: settings.Match) -> Match:
    """The pure form of a route's conditions: names in lower case, everything compared in bytes."""
    return Match(
        host=match.host.lower() if match.host is not None else None,
        path_prefix=match.path_prefix.encode(),
        headers=tuple(
            (name.lower().encode(), value.encode()) for name, value in match.headers.items()
        ),
    )


def _route(route: settings.RouteSettings, split: Split, cells: Mapping[CellKey, int]) -> Route:
    def cell(model: str, role: Role) -> int:
        return cells.get(CellKey(route=route.name, model=model, role=role), -1)

    def target(model: str, role: Role) -> Target:
        return Target(model=model, role=role, cell=cell(model, role))

    return Route(
        name=route.name,
        match=build_match(route.match),
        split=split,
        targets=(
            target(split.primary, Role.PRIMARY),
            *(target(model, Role.CANARY) for model in split.canaries),
        ),
        sticky=_sticky(route.sticky) if route.sticky is not None else None,
        shadows=tuple(
            ShadowTarget(
                model=shadow.model,
                index=index,
                sample=shadow.sample,
                cell=cell(shadow.model, Role.SHADOW),
            )
            for index, shadow in enumerate(route.shadows)
        ),
        fallback=route.fallback,
        force=route.force,
    )


def _sticky(sticky: settings.Sticky) -> Sticky:
    if sticky.header is not None:
        return Sticky(StickyBy.HEADER, sticky.header.lower().encode())
    if sticky.cookie is not None:
        return Sticky(StickyBy.COOKIE, sticky.cookie.encode())
    return Sticky(StickyBy.CLIENT_ADDRESS)


def _check_models(
    route: settings.RouteSettings, models: Mapping[str, settings.ModelSettings], *, path: str
) -> None:
    named = (
        route.primary,
        *(canary.model for canary in route.canaries),
        *(shadow.model for shadow in route.shadows),
    )
    for model in named:
        if model not in models:
            raise ConfigError(f"expected a model of `models`, got {model!r}", path=path)


def _check_split(route: settings.RouteSettings, split: Split | None, *, path: str) -> None:
    if split is None:
        raise ConfigError("expected a split for this route, got none", path=path)
    if split.primary != route.primary:
        raise ConfigError(
            f"expected the primary {route.primary!r} to come first, got {split.primary!r}",
            path=path,
        )
    expected = {canary.model for canary in route.canaries}
    if set(split.canaries) != expected:
        raise ConfigError(
            f"expected the canaries {sorted(expected)}, got {sorted(split.canaries)}", path=path
        )
