"""The decision of a request: which model answers, who answers in its place, who shadows.

A `Router` is a `RouteTable` compiled for the request path. Whatever does not depend on the request
is prepared when it is made: most requests get a `Decision` that was built once and is shared.
Randomness comes in as an argument; nothing here keeps state between requests.

The order of the rules: the first route that matches; a model forced by `X-Sidecar-Model`; the slot
of the sticky key; a slot by chance.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sidecar.errors import ClientError
from sidecar.model import Role
from sidecar.routing.head import Head
from sidecar.routing.match import host_name
from sidecar.routing.split import SLOTS
from sidecar.routing.sticky import slot_hash, sticky_key
from sidecar.routing.table import FORCE_FIELD, Route, RouteTable, ShadowTarget, Target


class Decision(Struct, frozen=True, gc=False):
    """Who answers (`target`), who does if that model cannot be reached, and who gets copies."""

    route: Route
    target: Target
    fallback: Target | None
    shadows: tuple[ShadowTarget, ...]


class Router:
    """Decides by one table. A worker holds one and replaces it whole."""

    __slots__ = ("_catch_all", "_plans", "_routes_by_host", "version", "watched")

    def __init__(self, table: RouteTable) -> None:
        self.version = table.version
        self.watched = frozenset[bytes]().union(*map(_watched, table.routes))
        self._plans = tuple(_Plan(route) for route in table.routes)
        self._routes_by_host = any(route.match.host is not None for route in table.routes)
        first = self._plans[0] if self._plans else None
        self._catch_all = first if first is not None and first.route.match.takes_all else None

    def decide(self, head: Head, rng: Callable[[], float]) -> Decision:
        """Decide one request; `rng` gives floats in [0, 1).

        Raises ClientError: 404 `no_route` when no route matches, 400 `unknown_model` when the
        client forces a model that the route does not let answer.
        """
        plan = self._catch_all or self._find(head)
        watched = head.watched
        if watched and plan.forces and FORCE_FIELD in watched:
            return plan.forced(watched[FORCE_FIELD], rng)
        return plan.sole or plan.split(head, rng)

    def _find(self, head: Head) -> _Plan:
        host = host_name(head.host) if self._routes_by_host else None
        for plan in self._plans:
            if plan.route.match.takes(host, head.path, head.watched):
                return plan
        raise ClientError("no route takes this request", code="no_route", status=404)


def decide(table: RouteTable, head: Head, rng: Callable[[], float]) -> Decision:
    """Decide one request by a table that has not been compiled; see `Router.decide`."""
    return Router(table).decide(head, rng)


class _Plan:
    """One route, compiled: every decision it can end in is built here, with all its shadows.

    `sole` is the only decision a request can get that forces nothing; None when there are several.
    `forces` says whether a client may force a model.
    """

    __slots__ = (
        "_always",
        "_by_holder",
        "_by_name",
        "_shadows",
        "_slot_of_key",
        "_slots",
        "_sticky",
        "forces",
        "route",
        "sole",
    )

    def __init__(self, route: Route) -> None:
        self.route = route
        self.forces = route.force
        self._shadows = tuple(shadow for shadow in route.shadows if shadow.sample > 0)
        self._always = all(shadow.sample >= 1 for shadow in self._shadows)
        primary = route.targets[0]
        self._by_holder = tuple(
            Decision(
                route,
                target,
                primary if route.fallback and target.role is Role.CANARY else None,
                self._shadows,
            )
            for target in route.targets
        )
        # Who names a model wants that model or an error, not the primary in its place.
        self._by_name = {
            target.model.encode(): Decision(route, target, None, self._shadows)
            for target in route.targets
        }
        self._slots = route.split.slots
        self._sticky = route.sticky
        self._slot_of_key = slot_hash(route.split.salt)
        holders = set(self._slots)
        self.sole = self._by_holder[holders.pop()] if self._always and len(holders) == 1 else None

    def forced(self, name: bytes, rng: Callable[[], float]) -> Decision:
        decision = self._by_name.get(name)
        if decision is None:
            raise ClientError("this route has no such model to answer", code="unknown_model")
        return decision if self._always else self._sampled(decision, rng)

    def split(self, head: Head, rng: Callable[[], float]) -> Decision:
        key = sticky_key(self._sticky, head) if self._sticky is not None else None
        slot = self._slot_of_key(key) if key else int(rng() * SLOTS)
        decision = self._by_holder[self._slots[slot]]
        return decision if self._always else self._sampled(decision, rng)

    def _sampled(self, decision: Decision, rng: Callable[[], float]) -> Decision:
        shadows = tuple(
            shadow for shadow in self._shadows if shadow.sample >= 1 or rng() < shadow.sample
        )
        return Decision(decision.route, decision.target, decision.fallback, shadows)


def _watched(route: Route) -> frozenset[bytes]:
    names = {name for name, _ in route.match.headers}
    if route.sticky is not None:
        names |= route.sticky.watched
    if route.force:
        names.add(FORCE_FIELD)
    return frozenset(names)
