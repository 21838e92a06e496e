"""How far the sinks of a journal are, by the files of their cursors: for who looks from outside.

Must not know: pumps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sidecar.journal import Cursor

CURSORS: Final = "cursors"
DEAD_LETTERS: Final = ".dead-letters.msgpack"
"""No sink's: the name of one does not begin with a dot."""
_SUFFIX: Final = ".msgpack"


def cursor_of(directory: Path, sink: str) -> Cursor:
    """Where a sink keeps its place in the journal in `directory`."""
    return Cursor(directory / CURSORS / f"{sink}{_SUFFIX}")


def cursor_of_dead_letters(directory: Path) -> Cursor:
    """Where those keep theirs who look for failed predictions."""
    return Cursor(directory / CURSORS / DEAD_LETTERS)


def standings(
    directory: Path, *, configured: Iterable[str] = ()
) -> list[tuple[str, Mapping[str, Mapping[str, int]]]]:
    """Each sink, and what became of its records, by outcome and model.

    Those that ever were served have a file; those that are `configured` stand at its beginning.
    """
    paths = (directory / CURSORS).glob(f"[!.]*{_SUFFIX}")
    names = {path.name.removesuffix(_SUFFIX) for path in paths} | {*configured}
    return [(name, cursor_of(directory, name).look().totals) for name in sorted(names)]
