"""What becomes of a file of the journal that cannot be read."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Final

log: Final = logging.getLogger("sidecar.journal")


def put_aside(path: Path, error: Exception) -> None:
    """Take a file that cannot be read out of the way, and say so."""
    log.error(
        "a file of the journal cannot be read and is put aside; its reader begins again with the "
        "oldest record",
        extra={"file": path.name, "reason": str(error)},
    )
    with contextlib.suppress(OSError):
        path.replace(path.with_name(f"{path.name}.damaged"))
