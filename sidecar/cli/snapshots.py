"""`sidecar snapshot`: name moments of what is observed, to compare them later."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sidecar.cli import output, target
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption

PATH = "/api/v1/snapshots"

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Letters, digits, `.`, `_` and `-`.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Name moments of what is observed, to compare them (`sidecar drift --from A --to B`).",
    )
    group.command("list")(list_snapshots)
    group.command("take")(take)
    group.command("drop")(drop)
    app.add_typer(group, name="snapshot")


def list_snapshots(
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the snapshots that have names."""
    _show(target.find(config, admin, token_file).get(PATH), as_json=as_json)


def take(
    name: NameArgument,
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a snapshot now, and keep it under a name until it is dropped.

    What its windows are made of is kept with it, so that it can be a reference
    (`drift.references`). A name that is taken moves to the new snapshot.
    """
    client = target.find(config, admin, token_file)
    _show(client.post(PATH, {"name": name}), as_json=as_json)


def drop(
    name: NameArgument,
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a snapshot go: it thins out with the others."""
    client = target.find(config, admin, token_file)
    _show(client.delete(PATH, {"name": name}), as_json=as_json)


def _show(snapshots: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.data(snapshots)
        return
    kept = snapshots["all"]
    output.say(
        f"{kept['count']} snapshots, {kept['size_bytes'] / 2**20:.1f} MiB, "
        f"from {kept['oldest'] or '-'} to {kept['newest'] or '-'}"
    )
    if kept["in_memory"]:
        output.say(f"  {kept['in_memory']} of them NOT ON DISK YET; see the sidecar's log")
    output.table(
        ["name", "taken", "keeps", "bytes"],
        [
            [one["name"], one["taken"], one["keeps"], one["size_bytes"]]
            for one in snapshots["named"]
        ],
    )
