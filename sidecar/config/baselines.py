"""Baseline files that models name: read whole, checked, of bounded size. Blocking."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sidecar.baseline import Baseline, decode
from sidecar.errors import ConfigError

# A column has some 10 KB of text, and as much per segment: enough for 300 columns in 20 segments.
LARGEST_FILE_BYTES: Final = 128 * 1024 * 1024


def read_baseline(file: str | Path) -> Baseline:
    """The baseline of a file. Raises ConfigError, with the file and the place in it as path."""
    path = Path(file)
    try:
        with path.open("rb") as stream:
            text = stream.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path)) from error
    if len(text) > LARGEST_FILE_BYTES:
        raise ConfigError(f"larger than {LARGEST_FILE_BYTES >> 20} MiB", path=str(path))
    try:
        return decode(text)
    except ConfigError as error:
        place = "" if error.path == "$" else f" {error.path}"
        raise ConfigError(error.reason, path=f"{path}{place}") from error
