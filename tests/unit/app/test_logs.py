"""The process log: one line per event, as text and as JSON."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from sidecar.app.logs import JsonLines, TextLines


def record(message: str, *args: object, exc_info=None, **keys: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": "sidecar.worker",
            "levelname": "INFO",
            "levelno": logging.INFO,
            "msg": message,
            "args": args,
            "exc_info": exc_info,
            "created": 1_700_000_000.25,
            **keys,
        }
    )


def test_a_line_is_time_level_source_sentence_and_keys():
    line = TextLines().format(record("serves %s", "well", worker=1, version=7))
    assert line == "2023-11-14T22:13:20.250Z info worker: serves well worker=1 version=7"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("line\nbreak", '"line\\nbreak"'),
        ("", '""'),
        (0.25, "0.25"),
        (None, "None"),
    ],
)
def test_values_that_would_break_the_form_are_quoted(value, shown):
    assert TextLines().format(record("x", key=value)).endswith(f" key={shown}")


def test_a_sentence_never_breaks_the_line():
    assert "\n" not in TextLines().format(record("one\ntwo"))


def test_json_has_the_same_facts():
    line = json.loads(JsonLines().format(record("serves", worker=1, reason="two words")))
    assert line == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "source": "worker",
        "event": "serves",
        "worker": 1,
        "reason": "two words",
    }


@pytest.mark.parametrize("form", [TextLines(), JsonLines()])
def test_a_traceback_is_kept(form):
    try:
        raise ValueError("why")
    except ValueError:
        line = form.format(record("failed", exc_info=sys.exc_info()))
    assert "ValueError: why" in line
    assert isinstance(form, TextLines) or "\n" not in line


def test_configured_logging_writes_to_stderr_from_its_level_on_and_survives_a_closed_stderr():
    program = """
import logging, os
from sidecar.app import logs
from sidecar.config.settings import LogSettings
logs.configure(LogSettings(level="warning", format="json"))
logging.getLogger("sidecar.x").info("unheard")
logging.getLogger("sidecar.x").warning("heard", extra={"n": 1})
os.close(2)
logging.getLogger("sidecar.x").warning("to nobody")
print("alive")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "alive\n"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["heard"]
