"""`sidecar dlq`: what could not be predicted or delivered, to be looked at, replayed, or forgotten.

Exit codes: 0 done; 1 something was not replayed, or the answer was no; 2 usage or configuration.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer

from sidecar.cli import dlq_export, dlq_replay, output, target
from sidecar.cli.dlq_filters import FilterWords, query, takes_filter
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption
from sidecar.errors import ConfigError

PATH: Final = "/api/v1/dlq"
PAINT: Final = {
    "waiting": "yellow",
    "failed_again": "red",
    "replayed": "green",
    "purged": "dim",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Dead letters: look at what failed, replay it, export it, purge it.",
    )
    group.command("list")(takes_filter(list_letters))
    group.command("show")(show)
    group.command("replay")(takes_filter(dlq_replay.replay))
    group.command("jobs")(dlq_replay.jobs)
    group.command("cancel")(dlq_replay.cancel)
    group.command("export")(takes_filter(dlq_export.export))
    group.command("purge")(takes_filter(purge))
    app.add_typer(group, name="dlq")


def list_letters(
    *,
    which: FilterWords,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most letters shown.")] = 50,
    after: Annotated[
        int | None, typer.Option(help="Go on behind this letter: the next page.")
    ] = None,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show dead letters, the newest first, without what clients sent."""
    order = "oldest" if oldest else None
    client = target.find(config, admin, token_file)
    found = client.get(f"{PATH}{query(which, limit=limit, after=after, order=order)}")
    if as_json:
        output.data(found)
        return
    for one in found["classes"]:
        output.say(
            f"{one['class']}: {one['open']} open, the oldest for {_age(one['age_s'])}; "
            f"{one['letters']['replayed']} replayed; {one['bytes'] / 2**20:.1f} MiB"
        )
    output.table(
        ["id", "class", "state", "at", "model", "sink", "status", "reason", "replays", "note"],
        [
            [
                one["id"],
                one["class"],
                one["state"],
                one["at"],
                one["model"],
                one["sink"],
                one["status"],
                one["reason"],
                one["attempts"],
                one["note"] or one["obstacle"],
            ]
            for one in found["letters"]
        ],
        paint=PAINT,
    )
    if found["next"] is not None:
        output.say(
            f"{len(found['letters'])} of {found['total']} shown; go on with --after {found['next']}"
        )


def show(
    letter: Annotated[int, typer.Argument(metavar="ID", help="Of `sidecar dlq list`.")],
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one letter with everything: the request, and what was answered to a replay."""
    client = target.find(config, admin, token_file)
    found = client.get(f"{PATH}/{letter}", with_token=True)
    if as_json:
        output.data(found)
        return
    parts = ("record", "answer")
    output.table(["field", "value"], [[k, v] for k, v in found.items() if k not in parts])
    captured = (found["record"] or {}).get("captured")
    if captured:
        output.say("\nThe request:")
        path = f"{found['path']}{'?' + captured['query'] if captured['query'] else ''}"
        _message(f"{found['method']} {path}", captured["request_headers"], captured, "request_body")
    if found["answer"]:
        answer = found["answer"]
        output.say(f"\nWhat {answer['model']} answered to the replay, {answer['at']}:")
        headers = [["Content-Type", answer["content_type"]]]
        _message(f"status {answer['status']}", headers, answer, "body")


def purge(
    *,
    which: FilterWords,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be purged, and do not.")
    ] = False,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget dead letters for good: what clients sent is overwritten on disk."""
    client = target.find(config, admin, token_file)
    if dry_run or not yes:
        would = client.post(f"{PATH}/purge", {"filter": which, "dry_run": True})
        if dry_run and as_json:
            output.data(would)
        else:
            _show_purge(would)
        if dry_run or not would["total"]:
            return
        _confirm(would["total"])
    purged = client.post(f"{PATH}/purge", {"filter": which})
    if as_json:
        output.data(purged)
    else:
        output.say(f"Purged {purged['purged']} letters")


def _show_purge(would: dict[str, Any]) -> None:
    output.say(f"{would['total']} letters are meant")
    output.table(
        ["class", "state", "model", "sink", "letters"],
        [
            [one["class"], one["state"], one["model"], one["sink"], one["letters"]]
            for one in would["letters"]
        ],
        paint=PAINT,
    )


def _confirm(letters: int) -> None:
    if not _somebody_is_there():
        raise ConfigError("nobody is there to be asked; say --yes", path="dlq purge")
    if not typer.confirm(f"Purge {letters} letters for good?", err=True):
        raise typer.Exit(1)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _message(first: str, headers: list[list[str]], holder: dict[str, Any], body: str) -> None:
    lines = [first, *(f"{name}: {value}" for name, value in headers), ""]
    if holder[body] is not None:
        encoding = holder[f"{body}_encoding"]
        lines.append(holder[body] if encoding == "utf-8" else f"({encoding}) {holder[body]}")
    sys.stdout.write("\n".join(lines) + "\n")


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
