"""`sidecar demo`: the command's options, and how it ends.

scikit-learn comes with the extra `demo` only, so everything that needs it is imported when the
command runs.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from sidecar.errors import LocalError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("demo")(demo)


def demo(
    *,
    seconds: Annotated[
        float | None,
        typer.Option(min=1, help="End after this long.", show_default="until Ctrl-C"),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(min=1, max=2000, help="Requests per second; to judge drift takes 60 or more."),
    ] = 200.0,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON summary at the end.")] = False,
) -> None:
    """Train three models, put the sidecar before them, and watch real requests pass.

    A canary answers 10 % of the applicants, a shadow gets all requests too.
    Half-way through each lap of a minute car prices rise: see drift appear.
    The data set (23 MB) is fetched once and kept. Ctrl-C ends everything.
    """
    console = Console(stderr=json)
    try:
        summary = _run(seconds=seconds, rate=rate, console=console)
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("stopped before any traffic")
        return
    if json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")


def _run(*, seconds: float | None, rate: float, console: Console) -> dict[str, object]:
    try:
        from sidecar.demo import dataset, show  # noqa: PLC0415 - needs the extra, see above
    except ModuleNotFoundError as missing:
        raise LocalError(
            f"the demo needs {missing.name}: `pip install 'model-sidecar[demo]'` brings it",
            code="demo_extra",
        ) from missing
    cache = dataset.default_cache(os.environ)
    options = show.Options(seconds=seconds, rate=rate, cache=cache)
    try:
        return show.run(options, console)
    except BaseExceptionGroup as group:
        failures, others = group.split(LocalError)
        if failures is None or others is not None:
            raise
        raise _first(failures) from None


def _first(group: BaseExceptionGroup[LocalError]) -> LocalError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
