"""`sidecar log export`: records as JSON Lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from sidecar.cli import output
from sidecar.cli.log_options import (
    ConfigOption,
    JournalOption,
    ModelOption,
    RoleOption,
    RouteOption,
    SegmentOption,
    SinceOption,
    StatusOption,
    UntilOption,
    directory_of,
    question_of,
)
from sidecar.cli.options import JsonOption
from sidecar.control.recording.search import JournalSearch
from sidecar.errors import ConfigError
from sidecar.records import Record, to_json

STDOUT: Final = Path("-")
PRIVATE: Final = 0o600


def export(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; - is stdout.")],
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    route: RouteOption = None,
    model: ModelOption = None,
    role: RoleOption = None,
    status: StatusOption = None,
    segment: SegmentOption = None,
    config: ConfigOption = None,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write records as JSON Lines, each whole, those of a worker in the order it wrote them.

    The file is there whole or not at all. It holds what clients sent: only you can read it.
    """
    directory = directory_of(config, journal)
    question = question_of(since, until, route, model, role, status, segment)
    search = JournalSearch(directory)
    with _progress(search.size_bytes(question)) as advance:
        records = search.all(question, advance)
        stdout = sys.stdout.buffer.write
        written = _copy(records, stdout) if to == STDOUT else _write(to, records)
    if as_json and to != STDOUT:
        output.data({"file": str(to), "records": written})
    else:
        output.say(f"Wrote {written} records" + ("" if to == STDOUT else f" to {to}"))


def _copy(records: Iterable[Record], write: Callable[[bytes], object]) -> int:
    written = 0
    for record in records:
        write(to_json(record) + b"\n")
        written += 1
    return written


def _write(to: Path, records: Iterable[Record]) -> int:
    unfinished = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                written = _copy(records, file.write)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(to)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=str(to)) from error
    return written


@contextmanager
def _progress(total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr when that is a terminal: how much of the journal was looked through."""
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that a pipe does not need
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("exporting", total=total_bytes)
        yield lambda more: progress.advance(task, more)
