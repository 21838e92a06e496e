"""The bearer token, read from its file whenever it is needed: a rotated secret counts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sidecar.errors import ConfigError

# Shorter ones can be guessed; `openssl rand -hex 16` gives 32 characters.
SHORTEST_TOKEN_BYTES: Final = 16


class TokenFile:
    """A file whose content, without surrounding white space, is the token."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> bytes:
        """The token that is valid now. Raises OSError when there is none to read."""
        token = self.path.read_bytes().strip()
        if not token:
            raise OSError(f"{self.path} is empty")
        return token

    def check(self) -> None:
        """Raise ConfigError when the file cannot serve, before anything depends on it."""
        try:
            token = self()
        except OSError as error:
            raise ConfigError(
                f"the token file cannot be read: {error}", path="$.admin.token_file"
            ) from error
        if len(token) < SHORTEST_TOKEN_BYTES:
            raise ConfigError(
                f"the token has {len(token)} bytes, expected at least {SHORTEST_TOKEN_BYTES}: "
                "make one with `openssl rand -hex 32`",
                path="$.admin.token_file",
            )
