"""What all files of a journal have in common: who may read them, and when they are there for good.

Small files are replaced whole or not at all.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o700
FILE_MODE: Final = 0o600

log: Final = logging.getLogger("sidecar.journal")


def replace_file(path: Path, content: bytes) -> None:
    """Give `path` this content, atomically and durably. Raises OSError and keeps the old one."""
    temporary = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Force names made or removed in a directory to the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)  # open(2) promises nothing about directory entries
    finally:
        os.close(descriptor)


def put_aside(path: Path, error: Exception) -> None:
    """Take a file that cannot be read out of the way, and say so."""
    log.error(
        "a file of the journal cannot be read and is put aside; its reader begins again with the "
        "oldest record",
        extra={"file": path.name, "reason": str(error)},
    )
    with contextlib.suppress(OSError):
        path.replace(path.with_name(f"{path.name}.damaged"))
