"""Letters as rows of the database: the statements, and what comes back from them.

Everything here is called on the database's thread, inside its transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sidecar.delivery.dead_letters.arrivals import Arrival
from sidecar.delivery.dead_letters.letters import (
    Answer,
    DeadLetterClass,
    Letter,
    LetterState,
    Obstacle,
)
from sidecar.delivery.dead_letters.selection import Filter, condition

COLUMNS: Final = (
    "id, class, state, sink, record_id, request_id, at_ns, arrived_ns, changed_ns, route, model, "
    "role, status, outcome, failure, method, path, reason, obstacle, size_bytes, attempts, job, "
    "note"
)


Kept = Answer | None
"""What a letter holds of a replay."""


def insert(connection: sqlite3.Connection, one: Arrival, now_ns: int) -> bool:
    """Add a letter with its content; False when it was there already."""
    added = connection.execute(
        "INSERT INTO letters (class, state, sink, record_id, request_id, at_ns, arrived_ns, "
        "changed_ns, route, model, role, status, outcome, failure, method, path, reason, obstacle, "
        "size_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (class, sink, record_id) DO NOTHING",
        (
            one.class_, LetterState.WAITING, one.sink, one.record_id, one.request_id, one.at_ns,
            now_ns, now_ns, one.route, one.model, one.role, one.status, one.outcome, one.failure,
            one.method, one.path, one.reason, one.obstacle,
            len(one.record) + len(one.path) + len(one.reason),
        ),
    )  # fmt: skip
    if added.rowcount < 1:
        return False
    connection.execute("INSERT INTO contents VALUES (?, ?)", (added.lastrowid, one.record))
    return True


def letters(
    connection: sqlite3.Connection,
    filter_: Filter,
    *,
    limit: int,
    after: int | None = None,
    newest_first: bool = False,
) -> list[Letter]:
    """At most `limit` of the letters meant, in the order of ids, beyond the id `after`."""
    where, parameters = condition(filter_)
    if after is not None:
        where += " AND id < ?" if newest_first else " AND id > ?"
        parameters.append(after)
    order = "DESC" if newest_first else "ASC"
    rows = connection.execute(
        # Column names and the order are ours; values are parameters.
        f"SELECT {COLUMNS} FROM letters WHERE {where} ORDER BY id {order} LIMIT ?",  # noqa: S608
        [*parameters, limit],
    )
    return [letter_of(row) for row in rows]


def letter(connection: sqlite3.Connection, letter_id: int) -> Letter | None:
    """One letter, purged ones too."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM letters WHERE id = ?",  # noqa: S608 - our own column names
        (letter_id,),
    ).fetchone()
    return None if row is None else letter_of(row)


def content(connection: sqlite3.Connection, letter_id: int) -> bytes | None:
    """The encoded record of a letter, None: it is gone."""
    row = connection.execute(
        "SELECT record FROM contents WHERE letter = ?", (letter_id,)
    ).fetchone()
    return None if row is None else row[0]


def answer(connection: sqlite3.Connection, letter_id: int) -> Kept:
    """What a model answered to the last replay of a letter."""
    row = connection.execute(
        "SELECT at_ns, model, status, content_type, body, cut, withheld FROM answers "
        "WHERE letter = ?",
        (letter_id,),
    ).fetchone()
    if row is None:
        return None
    at_ns, model, status, content_type, body, cut, withheld = row
    return Answer(
        at_ns=at_ns,
        model=model,
        status=status,
        content_type=content_type,
        body=body,
        cut=cut,
        withheld=withheld,
    )


def keep_answer(connection: sqlite3.Connection, letter_id: int, one: Answer) -> None:
    """Keep an answer instead of the one before."""
    connection.execute(
        "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            letter_id, one.at_ns, one.model, one.status, one.content_type, one.body, one.cut,
            one.withheld,
        ),
    )  # fmt: skip
    connection.execute(
        "UPDATE letters SET size_bytes = length(path) + length(reason) + ? + "
        "coalesce((SELECT length(record) FROM contents WHERE letter = ?), 0) WHERE id = ?",
        (len(one.body), letter_id, letter_id),
    )


def counted(
    connection: sqlite3.Connection, filter_: Filter, by: Iterable[str]
) -> Iterator[tuple[Any, ...]]:
    """How many letters are meant, by these columns: the values of the columns, then the number."""
    columns = ", ".join(by)
    where, parameters = condition(filter_)
    yield from connection.execute(
        f"SELECT {columns}, count(*) FROM letters WHERE {where} "  # noqa: S608 - our own names
        f"GROUP BY {columns} ORDER BY {columns}",
        parameters,
    )


def letter_of(row: tuple[Any, ...]) -> Letter:
    """A row of COLUMNS as a letter."""
    values = dict(zip(_FIELDS, row, strict=True))
    values["class_"] = DeadLetterClass(values["class_"])
    values["state"] = LetterState(values["state"])
    values["obstacle"] = None if values["obstacle"] is None else Obstacle(values["obstacle"])
    return Letter(**values)


_FIELDS: Final = tuple("class_" if name == "class" else name for name in COLUMNS.split(", "))
