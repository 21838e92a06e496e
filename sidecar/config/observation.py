"""What the controller tells a worker to observe: which payloads, counted how, and where.

Like a `RoutingUpdate` it is immutable, versioned, and installed whole or refused whole; it travels
apart from routing, so that edges of thousands of cells never delay a rollback.
"""

from __future__ import annotations

from msgspec import Struct

from sidecar.config.monitoring import Entity, MonitorSettings
from sidecar.model import CellKey
from sidecar.payload import PayloadSettings, Source
from sidecar.sketch.columns import Column


class SegmentPlan(Struct, frozen=True, kw_only=True):
    """A segment key with the values that are told apart; what is none of them is `other`.

    Its blocks stand in the order of `values`, then that of `other`.
    """

    name: str
    source: Source
    values: tuple[str, ...]


class Watch(Struct, frozen=True, kw_only=True):
    """What is observed of a model in its role on a route.

    `columns` are counted per row of a request, `measures` per request. Numbers stand in the arena
    of the worker's slice of the board, from word `at` on, in `block_count` blocks of equal size:
    without segments one; with them, for each key, one per value and one for `other`, so that the
    blocks of any one key sum to the whole. `slot` is where the board remembers whose numbers they
    are, and `owner` is what it remembers. `learn` asks for so many rows to be sent upwards.
    """

    key: CellKey
    slot: int
    at: int
    owner: str
    payload: PayloadSettings
    features: tuple[str, ...]
    segments: tuple[SegmentPlan, ...] = ()
    columns: tuple[Column, ...] = ()
    measures: tuple[Column, ...] = ()
    learn: int = 0

    @property
    def block_count(self) -> int:
        """How many blocks it has."""
        return sum(len(segment.values) + 1 for segment in self.segments) or 1


class ObservationPlan(Struct, frozen=True, kw_only=True):
    """Everything that workers observe."""

    version: int
    settings: MonitorSettings
    entity: Entity | None = None
    entity_period_s: float = 0.0
    watches: tuple[Watch, ...] = ()
