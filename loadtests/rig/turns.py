"""Kinds of something that take turns under paced load, each compared with the first of them.

A round is one turn of every kind, in an order that is reversed every second time. A quantile of a
kind is divided by that of the first kind in the same round; the medians of these ratios count.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtests.rig.paced import Paced
from loadtests.rig.progress import say

COLUMNS: Final = ("p50 us", "p99 us", "p50 ratio", "p99 ratio", "failed")


def take_turns(kinds: Sequence[str], rounds: int, turn: Callable[[str], Paced]) -> Turns:
    """Give every kind its turn in every round."""
    runs: dict[str, list[Paced]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            done = turn(kind)
            runs[kind].append(done)
            p50, p99 = done.quantile_us(0.5), done.quantile_us(0.99)
            say(f"round {number + 1}/{rounds}: {kind}: p50 {p50:.0f}, p99 {p99:.0f} us")
    return Turns(runs)


@dataclass(frozen=True, slots=True)
class Turns:
    """What each kind showed, round by round; the first kind is what others are compared with."""

    runs: Mapping[str, Sequence[Paced]]

    @property
    def first(self) -> str:
        """The kind that the others are compared with."""
        return next(iter(self.runs))

    @property
    def others(self) -> list[str]:
        """All kinds but the first."""
        return [kind for kind in self.runs if kind != self.first]

    def failed(self, kind: str) -> int:
        """Requests without an answer of 200, of all rounds."""
        return sum(one.failed for one in self.runs[kind])

    def middle(self, kind: str, share: float) -> float:
        """The median over the rounds of a quantile, in microseconds."""
        return statistics.median(one.quantile_us(share) for one in self.runs[kind])

    def ratio(self, kind: str, share: float) -> float:
        """The median of the ratios to the first kind, round by round."""
        return statistics.median(
            one.quantile_us(share) / first.quantile_us(share)
            for one, first in zip(self.runs[kind], self.runs[self.first], strict=True)
        )

    def row(self, kind: str) -> list[str]:
        """The cells below COLUMNS."""
        ratios = ["" if kind == self.first else f"{self.ratio(kind, q):.2f}" for q in (0.5, 0.99)]
        middles = [f"{self.middle(kind, q):.0f}" for q in (0.5, 0.99)]
        return [*middles, *ratios, str(self.failed(kind))]

    def data(self) -> dict[str, Any]:
        """Every round, for programs."""
        return {
            "p99_ratio": {kind: self.ratio(kind, 0.99) for kind in self.others},
            "p50_us": {
                kind: [one.quantile_us(0.5) for one in self.runs[kind]] for kind in self.runs
            },
            "p99_us": {
                kind: [one.quantile_us(0.99) for one in self.runs[kind]] for kind in self.runs
            },
            "failed": {kind: self.failed(kind) for kind in self.runs},
        }
