"""The state directory: private where it is ours, and used by one sidecar at a time.

    lock                 held by the launcher for its whole life (the lock is the kernel's, not the
                         file)
    routing.msgpack      what `sidecar.control.persistence` writes
    observation.msgpack  what is observed, and where its numbers stand
    provisional/         references that were learned, for each route and model
    snapshots/           the past of all that is observed
    journal/             records, unless `journal.path` is elsewhere
    dead_letters.sqlite  what could not be predicted or delivered
    control.sock         where workers and controller meet

Two launchers on one directory would overwrite each other's rollbacks, so the second one is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Final, Self

from sidecar.config.addresses import LONGEST_SOCKET_PATH_BYTES
from sidecar.errors import ConfigError

PRIVATE: Final = 0o700


class StateDir:
    """An existing, private, locked directory. `close()` (or the end of the process) gives it up."""

    def __init__(self, path: Path, lock_descriptor: int) -> None:
        self.path = path
        self._lock = lock_descriptor

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Create `path` if needed and lock it. Raises ConfigError when that cannot be."""
        path = path.absolute()
        try:
            path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            if path.stat().st_uid == os.geteuid():
                path.chmod(PRIVATE)
            # Else it is a mounted volume, root's, that our group may write: what we put there is
            # private by its own mode.
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be used: {error.strerror}; name a directory this user may write",
                path="$.state_dir",
            ) from error
        directory = cls(path, lock)
        if len(os.fsencode(directory.control_socket)) > LONGEST_SOCKET_PATH_BYTES:
            directory.close()
            raise ConfigError(
                f"{path} is too long: the path of its control.sock has to stay within "
                f"{LONGEST_SOCKET_PATH_BYTES} bytes",
                path="$.state_dir",
            )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            directory.close()
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise ConfigError(
                    f"{path} cannot be locked: {error.strerror}", path="$.state_dir"
                ) from error
            raise ConfigError(
                f"{path} is in use by another sidecar{_holder(path)}; stop that one, or give each "
                "sidecar a directory of its own",
                path="$.state_dir",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return directory

    @property
    def routing_file(self) -> Path:
        """Where the routing state is persisted."""
        return self.path / "routing.msgpack"

    @property
    def observation_file(self) -> Path:
        """Where the seats of what is observed are persisted."""
        return self.path / "observation.msgpack"

    @property
    def provisional(self) -> Path:
        """Where references that were learned are kept."""
        return self.path / "provisional"

    @property
    def snapshots(self) -> Path:
        """Where the past of what is observed is kept."""
        return self.path / "snapshots"

    @property
    def control_socket(self) -> Path:
        """Where the controller listens for workers."""
        return self.path / "control.sock"

    def close(self) -> None:
        """Let go of the directory in this process; a child does so at once after the fork."""
        os.close(self._lock)


def _holder(path: Path) -> str:
    try:
        return f" (process {int((path / 'lock').read_text(encoding='ascii'))})"
    except (OSError, ValueError):
        return ""
