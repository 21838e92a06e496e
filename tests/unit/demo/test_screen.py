"""One frame and one line of the demo, from known figures."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from sidecar.demo import screen
from sidecar.demo.readings import Latency, ModelReading, Readings
from sidecar.demo.screen import View
from sidecar.demo.world import Addresses

INFINITY = float("inf")


def reading(model, role, requests, failed=0):
    return ModelReading(
        model=model,
        role=role,
        requests=requests,
        failed=failed,
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
        ),
    )


def rendered(view, width=140):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(screen.frame(view))
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
    assert "998 answered · 2 skipped busy" in text
    assert "timeout" not in text


def test_before_the_first_answer_a_frame_has_no_invented_figures(view):
    empty = View(
        addresses=view.addresses,
        elapsed_s=0.0,
        requests_per_s=0.0,
        client_failures=0,
        readings=Readings(models=(reading("stable", "primary", 0),), mirrors={"trial": {}}),
    )
    assert row(empty, "primary") == ["-", "90.0", "0", "-", "-", "-", "-", "-"]
    assert "nothing mirrored yet" in rendered(empty)


def test_a_line_says_the_same_in_one_line(view):
    line = screen.line(view)
    assert "\n" not in line
    assert "1000 requests, 100/s, 3 failed" in line
    assert "stable 88.0 % p50 2.00 p99 2.98 ms (+200 us)" in line


def test_a_summary_has_every_figure_with_its_n(view):
    summary = screen.summary_of(view.readings.models[1], view.readings)
    assert summary == {
        "role": "canary",
        "requests": 120,
        "failed": 3,
        "configured_percent": 10.0,
        "observed_percent": 12.0,
        "duration_seconds": pytest.approx({"p50": 0.002, "p95": 0.0029, "p99": 0.00298, "n": 120}),
        "overhead_seconds": pytest.approx(
            {"p50": 0.0002, "p95": 0.00029, "p99": 0.000298, "n": 120}
        ),
    }
