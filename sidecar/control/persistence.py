"""The routing state on disk: replaced whole or not at all, and durable before anybody is told so.

Written to a temporary file beside it, flushed, renamed over the old one, and the directory flushed:
a crash at any point leaves the old state or the new one. Nothing else in the state directory is
touched.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final, TypeVar

from sidecar.config.wire import decode, encode
from sidecar.control.state import Remembered, RoutingState
from sidecar.errors import ConfigError

S = TypeVar("S", bound=Remembered)

FILE_MODE: Final = 0o600


class StateFile:
    """Where one sidecar keeps its routing state. Blocking: from an event loop, use a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, state: RoutingState) -> None:
        """Replace the state, durably. Raises OSError and changes nothing."""
        replace_file(self.path, encode(state))

    def read(self) -> RoutingState | None:
        """The state written last, None if none ever was. Raises ConfigError if unreadable."""
        return self._read(RoutingState)

    def read_remembered(self) -> Remembered | None:
        """Only what a restart must not forget; readable also after settings changed their form."""
        return self._read(Remembered)

    def _read(self, kind: type[S]) -> S | None:
        try:
            return decode(self.path.read_bytes(), kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self.path} cannot be read ({error}); remove it to start from the configuration "
                "file alone: percentages and rollbacks set at run time are forgotten then",
                path="$.state_dir",
            ) from error


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
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # the rename itself: open(2) promises nothing about directory entries
    finally:
        os.close(directory)
