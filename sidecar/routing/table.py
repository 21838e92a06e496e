"""The routing table: immutable, versioned values that say everything `Router` decides by."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from sidecar.model import Role
from sidecar.routing.match import Match
from sidecar.routing.split import Split
from sidecar.routing.sticky import Sticky

# The request header field by which a client may name the model that shall answer.
FORCE_FIELD: Final = b"x-sidecar-model"


class Target(Struct, frozen=True, kw_only=True):
    """A model that may answer. `cell` is where the board counts it, -1 for nowhere."""

    model: str
    role: Role
    cell: int = -1


class ShadowTarget(Struct, frozen=True, kw_only=True):
    """A model that gets a copy with probability `sample`.

    `index` is its place among the shadows of the route's settings.
    """

    model: str
    index: int
    sample: float = 1.0
    cell: int = -1


class Route(Struct, frozen=True, kw_only=True):
    """One route. `targets[i]` is the model `split.models[i]`; `targets[0]` is the primary.

    `fallback`: the primary answers for a canary that cannot be reached.
    `force`: a client may name the model in `X-Sidecar-Model`.
    """

    name: str
    split: Split
    targets: tuple[Target, ...]
    match: Match = Match()
    sticky: Sticky | None = None
    shadows: tuple[ShadowTarget, ...] = ()
    fallback: bool = True
    force: bool = True

    def __post_init__(self) -> None:
        if tuple(target.model for target in self.targets) != self.split.models:
            raise ValueError(f"route {self.name!r}: targets and split name different models")


class RouteTable(Struct, frozen=True, kw_only=True):
    """All routes, in the order they are tried."""

    version: int
    routes: tuple[Route, ...]
