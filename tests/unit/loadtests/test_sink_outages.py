"""The measurement of outages tells books that balance from those that do not, and shows both."""

from __future__ import annotations

import argparse
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from loadtests import sink_outages
from loadtests.rig import bad_models
from loadtests.rig.machine import Surroundings
from loadtests.rig.paced import Paced
from loadtests.rig.processes import Fleet, ProcessFailedError
from loadtests.rig.turns import Turns
from loadtests.sink_outages import AGAIN, RECEIVERS, TAKING, Beside
from sidecar.config.load import load
from sidecar.config.sinks import HttpSink

CHOSEN = argparse.Namespace(rounds=1, seconds=2, rate=100)


def books(*, requests: int = 10, logged: int = 10, **at_the_sink: int) -> dict[str, Any]:
    sink = {"delivered": 10, "pending": 0, "dead_lettered": 0, "expired": 0} | at_the_sink
    return {"requests": [{"requests": requests, "logged": logged}], "sinks": [sink]}


def test_nothing_waits_when_all_is_logged_and_taken() -> None:
    assert sink_outages.at_rest(books())


@pytest.mark.parametrize("part", ["pending", "dead_lettered", "expired"])
def test_what_a_sink_has_not_taken_keeps_the_books_from_rest(part: str) -> None:
    assert not sink_outages.at_rest(books(**{part: 1}))


def test_what_is_not_logged_keeps_the_books_from_rest() -> None:
    assert not sink_outages.at_rest(books(logged=9))


@pytest.mark.parametrize("wrong", [{"logged": 9}, {"delivered": 9}, {"delivered": 11}])
def test_a_record_that_is_missing_or_there_twice_ends_the_measurement(wrong: Any) -> None:
    sink_outages.require_balance(books(), 10)
    with pytest.raises(ProcessFailedError, match="10 requests were sent"):
        sink_outages.require_balance(books(**wrong), 10)


def test_the_sidecar_takes_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    (tmp_path / "url").write_text("http://127.0.0.1:1/")
    file.write_text(json.dumps(sink_outages.recorded_route(1, tmp_path / "url")))
    loaded = load(file, {})
    (sink,) = loaded.settings.sinks
    assert isinstance(sink, HttpSink)
    assert sink.url_file == str(tmp_path / "url")


def test_bars_are_of_every_kind_that_is_not_well_and_of_memory() -> None:
    slow = dict.fromkeys(RECEIVERS, 105.0) | {
        TAKING: 100.0,
        AGAIN: 130.0,
        "hanging": 120.0,
    }
    made = sink_outages.report(
        Surroundings(),
        CHOSEN,
        Turns({kind: [Paced([latency], 0)] for kind, latency in slow.items()}),
        {
            kind: Beside(logged=200, taken=7, failed=3, controller_cpu_s=0.05, grown_mib=1.5)
            for kind in RECEIVERS
        },
        21.0,
    )
    missed = {bar.what for bar in made.bars if not bar.met}
    assert len(made.bars) == len(RECEIVERS) - 1
    assert missed == {
        "p99 with a receiver that is `hanging`, to p99 with one that takes all",
        "growth of resident memory from the first turn to the last, all processes",
    }
    assert "| hanging | 120 | 120 | 1.20 | 1.20 | 0 | 200 | 7 | 3 | 2.5% | 1.5 |" in made.markdown()
    assert json.loads(made.json())["beside"]["down"]["taken"] == 7


def test_receivers_take_refuse_take_late_and_are_absent(tmp_path: Path) -> None:
    def post(kind: str) -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{ports[kind]}/", data=b"[]", method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    with Fleet(tmp_path) as fleet:
        ports = bad_models.start(fleet, "good", "refuse", "late")
        assert post("good") == 200
        assert post("refuse") == 503
        asked_s = time.monotonic()
        assert post("late") == 200
        assert time.monotonic() - asked_s >= bad_models.LATE_S
        with pytest.raises(urllib.error.URLError, match="refused"):
            post(bad_models.ABSENT)
