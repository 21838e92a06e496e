"""Drift in a running sidecar: learned references, models and segments apart, failures by value."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import urllib.parse
from dataclasses import dataclass

import numpy as np
import orjson
import pytest
from harness.recorded_model import RecordedModel
from harness.sidecar_process import SidecarProcess
from harness.waiting import wait_until

from sidecar.baseline import decode, encode, learn
from sidecar.baseline.roles import Roles

pytestmark = pytest.mark.timeout(90)

BATCH = 50
ROLES = Roles(prediction="prediction", score="score")


def rows(count: int, seed: int, *, shift: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, score = rng.normal(size=count), rng.random(count).round(2)
    predictions = (score > 0.5).astype(float)
    return {"x": x + shift, "y": rng.normal(size=count), "prediction": predictions, "score": score}


@dataclass
class Watched:
    """A running sidecar, and rows for it."""

    sidecar: SidecarProcess

    def send(self, values: dict[str, np.ndarray], **headers: str) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.sidecar.port, timeout=10)
        fields = {"Content-Type": "application/json", **headers}
        for first in range(0, len(values["x"]), BATCH):
            inputs = [
                {
                    "name": name,
                    "datatype": "FP64",
                    "shape": [BATCH],
                    "data": values[name][first : first + BATCH].tolist(),
                }
                for name in ("x", "y")
            ]
            body = orjson.dumps({"id": str(first), "inputs": inputs})
            client.request("POST", "/v2/models/m/infer", body, fields)
            client.getresponse().read()
        client.close()

    def name(self, snapshot: str) -> None:
        status, answer = self.sidecar.admin("POST", "/api/v1/snapshots", {"name": snapshot})
        assert status == 201, answer

    def ask(self, path: str = "", **query: str) -> dict:
        asked = {key.rstrip("_"): value for key, value in query.items()}
        status, found = self.sidecar.admin(
            "GET", f"/api/v1/drift{path}?{urllib.parse.urlencode(asked)}"
        )
        assert status == 200, found
        return found

    def between(self, first: str, last: str, **query: str) -> list[dict]:
        """The comparisons of a stretch with the baseline."""
        found = self.ask(from_=first, to=last, reference="baseline", **query)
        return [one for watch in found["watches"] for one in watch["comparisons"]]

    def pass_between(self, last: str, first: str, count: int, **query: str) -> list[dict]:
        """Wait until so many rows have been counted since `first`, and call that `last`.

        A few more may have been: of rows that were sent before `first`, and counted after it.
        """

        def counted() -> list[dict]:
            self.name(last)
            found = self.between(first, last, **query)
            there = sum(one["current"]["rows"] for one in found if one["current"])
            return found if there >= count else []

        return wait_until(counted, f"{count} rows are counted")


def statuses(comparison: dict) -> dict[str, str]:
    return {verdict["feature"]: verdict["status"] for verdict in comparison["verdicts"]}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    file = tmp_path_factory.mktemp("baselines") / "stable.json"
    file.write_text(encode(learn("stable", rows(20_000, seed=1), ROLES)))
    return file


@pytest.fixture
def watch(sidecar):
    """Start a sidecar before a model: a `Watched`."""

    def start(model: RecordedModel, *, baseline=None, **route) -> Watched:
        stable = {"url": model.url}
        if baseline is not None:
            stable["baseline"] = str(baseline)
        running = sidecar(
            {
                "models": {"stable": stable, "next": {"url": model.url}},
                "routes": [{"name": "all", "primary": "stable", **route}],
                "monitor": {"max_cpu_share": 1, "learn_rows": 1000},
                "drift": {"interval": "1s", "windows": ["5m"]},
            }
        )
        running.wait_observing()
        return Watched(running)

    return start


@pytest.fixture
def model():
    answers = rows(2_000, seed=9)
    with RecordedModel(
        answers["prediction"].astype(int).tolist(), answers["score"].tolist()
    ) as one:
        yield one


def test_without_a_baseline_one_is_learned_and_marked_wherever_it_is_used(watch, model):
    watched = watch(model)
    (one,) = watched.ask()["watches"][0]["comparisons"][:1]
    assert one["status"] == "insufficient_data"
    assert "0 of 1,000 rows have come" in one["why"]
    watched.send(rows(1_500, seed=2))
    wait_until(lambda: watched.ask()["watches"][0]["provisional"], "a baseline is learned")
    watched.sidecar.wait_observing()
    watched.name("a")
    watched.send(rows(2_000, seed=3))
    (calm,) = watched.pass_between("b", "a", 2_000)
    watched.send(rows(2_000, seed=4, shift=1.5))
    (shifted,) = watched.pass_between("c", "b", 2_000)
    assert set(statuses(calm).values()) == {"ok"}
    assert (statuses(shifted)["x"], statuses(shifted)["y"]) == ("major", "ok")
    assert shifted["provisional"]
    assert "against provisional baseline" in shifted["verdicts"][0]["why"]


def test_models_and_segments_are_judged_apart(watch, model, baseline):
    watched = watch(
        model,
        baseline=baseline,
        canaries=[{"model": "next", "percent": 0}],
        segments=[{"name": "region", "from": {"header": "x-region"}, "values": ["eu", "us"]}],
    )
    watched.name("a")
    watched.send(rows(1_000, seed=2), **{"x-region": "eu"})
    watched.send(rows(1_000, seed=3, shift=1.5), **{"x-region": "us"})
    watched.send(rows(1_000, seed=4), **{"x-sidecar-model": "next"})
    watched.pass_between("b", "a", 3_000)
    (canary,) = watched.between("a", "b", model="next")
    assert (canary["current"]["rows"], canary["status"]) == (1_000, "ok")
    found = {
        one["segment"]["value"]: one
        for one in watched.between("a", "b", model="stable", segment="region")
    }
    assert {value: one["current"]["rows"] for value, one in found.items()} == {
        "eu": 1_000, "us": 1_000, "other": 0,
    }  # fmt: skip
    assert {value: one["status"] for value, one in found.items()} == {
        "eu": "ok", "us": "major", "other": "insufficient_data",
    }  # fmt: skip
    assert all(one["stands_in"] for one in found.values())


def test_values_that_the_model_cannot_take_are_found_by_their_failures(watch, baseline):
    answers = rows(2_000, seed=9)

    def fails(question: dict) -> bool:
        return question["inputs"][0]["data"][0] > 0  # of a batch that is sorted

    with RecordedModel(
        answers["prediction"].astype(int).tolist(), answers["score"].tolist(), fails=fails
    ) as model:
        watched = watch(model, baseline=baseline)
        watched.name("a")
        values = rows(2_000, seed=2)
        values["x"].sort()
        watched.send(values)
        watched.pass_between("b", "a", 2_000)
        found = watched.ask("/features", feature="x", from_="a", to="b", reference="baseline")
    shares = [one["outcomes"]["failed_share"] for one in found["bins"]]
    assert shares[:4] == [0] * 4
    assert shares[6:10] == [1] * 4
    assert sum(one["outcomes"]["rows"] for one in found["bins"]) == 2_000


def test_a_controller_that_died_judges_on_with_the_snapshots_there_were(watch, model, baseline):
    watched = watch(model, baseline=baseline)
    watched.name("a")
    watched.send(rows(1_000, seed=2, shift=1.5))
    (before,) = watched.pass_between("b", "a", 1_000)
    controller = watched.sidecar.children()["control"]
    os.kill(controller, signal.SIGKILL)
    wait_until(
        lambda: watched.sidecar.children().get("control") not in {controller, None},
        "another controller is there",
    )
    wait_until(watched.sidecar.ready, "it is ready")
    watched.sidecar.wait_observing()
    (after,) = watched.between("a", "b")
    assert after == before
    watched.send(rows(1_000, seed=3))
    (calm,) = watched.pass_between("c", "b", 1_000)
    assert set(statuses(calm).values()) == {"ok"}


def test_series_of_every_comparison_are_exposed(watch, model, baseline):
    watched = watch(model, baseline=baseline)
    watched.send(rows(1_000, seed=2))

    def verdicts() -> list[str]:
        lines = watched.sidecar.metrics().splitlines()
        return [line for line in lines if line.startswith("sidecar_drift_verdict{")]

    found = wait_until(verdicts, "a round was judged")
    assert len(found) == 5 * 4  # x, y, prediction, score, confidence; four references


def test_a_window_of_live_traffic_becomes_a_baseline(watch, model, baseline, tmp_path):
    watched = watch(model, baseline=baseline)
    live = tmp_path / "live.json"
    values = rows(2_000, seed=5, shift=1.5)

    def build() -> bool:
        watched.send(values)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "sidecar", "baseline", "build", "--from-live"),
                *("--model", "stable", "--window", "2s", "--output", str(live)),
                *("--admin", f"127.0.0.1:{watched.sidecar.admin_port}"),
            ],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.returncode == 0 and decode(live.read_text()).rows >= 2_000

    wait_until(build, "a window of two seconds has become a baseline")
    found = decode(live.read_text())
    assert found.features == ("x", "y")
    assert found.distribution("x").quantile(0.5).estimate == pytest.approx(1.5, abs=0.2)
    assert found.distribution("y").quantile(0.5).estimate == pytest.approx(0.0, abs=0.2)
    assert found.traffic.requests * BATCH == found.rows
    assert found.traffic.requests_per_second > 0
