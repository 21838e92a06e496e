"""`sidecar dlq export`: letters with all that is kept of them, as JSON Lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from sidecar.cli import output, target
from sidecar.cli.dlq_filters import FilterWords, query
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption
from sidecar.errors import ConfigError

PATH: Final = "/api/v1/dlq"
STDOUT: Final = Path("-")
PRIVATE: Final = 0o600


def export(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; - is stdout.")],
    *,
    which: FilterWords,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write letters as JSON Lines: each with its record, the request and the answer of a replay.

    The file is there whole or not at all. It holds what clients sent: only you can read it.
    """
    client = target.find(config, admin, token_file)
    total = client.get(f"{PATH}{query(which, limit=1)}")["total"]
    lines = client.lines(f"{PATH}/export{query(which)}")
    with _progress(total) as advance:
        if to == STDOUT:
            written = _copy(lines, sys.stdout.buffer.write, advance)
        else:
            written = _write(to, lines, advance)
    if as_json and to != STDOUT:
        output.data({"file": str(to), "letters": written})
    else:
        output.say(f"Wrote {written} letters" + ("" if to == STDOUT else f" to {to}"))


def _copy(
    lines: Iterable[bytes], write: Callable[[bytes], object], advance: Callable[[], None]
) -> int:
    written = 0
    for line in lines:
        write(line)
        written += 1
        advance()
    return written


def _write(to: Path, lines: Iterable[bytes], advance: Callable[[], None]) -> int:
    unfinished = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                written = _copy(lines, file.write, advance)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(to)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=str(to)) from error
    return written


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that a pipe does not need
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("exporting", total=total)
        yield lambda: progress.advance(task)
