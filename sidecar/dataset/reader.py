"""What a reader of one format does, and what all of them share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from sidecar.baseline.counting import Values
from sidecar.errors import ConfigError

CHUNK_ROWS: Final = 8192
LONGEST_LINE_BYTES: Final = 16 * 1024 * 1024

Advance = Callable[[int], None]
"""Told how many more bytes of the file have been read."""

Columns = Mapping[str, Values]


class Reader(Protocol):
    """One file of rows. Its errors are ConfigErrors that name the file, and the line."""

    path: Path

    def names(self) -> tuple[str, ...] | None:
        """The names of all columns; None when rows may differ, and only reading tells."""

    def chunks(self, advance: Advance) -> Iterator[tuple[int, Columns]]:
        """The number of rows and the values of each column, some thousand rows at a time."""


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes, hexadecimal. Raises ConfigError."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> ConfigError:
    """A file that cannot be read, in words."""
    return ConfigError(f"cannot be read: {error.strerror}", path=str(path))


def at_line(path: Path, line: int, what: str) -> ConfigError:
    """What is wrong with a line, counted from 1."""
    return ConfigError(what, path=f"{path}:{line}")


def lines_of(path: Path, advance: Advance) -> Iterator[str]:
    """The lines of a UTF-8 file, with their ends. Raises ConfigError."""
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(LONGEST_LINE_BYTES + 1):
                number += 1
                if len(line) > LONGEST_LINE_BYTES:
                    raise at_line(path, number, f"longer than {LONGEST_LINE_BYTES >> 20} MiB")
                advance(len(line))
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise at_line(path, number, f"not UTF-8: {error.reason} at byte {error.start}") from error
