"""`sidecar warm`: compile ahead of time."""

from __future__ import annotations

import os

import typer

from sidecar.cli import output
from sidecar.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("warm")(warm)


def warm(*, as_json: JsonOption = False) -> None:
    """Compile the kernels into the cache, so that the next start is fast; for image builds.

    The cache is in $NUMBA_CACHE_DIR, else below $XDG_CACHE_HOME or ~/.cache. Exits with 1 when what
    was compiled could not be kept.
    """
    from sidecar.app.environment import forbid_threads  # noqa: PLC0415 - as in `run`

    forbid_threads(os.environ)
    from sidecar.board import warm as warm_kernels  # noqa: PLC0415

    report = warm_kernels(os.environ).report
    if as_json:
        output.data(
            {
                "elapsed_s": round(report.elapsed_s, 3),
                "loaded": list(report.loaded),
                "compiled": list(report.compiled),
                "cache_dir": report.cache_dir,
                "cpu": report.cpu,
                "cache_error": report.cache_error,
            }
        )
    else:
        what = "compiled" if report.compiled else "found"
        output.say(
            f"kernels {what} in {report.elapsed_s:.2f} s for {report.cpu}: {report.cache_dir}"
        )
    if report.cache_error is not None:
        output.say(f"the compiled kernels could not be kept: {report.cache_error}")
        raise typer.Exit(1)
