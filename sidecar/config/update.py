"""What the controller tells a worker: one immutable, versioned description of all it routes by.

The controller builds it, persists it and sends it; a worker installs it whole or refuses it whole
and acknowledges the version. A worker that starts without a controller reads the persisted one.
"""

from __future__ import annotations

from msgspec import Struct

from sidecar.config.settings import Limits, ModelSettings, RouteSettings
from sidecar.model import CellKey
from sidecar.routing import Split


class RoutingUpdate(Struct, frozen=True, kw_only=True):
    """Routes, splits, models and the places of their numbers on the board.

    `splits` maps a route's name to who holds its slots. `cells[i]` is the key of the board's cell
    `i` (None: unused); `model_rows[i]` is the model whose gauges stand in row `i` (None: unused).
    """

    version: int
    routes: tuple[RouteSettings, ...]
    models: dict[str, ModelSettings]
    splits: dict[str, Split]
    limits: Limits
    cells: tuple[CellKey | None, ...]
    model_rows: tuple[str | None, ...]
