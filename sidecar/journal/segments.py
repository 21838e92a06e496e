"""Where segments lie, and how to read bytes of one, compressed or not.

    <journal>/<slot, 2 digits>/<sequence, 10 digits>.seg
    <journal>/<slot, 2 digits>/<sequence, 10 digits>.seg.zst

The second is the first, compressed by the controller some time after the writer had closed it.
Offsets always mean the uncompressed bytes. While one replaces the other both exist for a moment;
the uncompressed one is read then.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from bisect import bisect_right
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from sidecar.errors import ConfigError
from sidecar.journal.compression import Decompressed

SUFFIX: Final = ".seg"
COMPRESSED: Final = ".seg.zst"

_NAME: Final = re.compile(r"([0-9]{10,})\.seg(\.zst)?", re.ASCII)
_SLOT: Final = re.compile(r"[0-9]{2,5}", re.ASCII)
_PAGE_BYTES: Final = 4096
_DISCARD_BYTES: Final = 1024 * 1024


class Source(Protocol):
    """The uncompressed bytes of one segment."""

    def pread(self, size: int, offset: int) -> bytes:
        """At most `size` bytes; fewer only at the end. Raises OSError."""
        ...

    def vanished(self) -> bool:
        """Whether no name leads to these bytes any more."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def slot_directory(directory: Path, slot: int) -> Path:
    """Where the segments of a slot lie."""
    return directory / f"{slot:02d}"


def segment_path(directory: Path, slot: int, sequence: int) -> Path:
    """Where a segment lies while it is not compressed."""
    return slot_directory(directory, slot) / f"{sequence:010d}{SUFFIX}"


def slots_of(directory: Path) -> list[int]:
    """The slots that have a directory, in order; none when there is no journal."""
    return sorted(int(name) for name in _names_in(directory) if _SLOT.fullmatch(name))


def sequences_of(directory: Path, slot: int) -> list[int]:
    """The segments of a slot, in order; none when it has no directory."""
    matches = map(_NAME.fullmatch, _names_in(slot_directory(directory, slot)))
    return sorted({int(found[1]) for found in matches if found is not None})


class SegmentFile(NamedTuple):
    """A segment as it lies there; `ended_ns` is the wall clock of its last record."""

    sequence: int
    path: Path
    size_bytes: int
    ended_ns: int


def files_of(directory: Path, slot: int) -> list[SegmentFile]:
    """The segments of a slot with what they take, in order. Raises OSError."""
    found: dict[int, SegmentFile] = {}
    with (
        contextlib.suppress(FileNotFoundError),
        os.scandir(slot_directory(directory, slot)) as all_,
    ):
        for entry in all_:
            name = _NAME.fullmatch(entry.name)
            if name is None:
                continue
            sequence, compressed = int(name[1]), name[2]
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat()
                if not (compressed and sequence in found):
                    found[sequence] = SegmentFile(
                        sequence, Path(entry.path), status.st_size, status.st_mtime_ns
                    )
    return sorted(found.values())


class SlotListing:
    """Which segment of a slot follows another, without a list of all for every question.

    A quiet worker leaves a segment a minute, 10,000 in a week, and who reads asks several times a
    second. Normally the next number is there or not. Only where files were deleted in between does
    the list matter; it is made again when the directory has changed.
    """

    __slots__ = ("_directory", "_known", "_slot", "_stamp")

    def __init__(self, directory: Path, slot: int) -> None:
        self._directory = directory
        self._slot = slot
        self._known: list[int] = []
        self._stamp = (0, 0)

    def after(self, sequence: int) -> int | None:
        """The first segment after this one; None: there is none yet."""
        if _is_there(self._directory, self._slot, sequence + 1):
            return sequence + 1
        self._look()
        place = bisect_right(self._known, sequence)
        return self._known[place] if place < len(self._known) else None

    def _look(self) -> None:
        stamp = _stamp_of(slot_directory(self._directory, self._slot))
        if stamp != self._stamp:
            self._known = sequences_of(self._directory, self._slot)
            self._stamp = stamp  # of before the list was made: what came since is seen next time


def open_segment(directory: Path, slot: int, sequence: int) -> Source | None:
    """The bytes of a segment; None when it is gone. Raises OSError; ConfigError (no zstandard)."""
    path = segment_path(directory, slot, sequence)
    with contextlib.suppress(FileNotFoundError):
        return _Plain(path)
    with contextlib.suppress(FileNotFoundError):
        return _Compressed(path.with_suffix(COMPRESSED))
    return None


def segment_bytes(directory: Path, slot: int, sequence: int) -> int:
    """What a segment takes on the disk; 0 when it is gone."""
    path = segment_path(directory, slot, sequence)
    for one in (path, path.with_suffix(COMPRESSED)):
        with contextlib.suppress(FileNotFoundError):
            return one.stat().st_size
    return 0


def writer_lives(directory: Path, slot: int) -> bool:
    """Whether a writer holds this slot: it locks the directory as long as its process lives."""
    try:
        descriptor = os.open(slot_directory(directory, slot), os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_there(directory: Path, slot: int, sequence: int) -> bool:
    path = segment_path(directory, slot, sequence)
    return path.exists() or path.with_suffix(COMPRESSED).exists()


def _stamp_of(directory: Path) -> tuple[int, int]:
    """Differs when names were made or removed in a directory, or it is another one."""
    try:
        status = directory.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def _names_in(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


class _Plain:
    """A segment as it was written."""

    __slots__ = ("_descriptor",)

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)

    def pread(self, size: int, offset: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        return self._pread_by_pages(size, offset)

    def vanished(self) -> bool:
        return os.fstat(self._descriptor).st_nlink == 0

    def close(self) -> None:
        os.close(self._descriptor)

    def _pread_by_pages(self, size: int, offset: int) -> bytes:
        """The bytes around a bad place of the disk, which reads as zeros: damage like any other."""
        end = min(offset + size, os.fstat(self._descriptor).st_size)
        pages = []
        while offset < end:
            length = min(_PAGE_BYTES - offset % _PAGE_BYTES, end - offset)
            try:
                pages.append(os.pread(self._descriptor, length, offset))
            except OSError:
                pages.append(bytes(length))
            offset += length
        return b"".join(pages)


class _Compressed:
    """A compressed segment, read from front to back; going back starts over."""

    __slots__ = ("_at", "_file", "_stream")

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._stream = Decompressed(self._file)
        except ConfigError:
            self._file.close()
            raise
        self._at = 0

    def pread(self, size: int, offset: int) -> bytes:
        if offset < self._at:
            self._file.seek(0)
            self._stream = Decompressed(self._file)
            self._at = 0
        while self._at < offset:
            if not self._read(min(offset - self._at, _DISCARD_BYTES)):
                return b""
        return self._read(size)

    def vanished(self) -> bool:
        return os.fstat(self._file.fileno()).st_nlink == 0

    def close(self) -> None:
        self._file.close()

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._at += len(data)
        return data
