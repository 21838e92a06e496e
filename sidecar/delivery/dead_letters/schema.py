"""The tables of dead letters, and how an older file becomes a newer one.

    letters    what lists show: one row for each class, sink and record
    contents   the encoded record of a letter; gone when it is purged
    answers    what a model answered to a replay; the last one
    holdings   letters and bytes by class and state: kept by triggers, so that they cannot differ
    tallies    what was counted since the file was made, by class
    jobs       replays, with how far they are

A file says by `user_version` which of MIGRATIONS it has seen. One that was written by a newer
version is put aside like a damaged one: nothing here can know what it means.

Contents stand apart from letters so that lists read small rows only. AUTOINCREMENT: an id is never
given twice, also after the newest letter was removed. Works from SQLite 3.24 (2018) on.
"""

from __future__ import annotations

import sqlite3
from typing import Final

LETTER_OVERHEAD_BYTES: Final = 512
"""What a letter takes beside its content and texts: ids, numbers, indexes, half-filled pages.

Measured with UUIDs for ids: 310 to 350 bytes a letter, of 20,000.
"""

_TABLES: Final = """
CREATE TABLE letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  class TEXT NOT NULL,
  state TEXT NOT NULL,
  sink TEXT NOT NULL,
  record_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  at_ns INTEGER NOT NULL,
  arrived_ns INTEGER NOT NULL,
  changed_ns INTEGER NOT NULL,
  route TEXT NOT NULL,
  model TEXT NOT NULL,
  role TEXT NOT NULL,
  status INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  failure TEXT,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  reason TEXT NOT NULL,
  obstacle TEXT,
  size_bytes INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  job TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  UNIQUE (class, sink, record_id)
);
CREATE INDEX letters_by_state ON letters (state, class);

CREATE TABLE contents (
  letter INTEGER PRIMARY KEY REFERENCES letters (id) ON DELETE CASCADE,
  record BLOB NOT NULL
);

CREATE TABLE answers (
  letter INTEGER PRIMARY KEY REFERENCES letters (id) ON DELETE CASCADE,
  at_ns INTEGER NOT NULL,
  model TEXT NOT NULL,
  status INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  body BLOB NOT NULL,
  cut INTEGER NOT NULL,
  withheld TEXT
);

CREATE TABLE holdings (
  class TEXT NOT NULL,
  state TEXT NOT NULL,
  letters INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (class, state)
) WITHOUT ROWID;
CREATE TRIGGER letter_came AFTER INSERT ON letters BEGIN
  INSERT OR IGNORE INTO holdings VALUES (new.class, new.state, 0, 0);
  UPDATE holdings
    SET letters = letters + 1, bytes = bytes + new.size_bytes + OVERHEAD
    WHERE class = new.class AND state = new.state;
END;
CREATE TRIGGER letter_changed AFTER UPDATE OF state, size_bytes ON letters BEGIN
  UPDATE holdings
    SET letters = letters - 1, bytes = bytes - old.size_bytes - OVERHEAD
    WHERE class = old.class AND state = old.state;
  INSERT OR IGNORE INTO holdings VALUES (new.class, new.state, 0, 0);
  UPDATE holdings
    SET letters = letters + 1, bytes = bytes + new.size_bytes + OVERHEAD
    WHERE class = new.class AND state = new.state;
END;
CREATE TRIGGER letter_went AFTER DELETE ON letters BEGIN
  UPDATE holdings
    SET letters = letters - 1, bytes = bytes - old.size_bytes - OVERHEAD
    WHERE class = old.class AND state = old.state;
END;

CREATE TABLE tallies (
  name TEXT NOT NULL,
  class TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (name, class)
) WITHOUT ROWID;

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  created_ns INTEGER NOT NULL,
  ended_ns INTEGER,
  state TEXT NOT NULL,
  replay BLOB NOT NULL,
  total INTEGER NOT NULL,
  last_letter INTEGER NOT NULL,
  done_to INTEGER NOT NULL DEFAULT 0,
  counts BLOB NOT NULL,
  reason TEXT NOT NULL DEFAULT ''
);
"""

MIGRATIONS: Final = (_TABLES.replace("OVERHEAD", str(LETTER_OVERHEAD_BYTES)),)
"""Scripts that were applied in this order; number n leads to `user_version` n. Only ever append."""

_VERSION: Final = len(MIGRATIONS)


class NewerFile(Exception):  # noqa: N818 - a statement about the file
    """The file was written by a newer version of the sidecar."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file (an empty one too) to the newest form. Raises NewerFile and sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise NewerFile(f"it is of version {version}, this sidecar knows {_VERSION}")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
