"""`sidecar log export`: records as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidecar.cli import output
from sidecar.cli.exporting import STDOUT, ToArgument, progress, write_lines
from sidecar.cli.log_options import ConfigOption, JournalOption, directory_of
from sidecar.cli.options import JsonOption
from sidecar.control.recording.search import JournalSearch, Question
from sidecar.errors import ConfigError
from sidecar.records import Record, to_json


def export(
    to: ToArgument,
    *,
    question: Question,
    config: ConfigOption = None,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write records as JSON Lines, each whole, those of a worker in the order it wrote them.

    The file is there whole or not at all. It holds what clients sent: only you can read it.
    """
    search = JournalSearch(directory_of(config, journal))
    with progress(search.size_bytes(question)) as advance:
        written = write_lines(to, _lines(search.all(question, advance)))
    if as_json and to != STDOUT:
        output.data({"file": str(to), "records": written})
    else:
        output.say(f"Wrote {written} records" + ("" if to == STDOUT else f" to {to}"))


def _lines(records: Iterable[Record]) -> Iterator[bytes]:
    try:
        for record in records:
            yield to_json(record) + b"\n"
    except OSError as error:
        raise ConfigError(f"the journal cannot be read: {error.strerror}") from error
