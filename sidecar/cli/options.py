"""Options that several commands share, with one spelling and one explanation each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Find the admin address (and token file) in this configuration file.",
        show_default=False,
    ),
]
AdminOption = Annotated[
    str | None,
    typer.Option(
        "--admin",
        envvar="SIDECAR_ADMIN",
        help="Address of the admin API, as `host:port` or URL.",
        show_default="from -c, else 127.0.0.1:9090",
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="SIDECAR_TOKEN_FILE",
        help="File with the admin token.",
        show_default="from -c, else none",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the data as JSON.", show_default=False)
]
