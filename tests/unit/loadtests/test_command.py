"""What a measurement tells a shell."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from loadtests.rig.command import options, run
from loadtests.rig.report import Bar, Report
from loadtests.rig.tools import MissingToolError, find, require


def measuring(measured: float) -> Report:
    bar = Bar(what="ratio", measured=measured, limit=1.0)
    return Report(name="compare", parts=["Found."], data={}, bars=[bar])


def run_with(measured: float, *arguments: str) -> int:
    parser = options("loadtests.compare", "text", rounds=7, seconds=4)
    return run(parser, lambda _: measuring(measured), arguments)


def test_a_missed_bar_is_an_exit_code_only_when_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_with(2.0) == 0
    assert run_with(2.0, "--bars") == 1
    assert run_with(0.5, "--bars") == 0
    assert "Found." in capsys.readouterr().out


def test_results_are_written_as_json(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert run_with(0.5, "--json", str(file)) == 0
    assert json.loads(file.read_text())["bars"][0]["met"] is True


def test_a_missing_tool_ends_with_2_and_says_what_to_install(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(_: argparse.Namespace) -> Report:
        raise MissingToolError("wrk")

    parser = options("loadtests.compare", "text", rounds=7, seconds=4)
    assert run(parser, measure, []) == 2
    assert "wrk is not installed: Debian package wrk" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_rounds_must_be_a_positive_number(value: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_with(1.0, "--rounds", value)
    assert stopped.value.code == 2


def test_tools_are_found_beside_the_interpreter_and_on_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    for place in ("bin", "path"):
        (tmp_path / place).mkdir()
    tool = tmp_path / "path" / "py-spy"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert find("py-spy") == str(tool)
    beside = tmp_path / "bin" / "py-spy"
    beside.write_text("#!/bin/sh\n")
    beside.chmod(0o755)
    assert require("py-spy") == str(beside)


def test_a_tool_that_is_nowhere_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("py-spy") is None
    with pytest.raises(MissingToolError, match="pip install py-spy"):
        require("py-spy")
