"""Lines into a file that is there whole or not at all, or to stdout; and a bar while it lasts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from sidecar.disk import FILE_MODE
from sidecar.errors import ConfigError

STDOUT: Final = Path("-")

ToArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; - is stdout.")]


def write_lines(to: Path, lines: Iterable[bytes]) -> int:
    """Write lines, each with its end, for the owner's eyes only; how many. Raises ConfigError."""
    if to == STDOUT:
        return _copy(lines, sys.stdout.buffer.write)
    unfinished = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                written = _copy(lines, file.write)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(to)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=str(to)) from error
    return written


def _copy(lines: Iterable[bytes], write: Callable[[bytes], object]) -> int:
    written = 0
    for line in lines:
        write(line)
        written += 1
    return written


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr when that is a terminal; call what it gives with how much more was done."""
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that a pipe does not need
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("exporting", total=total)
        yield lambda more: bar.advance(task, more)
