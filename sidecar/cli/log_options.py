"""What the commands of `sidecar log` share: where the journal is, and which records are meant.

Times are given as RFC 3339 has them, or as how long ago.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from sidecar.cli.option_groups import takes
from sidecar.config.load import load
from sidecar.config.settings import Settings
from sidecar.config.units import parse_duration
from sidecar.control.recording.search import Question
from sidecar.errors import ClientError, ConfigError
from sidecar.model import Role
from sidecar.records.codec import time_ns

DEFAULT_CONFIG: Final = Path("sidecar.yaml")
_NS_PER_S: Final = 1_000_000_000

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration file.", show_default=str(DEFAULT_CONFIG)
    ),
]
JournalOption = Annotated[
    Path | None,
    typer.Option("--journal", help="The journal's directory, instead of the configuration's."),
]
_OPTIONS: Final[Mapping[str, Any]] = {
    "since": Annotated[
        str | None,
        typer.Option(
            "--since",
            help="Only from this time on: `2026-01-31T12:00:00Z`, or so long ago: `15m`.",
        ),
    ],
    "until": Annotated[str | None, typer.Option("--until", help="Only up to this time, likewise.")],
    "route": Annotated[str | None, typer.Option("--route", help="Only this route.")],
    "model": Annotated[str | None, typer.Option("--model", help="Only this model.")],
    "role": Annotated[Role | None, typer.Option("--role", help="Only models in this role.")],
    "status": Annotated[
        str | None,
        typer.Option(
            "--status", help="Only this status (`503`), class (`5xx`) or ending (`error`)."
        ),
    ],
    "segment": Annotated[
        str | None,
        typer.Option("--segment", help="Only this value of a segment key: `region=eu`."),
    ],
}


def directory_of(config: Path | None, journal: Path | None) -> Path:
    """Where the journal is. Raises ConfigError."""
    if journal is None:
        journal = Path(_settings(config).journal_directory)
    if not journal.is_dir():
        raise ConfigError(
            f"{journal} is no directory: nothing was recorded yet, or it is somewhere else",
            path="--journal",
        )
    return journal


def sinks_of(config: Path | None, journal: Path | None) -> list[str]:
    """The sinks of the configuration, unless it was not asked: only a journal was named."""
    if journal is not None and config is None:
        return []
    return [sink.name for sink in _settings(config).sinks]


def _settings(config: Path | None) -> Settings:
    return load(config or DEFAULT_CONFIG, os.environ).settings


def _question_of(given: Mapping[str, Any]) -> Question:
    """Which records are meant. Raises ConfigError."""
    question = Question(
        since_ns=_time(given.get("since"), "--since"),
        until_ns=_time(given.get("until"), "--until"),
        route=given.get("route"),
        model=given.get("model"),
        role=given.get("role"),
        status=given.get("status"),
        segment=_segment(given.get("segment")),
    )
    try:
        question.check()
    except ClientError as error:
        raise ConfigError(error.message, path="--status") from None
    return question


def _time(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        return time_ns(text)
    except ValueError:
        pass
    try:
        return time.time_ns() - int(parse_duration(text) * _NS_PER_S)
    except ValueError:
        raise ConfigError(
            f"expected a time such as 2026-01-31T12:00:00Z, or how long ago, such as 15m; "
            f"got {text!r}",
            path=option,
        ) from None


def _segment(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"expected KEY=VALUE, got {text!r}", path="--segment")
    return key, value


takes_question: Final = takes("question", _OPTIONS, _question_of)
"""Gives a command the options that say which records are meant, in place of its `question`."""
