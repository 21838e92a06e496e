"""`sidecar demo`, the command: its options, and how failures reach the user."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from sidecar.demo import command, register
from sidecar.errors import LocalError


@pytest.fixture
def invoke():
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    return lambda *words: CliRunner().invoke(app, ["demo", *words])


WITHOUT_THE_EXTRA = """
import sys
sys.modules["sklearn"] = None  # as if it were not installed
from sidecar.cli import main
main()
"""


def test_without_the_extra_it_says_how_to_get_it():
    # A process of its own: here another test may have imported what must seem to be missing.
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, "demo"],
        capture_output=True, text=True, timeout=25, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "pip install 'model-sidecar[demo]'" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("words", [("--seconds", "0"), ("--rate", "0"), ("--rate", "1e6"), ("x",)])
def test_options_that_make_no_sense_are_a_usage_error(invoke, words):
    assert invoke(*words).exit_code == 2


def fail(monkeypatch, error):
    def run(options, console):
        raise error

    monkeypatch.setattr("sidecar.demo.show.run", run)


def test_the_failure_of_a_part_comes_out_of_all_groups(invoke, monkeypatch):
    died = LocalError("stable ended", code="demo_child")
    fail(monkeypatch, ExceptionGroup("a", [ExceptionGroup("b", [died])]))
    assert invoke().exception is died


def test_a_defect_is_not_mistaken_for_the_failure_of_a_part(invoke, monkeypatch):
    both = ExceptionGroup("a", [LocalError("stable ended"), ZeroDivisionError()])
    fail(monkeypatch, both)
    assert invoke().exception is both


def test_being_stopped_before_any_traffic_is_no_failure(invoke, monkeypatch):
    fail(monkeypatch, KeyboardInterrupt())
    result = invoke()
    assert (result.exit_code, result.output.strip()) == (0, "stopped before any traffic")


def test_a_summary_is_the_only_thing_on_standard_output(invoke, monkeypatch):
    def run(options, console):
        console.print("words")
        assert (options.seconds, options.rate) == (3.0, 50.0)
        return {"requests": 7}

    monkeypatch.setattr("sidecar.demo.show.run", run)
    result = invoke("--seconds", "3", "--rate", "50", "--json")
    assert result.stdout == '{\n  "requests": 7\n}\n'
    assert result.stderr == "words\n"


def test_the_help_names_every_option(invoke):
    assert all(option in invoke("--help").output for option in ("--seconds", "--rate", "--json"))
    assert command.demo.__doc__
