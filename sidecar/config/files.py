"""Files that the configuration names: relative ones stand beside it, and all must be readable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from sidecar.config.problems import ROOT, Problem, child
from sidecar.config.settings import Settings

S = TypeVar("S", bound=Struct)

# Shorter ones can be guessed.
SHORTEST_TOKEN_BYTES: Final = 16

_LISTEN_TLS: Final = ("cert_file", "key_file", "client_ca_file")
_UPSTREAM_TLS: Final = ("ca_file", "cert_file", "key_file")
_ADMIN: Final = ("token_file",)


def resolve_files(settings: Settings, directory: Path) -> Settings:
    """The settings with absolute paths; relative ones are taken from `directory`."""
    return msgspec.structs.replace(
        settings,
        state_dir=str(directory / settings.state_dir),
        tls=settings.tls and _resolved(settings.tls, _LISTEN_TLS, directory),
        admin=_resolved(settings.admin, _ADMIN, directory),
        models={
            name: msgspec.structs.replace(model, tls=_resolved(model.tls, _UPSTREAM_TLS, directory))
            for name, model in settings.models.items()
        },
    )


def unreadable_files(settings: Settings) -> Iterator[Problem]:
    """Every file the settings name that this process cannot read now, or that cannot serve."""
    for path, file in _named_files(settings):
        try:
            content = file.read_bytes().strip()
        except OSError as error:
            yield Problem(
                path=path, expected="a file that can be read", found=f"{file}: {error.strerror}"
            )
            continue
        if not content:
            yield Problem(path=path, expected="a file with content", found=f"{file}, an empty one")
        elif path == "$.admin.token_file" and len(content) < SHORTEST_TOKEN_BYTES:
            yield Problem(
                path=path,
                expected=f"a token of at least {SHORTEST_TOKEN_BYTES} bytes",
                found=f"{len(content)} in {file}",
                fix="make one with `openssl rand -hex 32`",
            )


def _named_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    models = child(ROOT, "models")
    sections = [
        (child(ROOT, "tls"), settings.tls, _LISTEN_TLS),
        (child(ROOT, "admin"), settings.admin, _ADMIN),
        *(
            (child(child(models, name), "tls"), model.tls, _UPSTREAM_TLS)
            for name, model in settings.models.items()
        ),
    ]
    for path, section, names in sections:
        for name in names:
            file = getattr(section, name, None)
            if file is not None:
                yield child(path, name), Path(file)


def _resolved(section: S, names: tuple[str, ...], directory: Path) -> S:
    files = {name: getattr(section, name) for name in names}
    return msgspec.structs.replace(
        section, **{name: str(directory / file) for name, file in files.items() if file is not None}
    )
