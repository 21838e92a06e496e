"""What has become of a sink's records, by model, and how far that goes: they change together.

The totals count exactly the records before the position. So with what workers logged, at whatever
moment the process dies and comes back,

    logged = delivered + dead_lettered + expired + pending

per model, where `pending` is what lies after the position. Records that were damaged on the disk
are `corrupt`; they were never `logged`.

Pure: whoever saves a standing says so (`saved`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from sidecar.delivery.sink import Item
from sidecar.journal import Position, Standing


class Outcome(StrEnum):
    """What became of a record; the keys of `Standing.totals`."""

    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    EXPIRED = "expired"  # retention took it before the sink did
    CORRUPT = "corrupt"


class Ledger:
    """One sink's books. What is entered counts when the position moves past it, and not before."""

    def __init__(self, standing: Standing) -> None:
        self.saved = standing
        self.standing = standing
        self._entered: dict[str, dict[str, int]] = {}

    @property
    def position(self) -> Position:
        """What lies before it is settled."""
        return self.standing.position

    @property
    def unsaved(self) -> bool:
        """Whether the standing is newer than what was saved."""
        return self.standing is not self.saved

    def enter(self, outcome: Outcome, items: Iterable[Item]) -> None:
        """Records that are settled."""
        models: dict[str, int] = {}
        for item in items:
            model = item.cell.model
            models[model] = models.get(model, 0) + 1
        self.enter_counts(outcome, models)

    def enter_counts(self, outcome: Outcome, models: Mapping[str, int]) -> None:
        """Records that are settled, by model."""
        if models:
            _add(self._entered.setdefault(outcome.value, {}), models)

    def move(self, position: Position) -> None:
        """Everything before this position was entered."""
        totals = {outcome: dict(models) for outcome, models in self.standing.totals.items()}
        for outcome, models in self._entered.items():
            _add(totals.setdefault(outcome, {}), models)
        self._entered.clear()
        self.standing = Standing(position=position, totals=totals)

    def rewind(self) -> None:
        """What is not saved will be entered again."""
        self.standing = self.saved

    def forget(self) -> None:
        """What was entered since the position moved will be entered again."""
        self._entered.clear()


def _add(to: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        to[name] = to.get(name, 0) + count
