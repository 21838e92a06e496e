"""`sidecar schema`: the JSON Schema of the configuration, for editors and pipelines."""

from __future__ import annotations

import typer

from sidecar.cli import output
from sidecar.config.schema import json_schema


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("schema")(schema)


def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of the configuration file.

    Editors complete and check sidecar.yaml with it, for example the YAML language server by a first
    line `# yaml-language-server: $schema=sidecar.schema.json`.
    """
    output.data(json_schema())
