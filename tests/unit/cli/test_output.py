"""How commands print."""

from __future__ import annotations

import io
import json
import sys

import pytest

from sidecar.cli import output


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


ROWS = [["iris", 12.5, None], ["wine", 100.0, 3]]


def test_into_a_pipe_a_table_is_one_row_per_line_with_tabs(capsys):
    output.table(["route", "percent", "n"], ROWS)
    assert capsys.readouterr().out == "route\tpercent\tn\niris\t12.5\t-\nwine\t100\t3\n"


def test_for_people_a_table_is_painted_with_figures_flush_right(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.table(["route", "percent", "n"], ROWS)
    lines = [line.rstrip() for line in terminal.getvalue().splitlines() if "iris" in line]
    assert lines[0].split() == ["iris", "12.5", "-"]
    assert lines[0].endswith("12.5   -")


def test_what_looks_like_markup_is_printed_as_it_is(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.table(["endpoint"], [["http://[::1]:9000"]])
    assert "http://[::1]:9000" in terminal.getvalue()


def test_a_word_that_matters_has_its_colour_and_no_other_cell(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.table(["status", "route"], [["major", "majority"]], paint={"major": "bold red"})
    assert "\x1b[1;31mmajor " in terminal.getvalue()
    assert "mmajority" not in terminal.getvalue()


@pytest.mark.parametrize("name", ["\x1b[2Jage", "a\tb", "a\nb", "a\u202eb"])
def test_a_name_that_a_client_chose_moves_no_cursor_and_makes_no_row(capsys, name):
    output.table(["feature"], [[name]])
    assert capsys.readouterr().out == f"feature\n{json.dumps(name)}\n"


def test_a_sentence_that_quotes_a_client_moves_no_cursor_either(capsys):
    output.say("\x1b[2Jage drifted\n  Größe too")
    assert capsys.readouterr().err == "\\u001b[2Jage drifted\n  Größe too\n"


def test_data_is_json_on_stdout_and_words_go_to_stderr(capsys):
    output.data({"a": "ü"})
    output.say("words")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"a": "ü"}
    assert captured.err == "words\n"


@pytest.mark.parametrize(("value", "shown"), [(0.12345678, "0.1235"), (95.0, "95"), (3, "3")])
def test_figures_are_shown_with_the_digits_a_person_reads(capsys, value, shown):
    output.table(["x"], [[value]])
    assert capsys.readouterr().out == f"x\n{shown}\n"
