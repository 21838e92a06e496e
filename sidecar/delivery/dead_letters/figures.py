"""How many letters there are, how old they are, and what came and went: numbers for metrics.

What came and went is counted in the file itself, so it goes on after a restart; it begins anew only
with a new file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from msgspec import Struct

from sidecar.delivery.dead_letters.bounds import PurgeReason, purge_tally
from sidecar.delivery.dead_letters.letters import OPEN, DeadLetterClass, LetterState

ARRIVED = "arrived"
REPEATED = "repeated"
"""Names of tallies: letters that were new, and those that had been there already."""


class ClassFigures(Struct, frozen=True, kw_only=True):
    """One class of letters.

    `letters` by state; `oldest_ns` is when the oldest that is still open arrived (wall clock, None:
    none is). `arrived` are new letters, `repeated` those that were there already; `purged_open` and
    `purged_replayed` say by reason what went before and after it was replayed.
    """

    letters: Mapping[LetterState, int]
    bytes: int
    oldest_ns: int | None
    arrived: int
    repeated: int
    purged_open: Mapping[PurgeReason, int]
    purged_replayed: Mapping[PurgeReason, int]

    @property
    def open(self) -> int:
        """Letters that somebody should still do something about."""
        return sum(self.letters[state] for state in OPEN)

    def age_s(self, now_ns: int) -> float:
        """How long ago the oldest open letter arrived, 0 when there is none."""
        return 0.0 if self.oldest_ns is None else max(now_ns - self.oldest_ns, 0) / 1e9


Figures = Mapping[DeadLetterClass, ClassFigures]


def read_figures(connection: sqlite3.Connection) -> Figures:
    """The numbers of now; a few lookups, however many letters there are."""
    holdings = {
        (class_, state): (letters, taken)
        for class_, state, letters, taken in connection.execute(
            "SELECT class, state, letters, bytes FROM holdings"
        )
    }
    tallies = {
        (name, class_): n
        for name, class_, n in connection.execute("SELECT name, class, n FROM tallies")
    }
    return {
        class_: ClassFigures(
            letters={state: holdings.get((class_, state), (0, 0))[0] for state in LetterState},
            bytes=sum(holdings.get((class_, state), (0, 0))[1] for state in LetterState),
            oldest_ns=_oldest_ns(connection, class_),
            arrived=tallies.get((ARRIVED, class_), 0),
            repeated=tallies.get((REPEATED, class_), 0),
            purged_open={
                reason: tallies.get((purge_tally(reason, LetterState.WAITING), class_), 0)
                for reason in PurgeReason
            },
            purged_replayed={
                reason: tallies.get((purge_tally(reason, LetterState.REPLAYED), class_), 0)
                for reason in PurgeReason
            },
        )
        for class_ in DeadLetterClass
    }


def _oldest_ns(connection: sqlite3.Connection, class_: DeadLetterClass) -> int | None:
    oldest = [
        row[0]
        for state in OPEN
        if (
            row := connection.execute(
                "SELECT arrived_ns FROM letters WHERE state = ? AND class = ? ORDER BY id LIMIT 1",
                (state, class_),
            ).fetchone()
        )
    ]
    return min(oldest, default=None)
