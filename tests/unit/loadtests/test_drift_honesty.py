"""The study runs through, says what it found, and can miss its bars."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests import drift_honesty
from loadtests.honesty import false_alarms
from loadtests.honesty.false_alarms import Outcome, Seen, Tally
from loadtests.honesty.power import Found


def test_a_short_study_fills_its_place_in_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_honesty, "POWER_PSI", (0.24,))
    monkeypatch.setattr(drift_honesty, "POWER_ROWS", (1_000,))
    monkeypatch.setattr(drift_honesty, "MAJOR_PSI", (0.3,))
    monkeypatch.setattr(drift_honesty, "SMALL_PSI", (0.05,))
    document, figures = tmp_path / "drift.md", tmp_path / "figures.json"
    document.write_text(
        "before\n<!-- begin: drift-honesty -->\n<!-- end: drift-honesty -->\nafter\n"
    )

    code = drift_honesty.main(
        ["--windows", "10", "--seed", "3", "--into", str(document), "--json", str(figures)]
    )

    assert code == 0
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "### False alarms: independent rows" in capsys.readouterr().out
    assert "### Bars" in text
    assert "| 0.24 | 1.00 |" in text
    assert json.loads(figures.read_text())["independent"]["windows"] == 10


def test_the_bars_are_missed_when_windows_alarm_or_shifts_are_not_found() -> None:
    quiet = Outcome(by_reference={"baseline": Tally()}, windows=1000, alarmed=2)
    dependent = {name: Outcome(windows=100, alarmed=1) for name in false_alarms.KINDS}
    weak = Found(found=0.94, plain=0.7, major=0.5, major_sure=0.0, others=0.0)

    bars = drift_honesty._bars(quiet, dependent, {1_000: weak})

    assert [bar.met for bar in bars] == [False, *[True] * len(dependent), False]


def test_a_tally_counts_findings_as_alarms() -> None:
    tally = Tally()
    for alarm, found in ((False, False), (True, False), (False, True), (True, True)):
        tally.add(
            Seen(judged=0.5, alarm=alarm, found=found, by_threshold=True, by_difference=False)
        )

    assert (tally.comparisons, tally.alarms, tally.judged) == (4, 3, 2.0)
    assert (tally.by_threshold, tally.by_difference) == (4, 0)
