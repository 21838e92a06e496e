"""The routing state on disk (`sidecar.disk`). Nothing else in the state directory is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from sidecar.config.wire import decode, encode
from sidecar.control.state import Remembered, RoutingState
from sidecar.disk import replace_file
from sidecar.errors import ConfigError

S = TypeVar("S", bound=Remembered)


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
