"""`sidecar check`: whether a configuration is valid, and if not, everything that is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from sidecar.cli import output
from sidecar.cli.options import JsonOption
from sidecar.config.load import Loaded, load
from sidecar.config.problems import ROOT, InvalidConfig, Problem, Remark, Severity
from sidecar.config.settings import RouteSettings, Settings
from sidecar.errors import ConfigError

INVALID = 2

CheckConfig = Annotated[
    Path,
    typer.Option("--config", "-c", help="The configuration file (YAML).", show_default=True),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("check")(check)


def check(config: CheckConfig = Path("sidecar.yaml"), *, as_json: JsonOption = False) -> None:
    """Check a configuration file, with the SIDECAR__... variables of this environment applied.

    Exits with 0 and a summary when it is valid. Otherwise with 2, and for every problem the path of
    the key, what was expected, what was found, and what helps.
    """
    problems: tuple[Problem, ...] = ()
    loaded: Loaded | None = None
    try:
        loaded = load(config, os.environ)
    except InvalidConfig as error:
        problems = error.problems
    except ConfigError as error:
        problems = (Problem(path=ROOT, expected="a configuration file", found=error.reason),)
    if as_json:
        output.data(_machine_form(config, loaded, problems))
    elif loaded is not None:
        _show_valid(config, loaded)
    else:
        _show_problems(config, problems)
    if problems:
        raise typer.Exit(INVALID)


def _show_valid(config: Path, loaded: Loaded) -> None:
    settings = loaded.settings
    guard = "with a token" if settings.admin.token_file else "without a token"
    lines = [
        ("listens on", ", ".join(settings.listeners)),
        ("admin", f"{settings.admin.listen}, {guard}"),
        ("workers", str(settings.workers)),
        ("models", ", ".join(settings.models)),
        *((f"route {route.name}", _route_in_words(route)) for route in settings.routes),
    ]
    width = max(len(label) for label, _ in lines)
    typer.echo(f"{config} is valid")
    for label, text in lines:
        typer.echo(f"  {label:<{width}}  {text}")
    for remark in loaded.remarks:
        output.say(f"{remark.severity}: {remark}")


def _route_in_words(route: RouteSettings) -> str:
    answering = [f"{route.primary} {_primary_percent(route):g} %"]
    answering += [f"{canary.model} {canary.percent:g} %" for canary in route.canaries]
    text = f"{_match_in_words(route)} -> {', '.join(answering)}"
    if route.shadows:
        copies = ", ".join(f"{shadow.model} {shadow.sample * 100:g} %" for shadow in route.shadows)
        text += f"; shadows {copies}"
    return text


def _primary_percent(route: RouteSettings) -> float:
    return round(100 - sum(canary.percent for canary in route.canaries), 2)


def _match_in_words(route: RouteSettings) -> str:
    match = route.match
    # Only the names of fields: a value may be a secret.
    fields = "".join(f" [{name}]" for name in match.headers)
    return f"{match.host or ''}{match.path_prefix}{fields}"


def _show_problems(config: Path, problems: tuple[Problem, ...]) -> None:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    output.say(f"{config} is not valid: {count}")
    for problem in problems:
        output.say("")
        output.say(f"  {problem.path}" + (f"  ({problem.where})" if problem.where else ""))
        output.say(f"    expected  {problem.expected}")
        output.say(f"    found     {problem.found}")
        if problem.fix:
            output.say(f"    fix       {problem.fix}")


def _machine_form(
    config: Path, loaded: Loaded | None, problems: tuple[Problem, ...]
) -> dict[str, Any]:
    remarks: tuple[Remark, ...] = loaded.remarks if loaded is not None else ()
    return {
        "file": str(config),
        "valid": loaded is not None,
        "problems": msgspec.to_builtins(problems),
        "warnings": _of(remarks, Severity.WARNING),
        "notes": _of(remarks, Severity.NOTE),
        "summary": _summary(loaded.settings) if loaded is not None else None,
    }


def _of(remarks: tuple[Remark, ...], severity: Severity) -> list[dict[str, str]]:
    return [
        {"path": remark.path, "text": remark.text, "where": remark.where}
        for remark in remarks
        if remark.severity is severity
    ]


def _summary(settings: Settings) -> dict[str, Any]:
    return {
        "listen": list(settings.listeners),
        "admin": {
            "listen": settings.admin.listen,
            "token": settings.admin.token_file is not None,
        },
        "workers": settings.workers,
        "models": list(settings.models),
        "routes": [
            {
                "name": route.name,
                "primary": route.primary,
                "canaries": {canary.model: canary.percent for canary in route.canaries},
                "shadows": {shadow.model: shadow.sample for shadow in route.shadows},
            }
            for route in settings.routes
        ],
    }
