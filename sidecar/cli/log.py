"""`sidecar log`: what was recorded, read back from the journal's files.

Needs no sidecar that runs, only its journal: `-c FILE` finds it, or `--journal DIRECTORY`. Whoever
may read those files may read what is in them; there is no other guard.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
import typer

from sidecar.admin.log_views import ledger_view
from sidecar.cli import output
from sidecar.cli.log_export import export
from sidecar.cli.log_options import (
    ConfigOption,
    JournalOption,
    directory_of,
    sinks_of,
    takes_question,
)
from sidecar.cli.options import JsonOption
from sidecar.control.recording import last_balance
from sidecar.control.recording.search import JournalSearch, Question
from sidecar.control.recording.standings import standings
from sidecar.errors import ConfigError
from sidecar.records import Record, to_json
from sidecar.records.codec import time_text

FOLLOW_S: Final = 0.2  # between two looks
NOT_FOUND: Final = 1
USUAL_LINES: Final = 20
BOOKS_COLUMNS: Final = (
    "route", "model", "role", "requests", "logged", "sampled_out", "dropped", "lost_in_crash",
    "corrupt", "in_memory",
)  # fmt: skip
SHOWN_PREDICTIONS: Final = 3
COLUMNS: Final = (
    "at", "route", "model", "role", "status", "outcome", "ms", "rows", "predictions", "id",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(no_args_is_help=True, help="Read back what was recorded.")
    group.command("tail")(takes_question(tail))
    group.command("show")(show)
    group.command("stats")(stats)
    group.command("export")(takes_question(export))
    app.add_typer(group, name="log")


def tail(
    *,
    question: Question,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="So many records.")] = (
        USUAL_LINES
    ),
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is recorded from now on.")
    ] = False,
    config: ConfigOption = None,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest records, the newest last.

    With --json a record a line, whole; else the line of a table each.
    """
    directory = directory_of(config, journal)
    more = JournalSearch(directory).follow(question) if follow else None
    found = JournalSearch(directory).newest(question, lines) if lines else []
    _print(found, as_json=as_json, head=True)
    while more is not None:
        _print(more(), as_json=as_json, head=False)
        sys.stdout.flush()
        time.sleep(FOLLOW_S)


def show(
    name: Annotated[
        str, typer.Argument(metavar="ID", help="A record's id, or the id of a request.")
    ],
    *,
    config: ConfigOption = None,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one record whole, or all records of one request: the model's and its shadows'.

    Exits with 1 when there is none.
    """
    found = JournalSearch(directory_of(config, journal)).find(name)
    if not found:
        output.say(f"There is no record of {name}, or not any more (`journal.retain`).")
        raise typer.Exit(NOT_FOUND)
    documents = [msgspec.json.decode(to_json(one)) for one in found]
    if as_json:
        output.data(documents[0] if len(documents) == 1 else documents)
        return
    for number, document in enumerate(documents):
        if number:
            sys.stdout.write("\n")
        _print_whole(document)


def stats(
    *,
    config: ConfigOption = None,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the books: what became of every exchange, and of every record at every sink.

    They are as the controller wrote them down last, some seconds ago while a sidecar runs; those of
    this moment are at /api/v1/log/books.
    """
    directory = directory_of(config, journal)
    balance = last_balance(directory)
    if balance is None:
        raise ConfigError(
            f"{directory} has no books: no sidecar has run with this journal", path="log stats"
        )
    sinks = standings(directory, configured=sinks_of(config, journal))
    view = msgspec.to_builtins(ledger_view(balance, sinks))
    if as_json:
        output.data(view)
        return
    output.say(f"As of {view['at']}:")
    output.table(
        [name.replace("_", " ") for name in BOOKS_COLUMNS],
        [
            [sum(one[name].values()) if name == "dropped" else one[name] for name in BOOKS_COLUMNS]
            for one in view["requests"]
        ],
    )
    for one in view["requests"]:
        for reason, count in one["dropped"].items():
            if count:
                output.say(f"  {one['route']}/{one['model']}: {count} dropped: {reason}")
    if view["sinks"]:
        output.table(
            ("sink", "model", "logged", "delivered", "pending", "dead-lettered", "expired"),
            [tuple(one.values()) for one in view["sinks"]],
        )


def _print(records: Iterable[Record], *, as_json: bool, head: bool) -> None:
    if as_json:
        for record in records:
            sys.stdout.write(to_json(record).decode() + "\n")
        return
    rows = [_row(record) for record in records]
    if head:
        output.table(COLUMNS, rows)
        return
    for row in rows:
        sys.stdout.write("\t".join("-" if cell is None else str(cell) for cell in row) + "\n")


def _row(record: Record) -> tuple[object, ...]:
    return (
        time_text(record.at_ns),
        record.route,
        record.model,
        record.role.value,
        record.status or None,
        record.failure or record.outcome.value,
        None if record.duration_ns < 0 else f"{record.duration_ns / 1e6:.2f}",
        record.rows,
        ", ".join(map(str, record.predictions[:SHOWN_PREDICTIONS])) or None,
        record.id,
    )


def _print_whole(document: dict[str, Any]) -> None:
    """A line for each thing that is known; heads and bodies last."""
    captured = document.pop("captured") or {}
    for name, value in document.items():
        if value not in (None, [], {}):
            sys.stdout.write(f"{name}: {_shown(value)}\n")
    for name, value in captured.items():
        if value not in (None, []):
            sys.stdout.write(f"captured.{name}: {_shown(value)}\n")


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
