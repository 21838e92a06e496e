"""Totals that only ever grow, though the numbers they come from begin anew now and then.

The board counts what a watch has seen *in this place since it was seated*: when the sidecar starts
again, or a watch goes and comes back, its numbers begin at zero. Each such stretch is a *tenure*.
The ledger keeps what was counted before the current one, so that

    total = before + what the board says

never falls, and a difference of two totals is exact whatever happened in between. A tenure is named
by the board's identity (new at each start) and by the owner that the board remembers (new at each
seating), so two of them can never be taken for one another.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from sidecar.sketch.areas import Area, AreaLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """One stretch of counting, and what came `before` it."""

    name: str
    before: Area


@dataclass(frozen=True, slots=True)
class Ledger:
    """The current tenure of each series, by owner. Changes are new ledgers."""

    tenures: Mapping[str, Tenure] = field(default_factory=dict)

    def moved(
        self,
        seated: Mapping[str, tuple[str, AreaLayout]],
        *,
        last: Callable[[str, AreaLayout], Area | None],
    ) -> Self:
        """The ledger when exactly these series are seated: owner -> name of the tenure, layout.

        A tenure that goes on keeps its past. One that begins has the `last` known total of its
        series as its past, None: there is none.
        """
        tenures: dict[str, Tenure] = {}
        for owner, (name, layout) in seated.items():
            known = self.tenures.get(owner)
            if known is not None and known.name == name and known.before.layout == layout:
                tenures[owner] = known
                continue
            tenures[owner] = Tenure(name=name, before=last(owner, layout) or Area.empty(layout))
        return type(self)(tenures)

    def total(self, owner: str, live: Area) -> Area:
        """All that a series has counted, by what the board says now. Raises KeyError."""
        return self.tenures[owner].before.merge(live)
