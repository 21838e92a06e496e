"""The bearer token, read from its file whenever it is needed: a rotated secret counts at once.

Whether the file holds a proper token is checked with the configuration.
"""

from __future__ import annotations

from pathlib import Path


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
