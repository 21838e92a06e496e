"""Small files that are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

from sidecar.journal.segment_writer import sync_directory
from sidecar.journal.segments import FILE_MODE

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


def put_aside(path: Path, error: Exception) -> None:
    """Take a file that cannot be read out of the way, and say so."""
    log.error(
        "a file of the journal cannot be read and is put aside; its reader begins again with the "
        "oldest record",
        extra={"file": path.name, "reason": str(error)},
    )
    with contextlib.suppress(OSError):
        path.replace(path.with_name(f"{path.name}.damaged"))
