"""What every curve hands to the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests.rig.load import Rounds, median_of
from loadtests.rig.report import Bar, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A heading, what was done, the figures, and what else is to be said."""

    heading: str
    text: str
    table: Table
    rounds: Rounds
    facts: Mapping[str, Any] = field(default_factory=dict)
    bars: Sequence[Bar] = ()

    def data(self) -> dict[str, Any]:
        """Everything measured, for JSON."""
        return {
            "medians": {name: asdict(median_of(taken)) for name, taken in self.rounds.items()},
            "rounds": {name: [asdict(one) for one in taken] for name, taken in self.rounds.items()},
            **self.facts,
        }


COLUMNS = ("CPU us/request", "requests/s", "p50 ms", "p99 ms", "errors")


def figures(rounds: Rounds, name: str) -> list[str]:
    """The median figures of one point, as `COLUMNS` names them."""
    middle = median_of(rounds[name])
    return [
        f"{middle.cpu_us:,.1f}",
        f"{middle.rate:,.0f}",
        f"{middle.p50_us / 1000:,.2f}",
        f"{middle.p99_us / 1000:,.2f}",
        str(middle.errors),
    ]
