"""The command `sidecar`: puts the commands together and turns errors into exit codes.

    0  done          1  the answer is no, or it was not done          2  usage or configuration

Only the module of the command that was named is imported, so that `sidecar status` does not wait
for what `sidecar demo` needs. Modules of commands are named and not imported here for a second
reason: the demo stands beside the command line, not below it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

import typer

import sidecar
from sidecar.cli import output
from sidecar.cli.admin_client import Refused, Unreachable
from sidecar.errors import ConfigError, SidecarError

NOT_DONE: Final = 1
USAGE: Final = 2

MODULES: Final = {
    "run": "sidecar.cli.run",
    "check": "sidecar.cli.check",
    "schema": "sidecar.cli.schema",
    "inspect": "sidecar.cli.inspect",
    "baseline": "sidecar.cli.baseline",
    "status": "sidecar.cli.status",
    "weights": "sidecar.cli.weights",
    "snapshot": "sidecar.cli.snapshots",
    "rollback": "sidecar.cli.lifecycle",
    "reload": "sidecar.cli.lifecycle",
    "drain": "sidecar.cli.lifecycle",
    "drift": "sidecar.cli.drift",
    "alerts": "sidecar.cli.alerts",
    "log": "sidecar.cli.log",
    "dlq": "sidecar.cli.dlq",
    "warm": "sidecar.cli.warm",
    "demo": "sidecar.demo.command",
}
"""Which module registers which command, in the order of `--help`."""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line that understands `arguments`: one command, or all when none is named."""
    app = typer.Typer(
        name="sidecar",
        no_args_is_help=True,
        add_completion=False,
        # Texts are wrapped where the terminal ends; "rich" keeps the line breaks of the source.
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=(
            "A sidecar for model servers: it forwards their HTTP traffic, splits it between a "
            "primary and canaries, mirrors it to shadows, and measures what passes."
        ),
        epilog=(
            "Exit codes: 0 done; 1 the answer is no, or it was not done; 2 usage or configuration. "
            "Data goes to stdout, words to stderr."
        ),
    )
    app.command("version")(version)
    # A callback keeps `sidecar version` a command of a group even when it is the only one.
    app.callback()(lambda: None)
    named = arguments[0] if arguments else ""
    wanted = [MODULES[named]] if named in MODULES else list(dict.fromkeys(MODULES.values()))
    for module in wanted:
        importlib.import_module(module).register(app)
    return app


def version() -> None:
    """Print the version."""
    sys.stdout.write(f"{sidecar.__version__}\n")


def main() -> None:
    """Run one command; the process ends with its exit code."""
    try:
        build(sys.argv[1:])()
    except SidecarError as error:
        # An `InvalidConfig` lists its problems; it is not imported just to be recognised.
        problems = [str(problem) for problem in getattr(error, "problems", ())]
        output.say("\n  ".join(["sidecar:", *problems]) if problems else f"sidecar: {error}")
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells have it


def exit_code(error: SidecarError) -> int:
    """What an error means for the caller of the command."""
    match error:
        case ConfigError():
            return USAGE
        case Unreachable():
            return NOT_DONE
        case Refused():
            return USAGE if error.status < 500 else NOT_DONE
        case _:
            return NOT_DONE
