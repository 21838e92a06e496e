"""Files that the configuration names: relative ones stand beside it, and all must serve.

What a file holds is never part of a message: some are secrets.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from sidecar.config.baselines import read_baseline
from sidecar.config.problems import Finding, Problem, Remark, child
from sidecar.config.recording import RedactSettings
from sidecar.config.redaction_key import redaction_key
from sidecar.config.settings import ListenTls, Settings, UpstreamTls
from sidecar.config.sinks import ClientTls, JsonlSink, ParquetSink, SinkSettings
from sidecar.errors import ConfigError

S = TypeVar("S", bound=Struct)

# Shorter ones can be guessed.
SHORTEST_TOKEN_BYTES: Final = 16

_ADMIN: Final = ("token_file",)
_MODEL: Final = ("baseline",)
_RECEIVER: Final = ("url_file", "token_file")
_JOURNAL: Final = ("path",)
_REDACT: Final = ("key_file",)

# The keys of certificate, key and authorities.
_TlsNames = tuple[str, str, str]
_LISTEN_TLS: Final[_TlsNames] = ("cert_file", "key_file", "client_ca_file")
_UPSTREAM_TLS: Final[_TlsNames] = ("cert_file", "key_file", "ca_file")


def resolve_files(settings: Settings, directory: Path) -> Settings:
    """The settings with absolute paths; relative ones are taken from `directory`."""
    return msgspec.structs.replace(
        settings,
        state_dir=str(directory / settings.state_dir),
        tls=settings.tls and _resolved(settings.tls, _LISTEN_TLS, directory),
        admin=_resolved(settings.admin, _ADMIN, directory),
        models={
            name: msgspec.structs.replace(
                _resolved(model, _MODEL, directory),
                tls=_resolved(model.tls, _UPSTREAM_TLS, directory),
            )
            for name, model in settings.models.items()
        },
        alerts=msgspec.structs.replace(
            settings.alerts,
            receivers={
                name: _resolved(receiver, _RECEIVER, directory)
                for name, receiver in settings.alerts.receivers.items()
            },
        ),
        journal=_resolved(settings.journal, _JOURNAL, directory),
        redact=_resolved(settings.redact, _REDACT, directory),
        sinks=tuple(_resolved_sink(sink, directory) for sink in settings.sinks),
    )


def examine_files(settings: Settings) -> Iterator[Finding]:
    """Every file that this process cannot read now, or that cannot serve. Blocking."""
    if settings.admin.token_file is not None:
        yield from _token_problems("$.admin.token_file", settings.admin.token_file)
    if settings.tls is not None:
        yield from _tls_problems("$.tls", settings.tls, _LISTEN_TLS)
    for name, model in settings.models.items():
        path = child("$.models", name)
        yield from _tls_problems(child(path, "tls"), model.tls, _UPSTREAM_TLS)
        if model.baseline is not None:
            yield from _baseline_findings(child(path, "baseline"), model.baseline)
    for name, receiver in settings.alerts.receivers.items():
        for key in _RECEIVER:
            file = getattr(receiver, key)
            if file is not None:
                path = child(child("$.alerts.receivers", name), key)
                yield from _secret_problems(path, file)
    if settings.redact.key_file is not None:
        yield from _key_problems(settings.redact)
    for index, sink in enumerate(settings.sinks):
        yield from _sink_problems(sink, f"$.sinks[{index}]")


def _token_problems(path: str, file: str) -> Iterator[Problem]:
    try:
        length = len(Path(file).read_bytes().strip())
    except OSError as error:
        yield _unreadable(path, file, error)
        return
    if length < SHORTEST_TOKEN_BYTES:
        yield Problem(
            path=path,
            expected=f"a token of at least {SHORTEST_TOKEN_BYTES} bytes",
            found=f"{length} in {file}",
            fix="make one with `openssl rand -hex 32`",
        )


def _secret_problems(path: str, file: str) -> Iterator[Problem]:
    try:
        empty = not Path(file).read_bytes().strip()
    except OSError as error:
        yield _unreadable(path, file, error)
        return
    if empty:
        yield Problem(path=path, expected="a file with something in it", found=f"{file}, empty")


def _key_problems(redact: RedactSettings) -> Iterator[Problem]:
    try:
        redaction_key(redact, {})
    except ConfigError as error:
        yield Problem(path=error.path, expected="a key in a file", found=error.reason)


def _sink_problems(sink: SinkSettings, path: str) -> Iterator[Problem]:
    for name, value in msgspec.structs.asdict(sink).items():
        where = child(path, name)
        if isinstance(value, ClientTls):
            yield from _tls_problems(where, value, _UPSTREAM_TLS)
        elif isinstance(value, Struct):
            for inner in _secret_files(value):
                yield from _secret_problems(child(where, inner), getattr(value, inner))
    for name in _secret_files(sink):
        yield from _secret_problems(child(path, name), getattr(sink, name))


def _secret_files(section: Struct) -> list[str]:
    """The keys of a section that name a file, and are set."""
    names = [name for name in section.__struct_fields__ if name.endswith("_file")]
    return [name for name in names if getattr(section, name) is not None]


def _tls_problems(
    path: str, tls: ListenTls | UpstreamTls | ClientTls, names: _TlsNames
) -> Iterator[Problem]:
    readable = True
    for name in names:
        file = getattr(tls, name)
        try:
            if file is not None:
                Path(file).open("rb").close()
        except OSError as error:
            readable = False
            yield _unreadable(child(path, name), file, error)
    if not readable:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificate, key, authorities = (getattr(tls, name) for name in names)
    if certificate is not None and key is not None:
        try:
            # A passphrase that is given, though empty, keeps OpenSSL from asking on the terminal.
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            expected = "a PEM certificate, and in `key_file` its key without passphrase"
            yield _unusable(child(path, names[0]), expected, certificate, error)
    if authorities is not None:
        try:
            context.load_verify_locations(authorities)
        except ssl.SSLError as error:
            yield _unusable(
                child(path, names[2]), "a bundle of PEM certificates", authorities, error
            )


def _baseline_findings(path: str, file: str) -> Iterator[Finding]:
    """A file that is not there yet is only remarked on: requests must not wait for statistics."""
    if not Path(file).exists():
        yield Remark(
            path=path,
            text=f"{file} is not there; until it is, a provisional baseline is learned from "
            "traffic (make one with `sidecar baseline build`)",
        )
        return
    try:
        read_baseline(file)
    except ConfigError as error:
        yield Problem(
            path=path,
            expected="a baseline file, as `sidecar baseline build` writes it",
            found=f"{error.path}: {error.reason}",
        )


def _unreadable(path: str, file: str, error: OSError) -> Problem:
    return Problem(path=path, expected="a file that can be read", found=f"{file}: {error.strerror}")


def _unusable(path: str, expected: str, file: str, error: ssl.SSLError) -> Problem:
    reason = f" ({error.reason.lower().replace('_', ' ')})" if error.reason else ""
    return Problem(path=path, expected=expected, found=f"{file}, which OpenSSL refuses{reason}")


def _resolved_sink(sink: SinkSettings, directory: Path) -> SinkSettings:
    """A sink whose files, and those of its sections, are absolute."""
    sections = {
        name: _resolved(value, tuple(_secret_files(value)), directory)
        for name, value in msgspec.structs.asdict(sink).items()
        if isinstance(value, Struct)
    }
    places = ("path",) if isinstance(sink, JsonlSink | ParquetSink) and _is_local(sink.path) else ()
    resolved: SinkSettings = _resolved(sink, (*places, *_secret_files(sink)), directory)
    return msgspec.structs.replace(resolved, **sections)


def _is_local(path: str) -> bool:
    return path != "" and "://" not in path


def _resolved(section: S, names: tuple[str, ...], directory: Path) -> S:
    files = {name: getattr(section, name) for name in names}
    return msgspec.structs.replace(
        section, **{name: str(directory / file) for name, file in files.items() if file is not None}
    )
