"""Which sidecar a command talks to: by option, environment, configuration file, or default."""

from __future__ import annotations

import os
from pathlib import Path

from sidecar.cli.admin_client import DEFAULT_ADDRESS, AdminClient


def find(config: Path | None, admin: str | None, token_file: Path | None) -> AdminClient:
    """A client for the sidecar that is meant. Raises ConfigError."""
    if config is not None and (admin is None or token_file is None):
        from sidecar.config.load import load  # noqa: PLC0415 - only this way needs YAML

        settings = load(config, os.environ).settings.admin
        admin = admin or settings.listen
        if token_file is None and settings.token_file is not None:
            token_file = Path(settings.token_file)
    return AdminClient.at(admin or DEFAULT_ADDRESS, token_file)
