"""Where numbers are kept: a cell of the board is a route, a model and its role there."""

from __future__ import annotations

from msgspec import Struct

from sidecar.model.names import Role


class CellKey(Struct, frozen=True, kw_only=True):
    """Names one cell of the board; its index is its place in the layout the controller sends."""

    route: str
    model: str
    role: Role
