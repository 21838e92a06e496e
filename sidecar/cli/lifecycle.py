"""`sidecar rollback`, `reload` and `drain`: orders that a sidecar carries out as a whole."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from sidecar.cli import change, output, target
from sidecar.cli.admin_client import Unreachable
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption

POLL_S: Final = 0.2


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("rollback")(rollback)
    app.command("reload")(reload)
    app.command("drain")(drain)


def rollback(
    route: Annotated[
        str | None,
        typer.Argument(help="The route; all routes when left out.", show_default=False),
    ] = None,
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take every canary off the traffic at once.

    Returns when all workers have confirmed; it holds through reloads and restarts, until
    `sidecar weights --reset`. Exits with 1 when a worker has not confirmed in time.
    """
    client = target.find(config, admin, token_file)
    changed = change.send(client, "/api/v1/rollback", {"route": route} if route else None)
    change.show(changed, as_json=as_json, sentence=f"Rolled back {route or 'all routes'}")


def reload(
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the sidecar read its configuration file again.

    A wrong file changes nothing and exits with 2; every problem is shown. Keys that need a restart
    are named.
    """
    client = target.find(config, admin, token_file)
    changed = change.send(client, "/api/v1/reload", None)
    change.show(changed, as_json=as_json, sentence="Reloaded")
    if not as_json and changed["needs_restart"]:
        output.say(
            f"  changed, but only a restart applies it: {', '.join(changed['needs_restart'])}"
        )


def drain(
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when no worker is left (for a preStop hook).")
    ] = False,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the sidecar finish what it has and take nothing new; it then waits for SIGTERM.

    Queued connections are still accepted, requests in flight finish within drain.timeout, and
    health and metrics stay readable.
    """
    client = target.find(config, admin, token_file)
    answered = client.post("/api/v1/drain")
    if wait:
        try:
            while any(w["connected"] for w in client.get("/api/v1/status")["workers"]):
                time.sleep(POLL_S)
        except Unreachable:
            pass  # it was told to end meanwhile, so it is drained
    if as_json:
        output.data(answered)
    else:
        output.say("Drained" if wait else "Draining")
