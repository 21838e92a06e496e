"""What the changing commands have in common: sending a change, and saying what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from sidecar.cli import output
from sidecar.cli.admin_client import AdminClient, Refused


def send(client: AdminClient, path: str, body: Mapping[str, object] | None) -> dict[str, Any]:
    """Post; a change that not every worker has confirmed comes back as data, not as an error."""
    try:
        answered = client.post(path, body)
    except Refused as refusal:
        if isinstance(refusal.data, dict) and "workers" in refusal.data:
            return dict(refusal.data)
        raise
    return dict(answered)


def show(change: dict[str, Any], *, as_json: bool, sentence: str) -> None:
    """Print a change; ends the command with 1 when a worker has not confirmed it."""
    workers = change["workers"]
    unconfirmed = [*workers["missing"], *workers["refused"]]
    if as_json:
        output.data(change)
    else:
        output.say(
            f"{sentence}: version {change['version']}, confirmed by {len(workers['acknowledged'])} "
            f"workers in {change['duration_ms']:.1f} ms"
        )
        if workers["absent"]:
            output.say(f"  not running, will take it when they start: {workers['absent']}")
        if not change["persisted"]:
            output.say("  NOT ON DISK YET: a restart now would forget it; see the sidecar's log")
    if unconfirmed:
        output.say(f"  NOT CONFIRMED by workers {unconfirmed}: they may still route as before")
        raise typer.Exit(1)
