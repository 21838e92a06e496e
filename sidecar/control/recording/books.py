"""Keeps the books: walks through the journal, reads the board, and writes down what it found.

    <journal>/bookkeeper.msgpack    what is in the files, and how far they were walked through
    <journal>/books.msgpack         what the present sidecar must not forget, and the last balance

The second file is also what `sidecar log stats` shows when no sidecar runs. Blocking: every method
runs on one thread at a time.

Must not know: sinks, HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from sidecar.board import Board
from sidecar.control.recording.ledger import Books, Ledger, Saved
from sidecar.disk import replace_file
from sidecar.journal import Bookkeeper, Position, Quarantine, Walk
from sidecar.journal import Books as Written
from sidecar.model import CellKey

BOOKS_FILE: Final = "books.msgpack"
BOOKKEEPER_FILE: Final = "bookkeeper.msgpack"
MOST_PORTIONS: Final = 1000
"""Of some thousand records: a walk that finds more comes back for the rest."""

log: Final = logging.getLogger("sidecar.recording")


class Balance(Struct, frozen=True, kw_only=True):
    """The books at one moment. `books` are of the present sidecar, since its board was made.

    `logged` is what the journal was ever given, by model, whichever sidecar wrote it: what sinks
    have to deliver. `complete` says that the files were read to their ends.
    """

    at_ns: int = 0
    books: list[tuple[CellKey, Books]] = []
    logged: dict[str, int] = {}
    complete: bool = True


class _Kept(Struct, frozen=True, kw_only=True):
    saved: Saved
    balance: Balance


class BookKeeping:
    """See the module's text. `cells` says who has which cell now, `wall_ns` is the wall clock."""

    def __init__(
        self,
        directory: Path,
        *,
        launch: str,
        board: Board,
        cells: Callable[[], Sequence[CellKey | None]],
        wall_ns: Callable[[], int],
        walk: Walk,
    ) -> None:
        self.balance = Balance()
        self._directory = directory
        self._board = board
        self._cells = cells
        self._wall_ns = wall_ns
        self._bookkeeper = Bookkeeper(
            directory,
            directory / BOOKKEEPER_FILE,
            quarantine=Quarantine(directory),
            walk=walk,
        )
        self._launch = launch
        self._ledger = Ledger(launch)
        self._refused = False

    @property
    def position(self) -> Position:
        """What lies before it may be removed: the books would know of it after a restart."""
        return self._bookkeeper.saved_position

    def load(self) -> None:
        """Go on where the last controller stopped."""
        self._bookkeeper.load()
        kept = read_kept(self._directory)
        self._ledger = Ledger(self._launch, None if kept is None else kept.saved)

    def advance(self) -> Balance:
        """Make the balance of now. Raises OSError, SidecarError: the journal cannot be read."""
        before = self._board.accounts()
        complete = False
        for _ in range(MOST_PORTIONS):
            if not self._bookkeeper.advance():
                complete = True
                break
        written = self._bookkeeper.books
        after = self._board.accounts()
        if complete:
            # Of half of the files nothing can be said about what is not in them.
            books = self._ledger.balance(self._cells(), before, written, after)
            self.balance = Balance(
                at_ns=self._wall_ns(),
                books=sorted(books.items(), key=lambda one: _order(one[0])),
                logged=_by_model(written),
            )
        else:
            self.balance = msgspec.structs.replace(self.balance, complete=False)
        return self.balance

    def save(self) -> None:
        """Keep all of it. What the disk refuses is tried again the next time."""
        kept = _Kept(saved=self._ledger.saved(), balance=self.balance)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # In this order: what is forgotten of the ledger would be counted anew, not lost.
            replace_file(self._directory / BOOKS_FILE, msgspec.msgpack.encode(kept))
            self._bookkeeper.save()
        except OSError as error:
            if not self._refused:
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "the books cannot be written down", extra={"reason": str(error)}
                )
            self._refused = True
            return
        self._refused = False

    def close(self) -> None:
        """Let go of the files."""
        self._bookkeeper.close()


def read_kept(directory: Path) -> _Kept | None:
    """What was written down last; None when nothing was, or it cannot be read."""
    try:
        return msgspec.msgpack.decode((directory / BOOKS_FILE).read_bytes(), type=_Kept)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.error("the books cannot be read; they begin anew", extra={"reason": str(error)})  # noqa: TRY400
        return None


def last_balance(directory: Path) -> Balance | None:
    """The balance that was written down last; None when there is none."""
    kept = read_kept(directory)
    return None if kept is None else kept.balance


def _by_model(written: Written) -> dict[str, int]:
    models: dict[str, int] = {}
    for account, count in written.logged.items():
        models[account.cell.model] = models.get(account.cell.model, 0) + count
    return models


def _order(key: CellKey) -> tuple[str, str, str]:
    return key.route, key.role.value, key.model
