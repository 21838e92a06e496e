"""A SQLite file and the one thread that may touch it.

- Work is a function of a connection; it runs on the thread, whole, in a transaction of its own.
- Durable work returns when it is on disk (`synchronous=FULL`: WAL and fsync per commit). Other work
  survives a killed process, and may be undone by a power cut (`NORMAL`).
- A damaged file, or one of a newer version, is put aside with its number in its name, counted, and
  a new one is made; the two newest of those are kept, for `sqlite3 FILE .recover`.
- A disk that refuses is `Unavailable`; the next call tries again. Nothing is ever half done.
- What is deleted is overwritten with zeros (`secure_delete`): purged means gone.

Must not know: letters.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from sidecar.delivery.dead_letters.schema import NewerFile, migrate
from sidecar.errors import LocalError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MOST_WAITING: Final = 64
"""Calls that may wait for the thread; more are told that it is busy (each may hold a body)."""

KEPT_ASIDE: Final = 2
"""Files put aside that are kept; each may be as large as all dead letters."""

BUSY_TIMEOUT_S: Final = 5.0
"""How long to wait for somebody with the `sqlite3` shell, or a controller that is just ending."""

WAL_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""What the write-ahead log is cut back to after a checkpoint."""

CACHE_KIB: Final = 4096

_PRIVATE: Final = 0o600
_COMPANIONS: Final = ("", "-wal", "-shm")
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

log: Final = logging.getLogger("sidecar.delivery")


class StoreUnavailable(LocalError):  # noqa: N818 - reads as the LocalError that it is
    """The store of dead letters cannot be used now; what was asked was not done."""

    code = "dead_letters_unavailable"


class Database:
    """One file. `wall_ns` is the wall clock, which names what is put aside.

    `after_write` sees the file after each write, on the thread and in the same transaction.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall_ns: Callable[[], int],
        after_write: Work[None] = lambda _connection: None,
    ) -> None:
        self.damaged = 0
        self.failures = 0
        self._path = path
        self._wall_ns = wall_ns
        self._after_write = after_write
        self._thread: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._connection: sqlite3.Connection | None = None  # of the thread, and nobody else
        self._refuses = False

    def start(self) -> None:
        """Start the thread. The file is opened by the first work."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dead-letters")

    async def stop(self) -> None:
        """Finish what is waiting, close the file, end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=True)

    async def read(self, work: Work[T]) -> T:
        """The result of `work`, which changes nothing. Raises StoreUnavailable."""
        return await self._on_thread(lambda: self._transact("BEGIN", work))

    async def write(self, work: Work[T], *, durable: bool) -> T:
        """The result of `work`, once it is committed. Raises StoreUnavailable.

        A caller that is cancelled does not stop work that has begun.
        """

        def observed(connection: sqlite3.Connection) -> T:
            result = work(connection)
            self._after_write(connection)
            return result

        return await self._on_thread(
            lambda: self._transact("BEGIN IMMEDIATE", observed, durable=durable)
        )

    async def shrink(self, pages: int) -> bool:
        """Give so many free pages back to the file system; False when none are left.

        Raises StoreUnavailable.
        """

        def step() -> bool:
            connection = self._opened()
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            if not free:
                return False
            # `execute` would stop after the first page: the statement has no columns.
            connection.executescript(f"PRAGMA incremental_vacuum({pages})")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # which cuts the file
            return bool(free > pages)

        return await self._on_thread(step)

    async def clean(self) -> None:
        """Leave nothing of what was deleted in the write-ahead log. Raises StoreUnavailable."""
        await self._on_thread(
            lambda: self._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        )

    def size_bytes(self) -> int:
        """What the file and its write-ahead log take on disk."""
        total = 0
        for companion in _COMPANIONS[:2]:
            with contextlib.suppress(OSError):
                total += _beside(self._path, companion).stat().st_size
        return total

    async def _on_thread(self, step: Callable[[], T]) -> T:
        if self._thread is None:
            raise StoreUnavailable("The store of dead letters is closed")
        if self._waiting >= MOST_WAITING:
            raise StoreUnavailable("The store of dead letters is busy; try again")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._attempt, step)
        future.add_done_callback(self._answered)
        return await asyncio.shield(future)

    def _answered(self, future: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # whoever asked may have left; then nobody else looks at it

    # -- on the thread -----------------------------------------------------------------------------

    def _attempt(self, step: Callable[[], T]) -> T:
        try:
            try:
                result = step()
            except (sqlite3.DatabaseError, NewerFile) as error:
                if not _unusable(error):
                    raise
                self._put_aside(error)
                result = step()
        except (sqlite3.Error, NewerFile, OSError) as error:
            self._refused(error)
            raise StoreUnavailable(f"The store of dead letters cannot be used: {error}") from error
        if self._refuses:
            self._refuses = False
            log.info("the store of dead letters can be used again")
        return result

    def _transact(self, begin: str, work: Work[T], *, durable: bool = False) -> T:
        connection = self._opened()
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute(begin)
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite rolls back some failures by itself
                connection.execute("ROLLBACK")
            raise
        return result

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _open(self._path)
        return self._connection

    def _refused(self, error: Exception) -> None:
        self.failures += 1
        # After an I/O error SQLite's view of the file may be stale: look at it anew.
        self._close()
        if not self._refuses:
            log.error(
                "the store of dead letters cannot be used; what arrives waits in the journal",
                extra={"reason": str(error)},
            )
        self._refuses = True

    def _put_aside(self, error: Exception) -> None:
        self._close()
        self.damaged += 1
        aside = self._path.with_name(f"{self._path.name}.aside-{self._wall_ns():020d}")
        log.error(
            "the store of dead letters cannot be read and is put aside; a new one is made",
            extra={"file": aside.name, "reason": str(error)},
        )
        for companion in _COMPANIONS:
            with contextlib.suppress(FileNotFoundError):
                _beside(self._path, companion).replace(_beside(aside, companion))
        kept = sorted(self._path.parent.glob(f"{self._path.name}.aside-{'[0-9]' * 20}"))
        for old in kept[:-KEPT_ASIDE]:
            for companion in _COMPANIONS:
                with contextlib.suppress(OSError):
                    _beside(old, companion).unlink()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _beside(path: Path, companion: str) -> Path:
    return path.with_name(path.name + companion)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite would make it readable by all; its companions take the mode of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE))
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        if not pages:  # later it would have no effect, and wait for whoever holds a lock
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _unusable(error: Exception) -> bool:
    """Whether the file itself is at fault, and no retry would help."""
    if isinstance(error, NewerFile):
        return True
    code = getattr(error, "sqlite_errorcode", 0)
    return (code & 0xFF) in _DAMAGED  # extended codes keep the primary one in their low byte
