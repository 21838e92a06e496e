"""A consumer's place in the journal, and what became of the records before it: one file.

Both stand in one file because they must agree: the records before the position are exactly those
the totals count, whatever moment the process dies at. Written to a temporary file, forced to the
disk, renamed over the old one, and the directory forced too.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from sidecar.disk import PRIVATE, replace_file
from sidecar.journal.damaged import put_aside
from sidecar.journal.position import START, Position


class Standing(Struct, frozen=True, kw_only=True):
    """How far a consumer is. `totals`: outcome (as `delivered`) to model to records."""

    position: Position = START
    totals: dict[str, dict[str, int]] = {}


class Cursor:
    """Where one consumer keeps its standing. Blocking: from an event loop, use a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Standing:
        """The standing saved last; the beginning when there is none, or it cannot be read.

        From the beginning, records come twice, with the ids they had. A file that cannot be read is
        put aside.
        """
        try:
            return self._read()
        except FileNotFoundError:
            return Standing()
        except (OSError, ValueError) as error:
            put_aside(self.path, error)
            return Standing()

    def look(self) -> Standing:
        """The same for who does not own it: the file stays where it is."""
        try:
            return self._read()
        except (OSError, ValueError):
            return Standing()

    def save(self, standing: Standing) -> None:
        """Replace the standing, durably. Raises OSError and keeps the old one."""
        self.path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        replace_file(self.path, msgspec.msgpack.encode(standing))

    def _read(self) -> Standing:
        return msgspec.msgpack.decode(self.path.read_bytes(), type=Standing)
