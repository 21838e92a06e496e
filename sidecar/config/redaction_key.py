"""The key of hashes: read once, when a process starts, from a file or the environment.

The key itself is never part of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sidecar.config.recording import RedactSettings
from sidecar.errors import ConfigError
from sidecar.records.hiding import SHORTEST_KEY_BYTES


def redaction_key(settings: RedactSettings, environ: Mapping[str, str]) -> bytes | None:
    """The key that `redact` asks for, None when it asks for none. Blocking.

    White space around it is no part of it. Raises ConfigError when it is not there, or short.
    """
    if settings.key_file is not None:
        path, place = "$.redact.key_file", settings.key_file
        try:
            key = Path(settings.key_file).read_bytes().strip()
        except OSError as error:
            raise ConfigError(f"{place} cannot be read: {error.strerror}", path=path) from None
    elif settings.key_env is not None:
        path, place = "$.redact.key_env", settings.key_env
        if place not in environ:
            raise ConfigError(f"expected the variable {place}, it is not set", path=path)
        key = environ[place].encode("utf-8", "surrogateescape").strip()
    elif settings.rules.needs_key:
        raise ConfigError(
            "expected `key_file` or `key_env` for `hash`, found neither", path="$.redact"
        )
    else:
        return None
    if len(key) < SHORTEST_KEY_BYTES:
        raise ConfigError(
            f"expected a key of at least {SHORTEST_KEY_BYTES} bytes, found {len(key)} in {place}; "
            "make one with `openssl rand -hex 32`",
            path=path,
        )
    return key
