"""What routing holds now and why: the file, what was changed at run time, who holds what.

Every change is a new value with a version one higher. The rules:

- a percentage set at run time (an override) outranks the file until it is reset, also when the file
  is reloaded or the sidecar restarted, and also while its canary is absent from the file: so
  nothing but a reset undoes a rollback;
- the slots of a split change by `Split.reweigh` alone, so sticky users keep their model;
- keys keep their places on the board (`sidecar.control.places`).

Pure: randomness (salts) comes in as an argument; reading and writing is
`sidecar.control.persistence`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Self, TypeVar

import msgspec
from msgspec import Struct

from sidecar.config.settings import Limits, ModelSettings, RouteSettings, Settings
from sidecar.config.update import RoutingUpdate
from sidecar.control.places import Places, PlacesFull
from sidecar.errors import ClientError, ConfigError
from sidecar.model import CellKey, Role
from sidecar.routing import Split

Salts = Callable[[], str]
"""Gives a new salt each time; a split takes one when a rollout begins."""

K = TypeVar("K", bound=Hashable)

# 0.1 + 0.2 is not 0.3: percentages that a person sees sum to 100 are taken as 100.
_ROUNDING = 1e-6


class Override(Struct, frozen=True, kw_only=True):
    """A percentage that run time and file disagree about, or that the file no longer mentions."""

    route: str
    model: str
    percent: float
    file_percent: float | None


class Remembered(Struct, frozen=True, kw_only=True):
    """What a restart must not forget. `overrides[route][model]` is a percentage set at run time."""

    version: int
    overrides: dict[str, dict[str, float]]
    splits: dict[str, Split]
    cells: Places[CellKey]
    model_rows: Places[str]

    @classmethod
    def nothing(cls, *, cells: int, model_rows: int) -> Self:
        """The memory of a sidecar that never ran; its board has so many cells and rows."""
        return cls(
            version=0,
            overrides={},
            splits={},
            cells=Places[CellKey].empty(cells),
            model_rows=Places[str].empty(model_rows),
        )

    def started(
        self, settings: Settings, *, cells: int, model_rows: int, salts: Salts
    ) -> RoutingState:
        """The state to start with: the file, under what is remembered, on a board of this size.

        Raises ConfigError when the routes need more cells than there are.
        """
        resized = msgspec.structs.replace(
            self,
            cells=self.cells.with_capacity(cells),
            model_rows=self.model_rows.with_capacity(model_rows),
        )
        try:
            return resized.with_settings(settings, salts)
        except ConfigError as error:
            if error.code != "needs_two_steps":
                raise
        # Nobody is being served yet, so refusing to start would protect no one: begin anew.
        forgetful = msgspec.structs.replace(resized, splits={})
        return forgetful.with_settings(settings, salts)

    def with_settings(self, settings: Settings, salts: Salts) -> RoutingState:
        """The next state, with the routes, models and limits of a configuration.

        Raises ConfigError when they need more cells than there are, or a split cannot change so in
        one step.
        """
        return self._with_file(settings.routes, settings.models, settings.limits, salts)

    def _with_file(
        self,
        routes: tuple[RouteSettings, ...],
        models: dict[str, ModelSettings],
        limits: Limits,
        salts: Salts,
    ) -> RoutingState:
        return RoutingState(
            version=self.version + 1,
            overrides=self.overrides,
            splits=self._splits(routes, salts),
            cells=_seat(self.cells, list(_cells_wanted(routes)), "route x model x role"),
            model_rows=_seat(self.model_rows, list(models), "models"),
            routes=routes,
            models=models,
            limits=limits,
        )

    def _splits(self, routes: tuple[RouteSettings, ...], salts: Salts) -> dict[str, Split]:
        found = {}
        for index, route in enumerate(routes):
            percents = effective_percents(route, self.overrides.get(route.name, {}))
            try:
                found[route.name] = _split(self.splits.get(route.name), route, percents, salts())
            except ConfigError as error:
                raise ConfigError(
                    error.reason, path=f"$.routes[{index}].canaries", code=error.code
                ) from error
        return found


class RoutingState(Remembered, frozen=True, kw_only=True):
    """All of it: what is remembered and what the file says."""

    routes: tuple[RouteSettings, ...]
    models: dict[str, ModelSettings]
    limits: Limits

    def with_weights(self, route: str, weights: Mapping[str, float], salts: Salts) -> RoutingState:
        """The next state, with canaries of one route at these percentages until they are reset.

        Canaries that are not named keep what they have. Raises ClientError for unknown names (it
        says which are known) and percentages that cannot be.
        """
        settings = self.route(route)
        canaries = [canary.model for canary in settings.canaries]
        current = effective_percents(settings, self.overrides.get(route, {}))
        for model, percent in weights.items():
            if model not in canaries:
                raise ClientError(
                    f"{model!r} is no canary of route {route!r}; "
                    + (f"its canaries are: {', '.join(canaries)}" if canaries else "it has none")
                    + (" (the primary gets what they leave)" if model == settings.primary else ""),
                    status=422,
                    code="unknown_canary",
                )
            if not 0 <= percent <= 100:
                raise ClientError(
                    f"Expected a percentage from 0 to 100 for {model!r}, got {percent:g}",
                    status=422,
                    code="bad_weight",
                )
        total = sum({**current, **weights}.values())
        if total > 100 + _ROUNDING:
            raise ClientError(
                f"The canaries of route {route!r} would get {total:g} %, expected at most 100",
                status=422,
                code="bad_weight",
            )
        return self._overridden({route: dict(weights)}, salts)

    def rolled_back(self, route: str | None, salts: Salts) -> RoutingState:
        """The next state, with every canary of a route (None: of all routes) at 0 until reset."""
        routes = self.routes if route is None else (self.route(route),)
        return self._overridden(
            {r.name: {canary.model: 0.0 for canary in r.canaries} for r in routes}, salts
        )

    def reset(self, route: str | None, salts: Salts) -> RoutingState:
        """The next state, in which the file rules again over a route (None: over all)."""
        if route is not None and route not in self.overrides:
            self.route(route)  # an override of a route the file dropped may be reset, too
        kept = {} if route is None else {r: o for r, o in self.overrides.items() if r != route}
        return self._with_overrides(kept, salts)

    def reverted(self, before: RoutingState, salts: Salts) -> RoutingState:
        """The next state, with the file as `before` had it; what was changed at run time stays."""
        return self._with_file(before.routes, before.models, before.limits, salts)

    def update(self) -> RoutingUpdate:
        """What the workers are told."""
        return RoutingUpdate(
            version=self.version,
            routes=self.routes,
            models=self.models,
            splits=self.splits,
            limits=self.limits,
            cells=self.cells.keys,
            model_rows=self.model_rows.keys,
        )

    def route(self, name: str) -> RouteSettings:
        """A route by name. Raises ClientError that says which there are."""
        for route in self.routes:
            if route.name == name:
                return route
        known = ", ".join(route.name for route in self.routes)
        raise ClientError(
            f"There is no route {name!r}; the routes are: {known}", status=404, code="unknown_route"
        )

    def percents(self, route: str) -> dict[str, float]:
        """What each model of a route holds, the primary first."""
        return self.splits[route].percents()

    def overridden(self) -> list[Override]:
        """Every override, beside what the file says."""
        in_file = {(r.name, c.model): c.percent for r in self.routes for c in r.canaries}
        return [
            Override(
                route=route, model=model, percent=percent, file_percent=in_file.get((route, model))
            )
            for route, weights in self.overrides.items()
            for model, percent in weights.items()
        ]

    def _overridden(self, changes: Mapping[str, dict[str, float]], salts: Salts) -> RoutingState:
        merged = dict(self.overrides)
        for route, weights in changes.items():
            if weights:
                merged[route] = {**merged.get(route, {}), **weights}
        return self._with_overrides(merged, salts)

    def _with_overrides(self, overrides: dict[str, dict[str, float]], salts: Salts) -> RoutingState:
        changed = msgspec.structs.replace(self, version=self.version + 1, overrides=overrides)
        try:
            splits = changed._splits(self.routes, salts)
        except ConfigError as error:
            raise ClientError(error.reason, status=422, code=error.code) from error
        return msgspec.structs.replace(changed, splits=splits)


def effective_percents(route: RouteSettings, overrides: Mapping[str, float]) -> dict[str, float]:
    """What each canary of a route shall get: its override, else the file's percentage.

    Where both together exceed 100 (the file changed under an override), overrides are served first
    and the rest gets what they leave: an operator's word at run time is the later one.
    """
    left = 100.0
    granted: dict[str, float] = {}
    overridden_first = sorted(route.canaries, key=lambda canary: canary.model not in overrides)
    for canary in overridden_first:
        wanted = overrides.get(canary.model, canary.percent)
        granted[canary.model] = min(wanted, max(left, 0.0))
        left -= granted[canary.model]
    return {canary.model: granted[canary.model] for canary in route.canaries}


def _split(
    previous: Split | None, route: RouteSettings, percents: Mapping[str, float], salt: str
) -> Split:
    """The split of a route, as much as possible like the one before, also under another primary."""
    if previous is None:
        return Split.fresh(route.primary, percents, salt)
    if previous.primary != route.primary:
        # A canary that was promoted gives its slots to the primary; then the primary is renamed.
        # The other canaries keep their users.
        held = previous.percents()
        kept = {m: held[m] for m in previous.canaries if m != route.primary}
        previous = msgspec.structs.replace(
            previous.reweigh(kept, previous.salt), models=(route.primary, *kept)
        )
    return previous.reweigh(percents, salt)


def _cells_wanted(routes: tuple[RouteSettings, ...]) -> Iterator[CellKey]:
    for route in routes:
        yield CellKey(route=route.name, model=route.primary, role=Role.PRIMARY)
        for canary in route.canaries:
            yield CellKey(route=route.name, model=canary.model, role=Role.CANARY)
        for shadow in route.shadows:
            yield CellKey(route=route.name, model=shadow.model, role=Role.SHADOW)


def _seat(places: Places[K], wanted: list[K], what: str) -> Places[K]:
    try:
        return places.seat(wanted)
    except PlacesFull as full:
        raise ConfigError(
            f"the board holds {full.capacity}, these routes and models need {full.wanted} "
            f"({what}); raise metrics.cells and restart",
            path="$.metrics.cells",
        ) from None
