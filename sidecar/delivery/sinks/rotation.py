"""Files of lines that are begun anew by size and age, and never hold half a line for long.

    <directory>/records-<number, 10 digits>-<begun, UTC>.jsonl

Names sort in the order in which the files were begun, whatever the clock does: the number counts.
The file with the highest number may grow; all others are closed, and on the disk for good.

- What is appended is written by one call. If that fails half way (a full disk), the file is cut
  back to where it was.
- A process that died while it wrote may leave half a line at the end: it is cut off when the file
  is opened again, before anything follows it.
- Age is that of the file's beginning, by the wall clock. A clock that was set back begins a new
  file.
- The directory is locked: two processes appending to one file would mix their lines.

Blocking; one caller at a time. Must not know records.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_NAME: Final = re.compile(r"records-([0-9]{10,})-([0-9]{8}T[0-9]{6}Z)\.jsonl", re.ASCII)
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_BACK_BYTES: Final = 64 * 1024
_NS_PER_S: Final = 1_000_000_000

log: Final = logging.getLogger("sidecar.delivery")


class Rotation(Struct, frozen=True, kw_only=True):
    """When a file is closed, and how much of closed files is kept (None: all)."""

    size_bytes: int
    age_s: float
    keep_bytes: int | None = None


class LinesFile(Struct, frozen=True, kw_only=True):
    """A file by its name."""

    path: Path
    number: int
    begun_ns: int


class RotatingFiles:
    """The files of one directory; see the module's text. `wall_ns` is the wall clock."""

    def __init__(self, directory: Path, rotation: Rotation, *, wall_ns: Callable[[], int]) -> None:
        self._directory = directory
        self._rotation = rotation
        self._wall_ns = wall_ns
        self._lock: int | None = None
        self._descriptor: int | None = None
        self._file: LinesFile | None = None
        self._size = 0
        self._unsynced = False
        self._lost = False  # a closed file may lack what was appended since the last `flush`

    def open(self) -> None:
        """Lock the directory and go on with its newest file. Raises OSError; BlockingIOError when
        another process has it."""
        if self._lock is None:
            self._directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                raise
            self._lock = lock
        if self._descriptor is None:
            newest = max(files_in(self._directory), key=lambda one: one.number, default=None)
            if newest is not None:
                self._continue(newest)

    def append(self, lines: bytes) -> None:
        """Write whole lines. Raises OSError; then none of them is there."""
        if self._descriptor is None or self._is_over(len(lines)):
            self._begin()
        descriptor = self._require()
        try:
            _write(descriptor, lines)
        except OSError:
            self._cut_back(descriptor)
            raise
        self._size += len(lines)
        self._unsynced = True

    def flush(self) -> None:
        """Force what was appended to the disk. Raises OSError: some of it may be lost."""
        if self._lost:
            self._lost = False
            raise OSError(errno.EIO, "a file could not be forced to the disk when it was closed")
        if self._unsynced and self._descriptor is not None:
            os.fsync(self._descriptor)
            self._unsynced = False

    def close(self) -> None:
        """Force everything to the disk and let go of it. Raises OSError, and has let go."""
        try:
            self._close_file()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _is_over(self, more_bytes: int) -> bool:
        """Whether what comes next belongs into a new file."""
        file = self._file
        if file is None or os.fstat(self._require()).st_nlink == 0:
            return True  # somebody moved or deleted it
        if self._size and self._size + more_bytes > self._rotation.size_bytes:
            return True
        age_ns = self._wall_ns() - file.begun_ns
        # A second is what the name can tell: a file is not from the future because of less.
        return not -_NS_PER_S <= age_ns < self._rotation.age_s * _NS_PER_S

    def _begin(self) -> None:
        number = max((one.number for one in files_in(self._directory)), default=0) + 1
        self._close_file()
        now = datetime.fromtimestamp(self._wall_ns() // _NS_PER_S, UTC)
        path = self._directory / f"records-{number:010d}-{now.strftime(_STAMP)}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._descriptor = os.open(path, flags, FILE_MODE)
        self._file = LinesFile(path=path, number=number, begun_ns=_ns(now))
        self._size = 0
        os.fsync(self._locked())  # the name as well
        self._forget_old()

    def _continue(self, file: LinesFile) -> None:
        descriptor = os.open(file.path, os.O_RDWR | os.O_APPEND)
        try:
            size = _whole_lines(descriptor)
            os.ftruncate(descriptor, size)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._file, self._size = descriptor, file, size
        self._unsynced = True  # whoever wrote it may not have come to it

    def _close_file(self) -> None:
        descriptor, self._descriptor, self._file = self._descriptor, None, None
        if descriptor is not None:
            try:
                if self._unsynced:
                    self._unsynced = False
                    os.fsync(descriptor)
            except OSError:
                self._lost = True
                raise
            finally:
                os.close(descriptor)

    def _cut_back(self, descriptor: int) -> None:
        """Take half a line away; a file that keeps it is closed, so that nothing follows it."""
        try:
            os.ftruncate(descriptor, self._size)
        except OSError:
            with contextlib.suppress(OSError):  # `flush` tells
                self._close_file()

    def _forget_old(self) -> None:
        """Delete the oldest closed files beyond what is kept."""
        keep = self._rotation.keep_bytes
        if keep is None:
            return
        closed = sorted(files_in(self._directory), key=lambda one: -one.number)[1:]
        for file in closed:
            with contextlib.suppress(FileNotFoundError):
                keep -= file.path.stat().st_size
                if keep < 0:
                    file.path.unlink()
                    log.info("an old file of records was deleted", extra={"file": file.path.name})

    def _require(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "no file is open")
        return self._descriptor

    def _locked(self) -> int:
        if self._lock is None:
            raise OSError(errno.EBADF, "the directory is not locked")
        return self._lock


def files_in(directory: Path) -> list[LinesFile]:
    """The files of a directory that have such a name, in no order. Raises OSError."""
    found = []
    for path in directory.iterdir():
        name = _NAME.fullmatch(path.name)
        if name is None:
            continue
        try:
            begun = datetime.strptime(name[2], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue  # digits, but no date: none of ours
        found.append(LinesFile(path=path, number=int(name[1]), begun_ns=_ns(begun)))
    return found


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * _NS_PER_S


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _whole_lines(descriptor: int) -> int:
    """Bytes up to the end of the last whole line."""
    end = os.fstat(descriptor).st_size
    while end:
        begin = max(end - _BACK_BYTES, 0)
        last = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if last >= 0:
            return begin + last + 1
        end = begin
    return 0
