"""The command line, `sidecar`: one module per command, or per few that belong together."""

from sidecar.cli.application import main

__all__ = ["main"]
