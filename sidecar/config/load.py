"""A configuration file and the environment, to settings that everything else may rely on.

The order: YAML, overrides, each key on its own, rules between keys and files. A stage runs only
when the one before found no problem, and reports all that it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from sidecar.config.convert import convert
from sidecar.config.environment import apply_overrides
from sidecar.config.files import examine_files, resolve_files
from sidecar.config.problems import Finding, InvalidConfig, Problem, Remark
from sidecar.config.rules import examine
from sidecar.config.settings import Settings
from sidecar.config.yaml_text import LONGEST_TEXT_BYTES, read_yaml
from sidecar.errors import ConfigError

F = TypeVar("F", bound=Finding)

_BOM: Final = "\ufeff"


class Loaded(Struct, frozen=True, kw_only=True):
    """Valid settings with absolute paths, and what a person should know about them."""

    settings: Settings
    remarks: tuple[Remark, ...]


def load(file: Path, environ: Mapping[str, str]) -> Loaded:
    """Load a configuration file under its overrides. Blocking.

    Raises ConfigError when the file cannot be read, and InvalidConfig (a ConfigError) with every
    problem of the first stage that found any.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(LONGEST_TEXT_BYTES + 1).decode()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8: byte {error.start}") from error
    document = read_yaml(text.removeprefix(_BOM))
    value, variables = apply_overrides(document.value, environ)
    origins = _Origins(document.lines, variables)
    try:
        settings = resolve_files(convert(value), file.absolute().parent)
    except InvalidConfig as error:
        raise InvalidConfig(origins.attached(error.problems)) from None
    findings = [*examine(settings), *examine_files(settings)]
    problems = [finding for finding in findings if isinstance(finding, Problem)]
    if problems:
        raise InvalidConfig(origins.attached(problems))
    remarks = [finding for finding in findings if isinstance(finding, Remark)]
    return Loaded(settings=settings, remarks=tuple(origins.attached(remarks)))


class _Origins:
    """Where each path was written: a variable, or a line of the file."""

    def __init__(self, lines: Mapping[str, int], variables: Mapping[str, str]) -> None:
        self._lines = lines
        self._variables = variables

    def attached(self, findings: Iterable[F]) -> list[F]:
        """The findings with their origin, in the order of the file."""
        return [
            finding
            if finding.where
            else msgspec.structs.replace(finding, where=self._where(finding.path))
            for finding in sorted(findings, key=lambda finding: self._line(finding.path))
        ]

    def _where(self, path: str) -> str:
        for place in _upwards(path):
            if place in self._variables:
                return self._variables[place]
        line = self._line(path)
        return f"line {line}" if line else ""

    def _line(self, path: str) -> int:
        return next((self._lines[place] for place in _upwards(path) if place in self._lines), 0)


def _upwards(path: str) -> Iterable[str]:
    """The path and those above it; a key in brackets ends where its bracket began."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
