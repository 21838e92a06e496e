"""The command as a whole: exit codes, help, and what it does not load."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import typer.rich_utils
from typer.testing import CliRunner

import sidecar
from sidecar.cli.admin_client import Refused, Unreachable
from sidecar.cli.application import MODULES, build, exit_code
from sidecar.errors import ConfigError, LocalError


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `sidecar` as users do."""
    return subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (LocalError("x"), 1),
        (Unreachable("x"), 1),
        (Refused("x", status=404, code="", data={}), 2),
        (Refused("x", status=401, code="", data={}), 2),
        (Refused("x", status=422, code="", data={}), 2),
        (Refused("x", status=503, code="", data={}), 1),
    ],
)
def test_errors_become_exit_codes(error, code):
    assert exit_code(error) == code


def test_the_version_is_data():
    done = command("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{sidecar.__version__}\n", "")


def test_help_lists_every_command_and_the_exit_codes():
    done = command("--help")
    assert done.returncode == 0
    for name in MODULES:
        assert name in done.stdout
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("name", [*MODULES, "version"])
def test_every_command_explains_itself(name):
    done = CliRunner().invoke(build([name]), [name, "--help"])
    assert done.exit_code == 0, done.output
    assert f"sidecar {name}" in done.stdout


def commands_below(command: typer.core.TyperCommand, *path: str):
    """Every command with its path, groups included."""
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands_below(one, *path, name)


def test_help_breaks_no_line_before_the_terminal_ends(monkeypatch):
    monkeypatch.setattr(typer.rich_utils, "MAX_WIDTH", 500)
    app = build([])
    for path, one in commands_below(typer.main.get_command(app)):
        lines = CliRunner().invoke(app, [*path, "--help"]).stdout.splitlines()
        for paragraph in inspect.cleandoc(one.help or "").split("\n\n"):
            wanted = " ".join(paragraph.replace("`", "").split())
            assert wanted in {line.strip() for line in lines}, path


@pytest.mark.parametrize("arguments", [["nope"], ["weights", "a=x"]])
def test_wrong_usage_exits_with_two_and_says_so_on_stderr(arguments):
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr


def test_a_command_without_a_sidecar_exits_with_one_and_the_fix():
    done = command("status", "--admin", "127.0.0.1:1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "sidecar run -c" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["status", "weights", "rollback"])
def test_commands_that_ask_one_question_load_nothing_heavy(name):
    program = f"""
import sys
from sidecar.cli.application import build
try:
    build(["{name}"])(["{name}", "--admin", "127.0.0.1:1"], standalone_mode=False)
except Exception as error:
    print(type(error).__name__)
print([m for m in ("numpy", "numba", "aiohttp", "asyncio", "yaml", "uvloop") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["Unreachable", "[]"]
