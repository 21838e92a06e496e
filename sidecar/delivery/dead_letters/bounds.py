"""How much is kept, and what goes first.

- Older than `max_age_s`: the row goes, too.
- Beyond `max_bytes`: contents go, of letters that were replayed first, then of the oldest. Their
  rows stay as purged ones, so that what the journal is read for again does not come back; of these
  rows, what takes more than a sixteenth of the bound goes as well, the oldest first.

Bytes are contents, answers, and LETTER_OVERHEAD_BYTES a letter. Everything that goes is counted, by
class and by whether it was still to be replayed. Called on the database's thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from sidecar.delivery.dead_letters import rows
from sidecar.delivery.dead_letters.letters import OPEN, DeadLetterClass, LetterState
from sidecar.delivery.dead_letters.selection import Filter

TOMBSTONE_SHARE: Final = 16
"""Purged rows take at most one part in so many of the bound: 130,000 of them in 1 GiB."""

PORTION: Final = 256
"""Letters that go at once, before it is looked again whether that was enough."""

NS_PER_S: Final = 1_000_000_000


class Bounds(Struct, frozen=True, kw_only=True):
    """How much is kept: bytes in all, and seconds since a letter arrived."""

    max_bytes: int = 1024**3
    max_age_s: float = 14 * 86_400.0


class PurgeReason(StrEnum):
    """Why a letter went."""

    OPERATOR = "operator"
    BYTES = "bytes"
    AGE = "age"


def purge(
    connection: sqlite3.Connection, ids: Sequence[int], reason: PurgeReason, now_ns: int
) -> int:
    """Take everything a client sent from these letters; returns how many still had it."""
    purged = 0
    for letter_id in ids:
        one = rows.letter(connection, letter_id)
        if one is None or one.state is LetterState.PURGED:
            continue
        connection.execute("DELETE FROM contents WHERE letter = ?", (letter_id,))
        connection.execute("DELETE FROM answers WHERE letter = ?", (letter_id,))
        connection.execute(
            "UPDATE letters SET state = ?, size_bytes = 0, request_id = '', path = '', "
            "reason = '', changed_ns = ?, note = ? WHERE id = ?",
            (LetterState.PURGED, now_ns, f"purged: {reason}", letter_id),
        )
        tally(connection, purge_tally(reason, one.state), one.class_)
        purged += 1
    return purged


def keep_within(connection: sqlite3.Connection, bounds: Bounds, now_ns: int) -> None:
    """Let go of what is too old, and of what is too much."""
    _drop_old(connection, now_ns - int(bounds.max_age_s * NS_PER_S))
    while _bytes(connection) > bounds.max_bytes:
        leaving = rows.letters(
            connection, Filter(states=(LetterState.REPLAYED,)), limit=PORTION
        ) or rows.letters(connection, Filter(states=OPEN), limit=PORTION)
        if not leaving:
            break
        excess = _bytes(connection) - bounds.max_bytes
        enough = 0
        while excess > 0 and enough < len(leaving):
            excess -= leaving[enough].size_bytes
            enough += 1
        purge(connection, [one.id for one in leaving[:enough]], PurgeReason.BYTES, now_ns)
        _bury(connection, bounds.max_bytes // TOMBSTONE_SHARE)
    _bury(connection, bounds.max_bytes // TOMBSTONE_SHARE)


def tally(connection: sqlite3.Connection, name: str, class_: DeadLetterClass, n: int = 1) -> None:
    """Add to what was counted since the file was made."""
    connection.execute(
        "INSERT INTO tallies VALUES (?, ?, ?) ON CONFLICT (name, class) DO UPDATE SET n = n + ?",
        (name, class_, n, n),
    )


def purge_tally(reason: PurgeReason, state: LetterState) -> str:
    """The name under which such a purge is counted."""
    return f"purged {reason} {'open' if state in OPEN else 'replayed'}"


def _drop_old(connection: sqlite3.Connection, before_ns: int) -> None:
    # Ids grow with the time of arrival, but for a clock that was set back; then some stay longer.
    while True:
        oldest = connection.execute(
            "SELECT id, class, state, arrived_ns FROM letters ORDER BY id LIMIT ?", (PORTION,)
        ).fetchall()
        old = []
        for letter_id, class_, state, arrived_ns in oldest:
            if arrived_ns >= before_ns:
                break
            if state != LetterState.PURGED:
                name = purge_tally(PurgeReason.AGE, LetterState(state))
                tally(connection, name, DeadLetterClass(class_))
            old.append((letter_id,))
        connection.executemany("DELETE FROM letters WHERE id = ?", old)
        if len(old) < PORTION:
            return


def _bytes(connection: sqlite3.Connection) -> int:
    (total,) = connection.execute("SELECT coalesce(sum(bytes), 0) FROM holdings").fetchone()
    return int(total)


def _bury(connection: sqlite3.Connection, most_bytes: int) -> None:
    """Remove the oldest purged rows beyond these bytes."""
    letters, taken = connection.execute(
        "SELECT coalesce(sum(letters), 0), coalesce(sum(bytes), 0) FROM holdings WHERE state = ?",
        (LetterState.PURGED,),
    ).fetchone()
    if taken > most_bytes:
        each = taken / letters
        connection.execute(
            "DELETE FROM letters WHERE id IN "
            "(SELECT id FROM letters WHERE state = ? ORDER BY id LIMIT ?)",
            (LetterState.PURGED, int((taken - most_bytes) / each) + 1),
        )
