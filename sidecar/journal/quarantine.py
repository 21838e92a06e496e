"""Bytes that could not be read as records, kept for whoever wants to know what they were.

    <journal>/quarantine/<slot>-<sequence>-<offset>.bytes

Bounded: when it is full, or the disk refuses, nothing more is kept; readers go on.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from sidecar.disk import FILE_MODE, PRIVATE

MOST_BYTES: Final = 64 * 1024 * 1024

log: Final = logging.getLogger("sidecar.journal")


class Quarantine:
    """The quarantine of the journal in `directory`."""

    def __init__(self, directory: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.kept = 0
        """Pieces kept since the start."""
        self._directory = directory / "quarantine"
        self._most_bytes = most_bytes

    def keep(self, slot: int, sequence: int, offset: int, data: bytes) -> bool:
        """Keep what stood at `offset` of a segment; False when there is no room, or it is there."""
        path = self._directory / f"{slot:02d}-{sequence:010d}-{offset}.bytes"
        try:
            self._directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            if self._bytes() + len(data) > self._most_bytes:
                return False
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except FileExistsError:
            return False
        except OSError as error:
            log.warning("damaged bytes cannot be kept", extra={"reason": str(error)})
            return False
        self.kept += 1
        log.warning(
            "damaged bytes of the journal were passed over and kept",
            extra={"file": path.name, "bytes": len(data)},
        )
        return True

    def _bytes(self) -> int:
        with os.scandir(self._directory) as entries:
            return sum(entry.stat().st_size for entry in entries)
