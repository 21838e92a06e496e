"""Small files are replaced whole or not at all, and durably: before anybody is told so.

Written to a temporary file beside it, flushed, renamed over the old one, and the directory flushed:
a crash at any point leaves the old content or the new one.

Must not know: what is in a file. Blocking: from an event loop, use a thread.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o700
"""The mode of a directory that nobody else may look into."""
FILE_MODE: Final = 0o600


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
