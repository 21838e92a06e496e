"""Closed segments, compressed; the only place that knows zstandard, which is optional.

A segment is compressed as a whole, into a file beside it that takes its place. Readers that have
the old one open go on with it. When the process dies in between, both are there, or the new one
unfinished under another name: the next attempt overwrites it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from sidecar.disk import FILE_MODE, sync_directory
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

LEVEL: Final = 3
_CHUNK_BYTES: Final = 1024 * 1024


class Decompressed:
    """The content of a compressed file, from where it stands. Raises ConfigError: no zstandard.

    Damage ends it: what comes after cannot be found again.
    """

    __slots__ = ("_error", "_stream")

    def __init__(self, file: IO[bytes]) -> None:
        zstandard = _zstandard()
        self._error = zstandard.ZstdError
        self._stream: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(file)

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end. Raises OSError."""
        try:
            return self._stream.read(size)
        except self._error:
            return b""


def compress_file(path: Path, compressed: Path) -> int:
    """Let `compressed` take the place of `path`; how many bytes that saved.

    Keeps the time at which the segment ended. Raises OSError (and keeps the old one), ConfigError
    (zstandard is not installed).
    """
    compressor = _zstandard().ZstdCompressor(level=LEVEL, write_checksum=True)
    temporary = compressed.with_name(f"{compressed.name}.new")
    status = path.stat()
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with path.open("rb") as source, os.fdopen(descriptor, "wb") as target:
            compressor.copy_stream(
                source, target, size=status.st_size, read_size=_CHUNK_BYTES, write_size=_CHUNK_BYTES
            )
            target.flush()
            os.fsync(target.fileno())
            size = target.tell()
        os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
        temporary.replace(compressed)
        sync_directory(path.parent)  # or a power cut could leave neither name
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    path.unlink()
    return status.st_size - size


def _zstandard() -> ModuleType:
    try:
        import zstandard  # noqa: PLC0415 -- an optional library
    except ImportError:
        raise ConfigError(
            "compressed segments need zstandard; pip install 'model-sidecar[zstd]'",
            path="$.journal.compress",
        ) from None
    return zstandard
