"""Tables, bars, and the places of a document that results are written into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.__main__ import MEASUREMENTS
from loadtests.rig.report import Bar, Report, Table

TABLE = Table(("proxy", "CPU"), [["one", "1.0"], ["two", "2.0"]])


def a_report(*bars: Bar) -> Report:
    return Report(name="compare", parts=["A sentence.", TABLE], data={"figures": [1, 2]}, bars=bars)


def test_figures_stand_to_the_right() -> None:
    assert TABLE.markdown().splitlines() == [
        "| proxy | CPU |",
        "| --- | --: |",
        "| one | 1.0 |",
        "| two | 2.0 |",
    ]


def test_a_bar_is_met_up_to_its_limit() -> None:
    assert Bar(what="x", measured=0.6, limit=0.6).met
    assert not Bar(what="x", measured=0.61, limit=0.6).met


def test_one_missed_bar_fails_the_report_and_is_shown() -> None:
    report = a_report(
        Bar(what="good", measured=1, limit=2), Bar(what="bad", measured=3, limit=2, unit=" MiB")
    )
    assert not report.met
    assert "| bad | 2 MiB | 3 MiB | NO |" in report.markdown()


def test_a_result_replaces_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(
        "# Title\n\n<!-- begin: compare -->\nold\n<!-- end: compare -->\n\n"
        "<!-- begin: other -->\nkept\n<!-- end: other -->\n"
    )
    report = a_report()
    report.write_into(document)
    report.write_into(document)
    text = document.read_text()
    assert "old" not in text
    assert text.count("A sentence.") == 1
    assert text.startswith("# Title\n\n<!-- begin: compare -->\n")
    assert text.endswith(
        "\n<!-- end: compare -->\n\n<!-- begin: other -->\nkept\n<!-- end: other -->\n"
    )


def test_a_document_without_a_place_for_the_result_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("# Title\n")
    with pytest.raises(ValueError, match="begin: compare"):
        a_report().write_into(document)
    assert document.read_text() == "# Title\n"


def test_json_keeps_the_data_and_says_which_bars_were_met() -> None:
    data = json.loads(a_report(Bar(what="x", measured=3, limit=2)).json())
    assert data["figures"] == [1, 2]
    assert data["bars"] == [{"what": "x", "limit": 2, "measured": 3, "met": False}]


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_the_performance_page_has_a_place_for_every_measurement(name: str, tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "performance.md"
    copy = tmp_path / "performance.md"
    copy.write_text(page.read_text())
    Report(name=name, parts=["Measured anew."], data={}).write_into(copy)
    assert copy.read_text().count("Measured anew.") == 1
