"""`sidecar run`: the whole product, in the foreground."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

RunConfig = Annotated[
    Path,
    typer.Option("--config", "-c", help="The configuration file (YAML).", show_default=True),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("run")(run)


def run(config: RunConfig = Path("sidecar.yaml")) -> None:
    """Run the sidecar: the launcher, one controller and the configured number of workers.

    SIGTERM and Ctrl-C drain it: queued connections are still accepted, requests in flight finish
    (within drain.timeout), then it exits with 0; with 1 if a process had to be killed. SIGHUP
    reloads the configuration. A wrong configuration exits with 2 and says which key is wrong.
    """
    from sidecar.app.environment import forbid_threads  # noqa: PLC0415 - see below

    forbid_threads(os.environ)
    # Not before: NumPy and Numba read the environment once, when they are imported.
    from sidecar.app.launcher import run as launch  # noqa: PLC0415

    raise typer.Exit(launch(config, os.environ))
