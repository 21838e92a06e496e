"""One frame of the demo, and its lines, from known figures."""

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from sidecar.demo import screen
from sidecar.demo.readings import Agreement, Latency, ModelReading, Readings
from sidecar.demo.screen import View
from sidecar.demo.traffic import Place
from sidecar.demo.verdicts import Alert, Raised, Worst
from sidecar.demo.world import Addresses

INFINITY = float("inf")
TALL = 60


def reading(model, role, requests, failed=0):
    return ModelReading(
        model=model,
        role=role,
        requests=requests,
        failed=failed,
        rows=requests - failed,
        total=Latency(bounds_s=(0.001, 0.003, INFINITY), counts=(0, requests, requests)),
        overhead=Latency(bounds_s=(0.0001, 0.0003, INFINITY), counts=(0, requests, requests)),
    )


@pytest.fixture
def view():
    return View(
        addresses=Addresses(traffic="http://t", admin="http://a", configuration=Path("/c.yaml")),
        elapsed_s=12.0,
        requests_per_s=99.6,
        client_failures=0,
        readings=Readings(
            models=(reading("stable", "primary", 880), reading("next", "canary", 120, failed=3)),
            mirrors={"trial": {"answered": 998, "timeout": 0, "skipped_busy": 2}},
            agreement={"trial": Agreement(agreed=909, differed=91)},
        ),
        percents={"stable": 90.0, "next": 10.0},
        place=Place(lap=2, row=4_500, rows=50_000),
    )


@pytest.fixture
def drifting(view, watched, verdict):
    """Seven columns, one of which has drifted, and the alert about it."""
    columns = [verdict("car_value", "major", 1.37), *(verdict(f"other_{i}") for i in range(6))]
    alert = Alert(
        fingerprint="f", severity="warning", state="firing", summary="car_value has drifted"
    )
    return dataclasses.replace(
        view,
        drift=tuple(watched(model, role, *columns) for model, role in MODELS.items()),
        alerts=(alert,),
    )


MODELS = {"stable": "primary", "next": "canary", "trial": "shadow"}


def rendered(view, width=140, height=TALL):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(screen.frame(view, height=height))
    return console.file.getvalue()


def row(view, role, width=140):
    """The words of a role's row, right of the bar."""
    line = next(line for line in rendered(view, width).splitlines() if f" {role} " in line)
    return re.sub(r"[│█▉▊▋▌▍▎▏]", " ", line).split()[2:]


@pytest.mark.parametrize("width", [80, 140])
def test_a_frame_shows_the_split_that_is_seen_and_the_one_that_is_set(view, width):
    assert row(view, "primary", width)[:3] == ["88.0", "90.0", "880"]
    assert row(view, "canary", width)[:3] == ["12.0", "10.0", "120"]


def test_a_frame_fits_a_terminal_of_80_columns(view):
    assert all(len(line) <= 80 for line in rendered(view, 80).splitlines())
    assert row(view, "primary", 80) == row(view, "primary", 140)
    assert "…" not in rendered(view, 80)


def test_a_frame_shows_latency_failures_and_mirrors(view):
    text = rendered(view)
    assert "2.00" in text  # the middle of 1..3 ms
    assert "200" in text  # the middle of 100..300 us
    assert "1,000 requests in 12 s" in text
    assert "100 per second" in text
    assert "3 failed" in text
    assert "998 answered · 2 skipped busy · agrees in 90.9 %" in text
    assert "timeout" not in text


def test_a_frame_says_where_in_the_loans_the_clients_are(view):
    assert "lap 2, loan 4,500 of 50,000" in rendered(view)


def test_a_frame_shows_what_drifts_and_the_alert_about_it(drifting):
    text = rendered(drifting)
    assert re.search(r"car_value +major +1\.37", text)
    assert "alert  warning: car_value has drifted" in text


@pytest.mark.parametrize("height", [24, 30])
@pytest.mark.parametrize("width", [80, 140])
def test_a_frame_fits_the_height_of_the_terminal(drifting, width, height):
    lines = rendered(drifting, width, height).splitlines()
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert any("car_value" in line for line in lines)


def test_a_frame_before_any_drift_is_known_says_so(view):
    text = rendered(view)
    assert "drift: nothing has been read yet" in text
    assert "no alert" in text


def test_before_the_first_answer_a_frame_has_no_invented_figures(view):
    empty = View(
        addresses=view.addresses,
        elapsed_s=0.0,
        requests_per_s=0.0,
        client_failures=0,
        readings=Readings(models=(reading("stable", "primary", 0),), mirrors={"trial": {}}),
        percents={"stable": 90.0},
        place=Place(lap=1, row=0, rows=50_000),
    )
    assert row(empty, "primary") == ["-", "90.0", "0", "-", "-", "-", "-", "-"]
    assert "nothing mirrored yet" in rendered(empty)


def test_lines_say_the_same_in_two(view):
    figures, drift = screen.lines(view).splitlines()
    assert figures.startswith("  12 s  1,000 requests, 100/s, 3 failed; ")
    assert "stable 88.0 % p50 2.00 p99 2.98 ms (+200 us)" in figures
    assert figures.endswith("; trial agrees in 90.9 %; lap 2, loan 4,500 of 50,000")
    assert drift.strip() == "drift: collecting"


def test_lines_name_what_drifts(drifting):
    assert screen.lines(drifting).endswith("        drift: car_value major (PSI 1.37)")


def test_a_summary_has_every_figure_with_its_n(view):
    summary = screen.summary_of(view.readings.models[1], view.readings, view.percents)
    assert summary == {
        "role": "canary",
        "requests": 120,
        "failed": 3,
        "rows": 117,
        "configured_percent": 10.0,
        "observed_percent": 12.0,
        "duration_seconds": pytest.approx({"p50": 0.002, "p95": 0.0029, "p99": 0.00298, "n": 120}),
        "overhead_seconds": pytest.approx(
            {"p50": 0.0002, "p95": 0.00029, "p99": 0.000298, "n": 120}
        ),
    }


def test_a_summary_of_drift_keeps_the_worst_beside_the_newest(watched, verdict):
    worst = {"car_value": Worst(verdict=verdict("car_value", "major", 1.5), after_s=41.23456)}
    summary = screen.drift_of(watched("stable", "primary", verdict("car_value", "ok", 0.01)), worst)
    assert summary == {
        "car_value": {
            "status": "ok", "psi": 0.01, "p": 0.5, "n": 1800,
            "worst": {"status": "major", "psi": 1.5, "p": 0.5, "n": 1800, "after_seconds": 41.235},
        }
    }  # fmt: skip


def test_a_summary_of_alerts_says_when_each_came(drifting):
    raised = [Raised(alert=drifting.alerts[0], after_s=38.00049)]
    assert screen.alerts_of(raised) == [
        {"severity": "warning", "summary": "car_value has drifted", "after_seconds": 38.0}
    ]
