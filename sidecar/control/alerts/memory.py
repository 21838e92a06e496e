"""What alerts must not forget, on disk in the state directory.

    alerts.msgpack          alerts, what receivers were told, silences: written before a message is
                            sent and after it was confirmed, durably
    alert_windows.msgpack   what series said before: once a minute; losing it costs a window's time

Both are replaced whole or not at all. Writers are threads that nobody can cancel: they take turns,
and one that comes late does not put back what is older.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from sidecar.config.alerting import AlertSettings
from sidecar.config.wire import decode, encode
from sidecar.control.alerts.grouping import Ledger
from sidecar.control.alerts.lifecycle import Alert
from sidecar.control.alerts.silences import Silence
from sidecar.control.alerts.windows import Windows
from sidecar.disk import replace_file
from sidecar.errors import ConfigError

S = TypeVar("S", bound=Struct)

MEMORY_FILE: Final = "alerts.msgpack"
WINDOWS_FILE: Final = "alert_windows.msgpack"


class AlertMemory(Struct, frozen=True, kw_only=True):
    """Of alerts what a restart must not forget.

    `settings` are those in use, encoded, and `launch` names the run of the launcher in which they
    were: a controller that is restarted goes on with what was reloaded, a new launch with the file.
    """

    launch: str = ""
    settings: bytes = b""
    alerts: dict[str, Alert] = {}
    ledgers: dict[str, Ledger] = {}
    silences: tuple[Silence, ...] = ()

    def settings_of(self, launch: str) -> AlertSettings | None:
        """The settings that were in use in this launch; None when there are none of it."""
        if launch != self.launch:
            return None
        try:
            return decode(self.settings, AlertSettings)
        except ValueError:
            return None


class AlertFiles:
    """The two files, in one directory. Blocking: from an event loop, use a thread."""

    def __init__(self, directory: Path) -> None:
        self._memory = directory / MEMORY_FILE
        self._windows = directory / WINDOWS_FILE
        self._turn = threading.Lock()
        self._newest = 0

    def read(self) -> AlertMemory:
        """What was written last; of a first start nothing. Raises ConfigError if unreadable."""
        return _read(self._memory, AlertMemory)

    def read_windows(self) -> Windows:
        """Likewise, what series said before."""
        return _read(self._windows, Windows)

    def set_aside(self) -> None:
        """Keep a file that cannot be read from being overwritten."""
        with contextlib.suppress(OSError):
            self._memory.replace(self._memory.with_suffix(".unreadable"))

    def write(self, memory: AlertMemory, serial: int) -> None:
        """Replace it, durably, unless one with a higher serial has been written.

        Raises OSError and changes nothing.
        """
        with self._turn:
            if serial > self._newest:
                replace_file(self._memory, encode(memory))
                self._newest = serial

    def write_windows(self, windows: Windows) -> None:
        """Replace it. Raises OSError and changes nothing."""
        with self._turn:
            replace_file(self._windows, encode(windows))


def _read(path: Path, kind: type[S]) -> S:
    try:
        return decode(path.read_bytes(), kind)
    except FileNotFoundError:
        return kind()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); without it alerts that fire are told again, and "
            "silences are gone",
            path="$.state_dir",
        ) from error
