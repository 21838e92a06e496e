"""What real workers read, the controller keeps: through learning, crashes and restarts."""

from __future__ import annotations

import os
import re
import signal

import pytest
from harness.observing import inference, probabilities
from harness.sidecar_process import SidecarProcess
from harness.upstream import Upstream, answering
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(90)

ROWS = 20  # of one request
LEARN_ROWS = 200
PATH = "/v2/models/m/infer"
REGIONS = ("north", "north", "south", "north", "east")
ANSWER = probabilities(*[(row + 0.5) / ROWS for row in range(ROWS)])
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
OK = HEAD % len(ANSWER) + ANSWER


def config(url: str, **monitor):
    """One route with two features, and a segment whose values are learned."""
    return {
        "models": {"stable": {"url": url}, "next": {"url": url}},
        "routes": [
            {
                "name": "iris",
                "primary": "stable",
                "payload": {"codec": "open-inference", "features": ["length", "width"]},
                "segments": [{"name": "region", "from": {"header": "x-region"}, "top": 2}],
            }
        ],
        "monitor": {"learn_rows": LEARN_ROWS, "max_cpu_share": 1.0, **monitor},
        "drift": {"interval": "500ms", "windows": ["1s", "1h"], "thresholds": {"minimum": 100}},
        "workers": 2,
    }


def send(running, requests: int) -> int:
    """Send so many requests; how many rows they had."""
    for number in range(requests):
        rows = [[row / ROWS, (number * ROWS + row) % 97] for row in range(ROWS)]
        headers = {"x-region": REGIONS[number % len(REGIONS)], "content-type": "application/json"}
        assert running.request("POST", PATH, inference(rows), headers)[0] == 200
    return requests * ROWS


def watch(running, model: str = "stable"):
    observation = running.admin("GET", "/api/v1/status")[1]["observation"]
    return next((one for one in observation["watches"] if one["model"] == model), None)


def rows_of(running, model: str = "stable") -> int:
    return watch(running, model)["rows"]


def wait_for_plan(running, model: str = "stable") -> None:
    """Until every worker observes by the newest plan, and the model is in it."""

    def is_everywhere() -> bool:
        status = running.admin("GET", "/api/v1/status")[1]
        versions = {worker["observing"] for worker in status["workers"]}
        return versions == {status["observation"]["version"]} and watch(running, model) is not None

    wait_until(is_everywhere, "every worker observes by the newest plan")


def wait_for_rows(running, rows: int, model: str = "stable") -> None:
    wait_until(lambda: rows_of(running, model) >= rows, f"{rows} rows are counted")
    assert rows_of(running, model) == rows


def learn(running) -> None:
    wait_for_plan(running)
    assert watch(running)["reference"]["kind"] == "learning"

    def is_learned() -> bool:
        send(running, 4)
        return watch(running)["reference"]["kind"] == "provisional"

    wait_until(is_learned, "a reference is learned")
    wait_for_plan(running)
    settle(running)


def settle(running) -> None:
    """Until what was sent so far is counted."""
    seen = []

    def is_still() -> bool:
        seen.append(watch(running)["exchanges"])
        return len(seen) > 12 and all(one == seen[-1] for one in seen[-12:])

    wait_until(is_still, "counts stand still")


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A sidecar that has learned its reference; the tests before left their counts."""
    with (
        Upstream(answering(OK)) as model,
        SidecarProcess(tmp_path_factory.mktemp("learned"), config(model.url)) as running,
    ):
        learn(running)
        yield running


def test_the_first_rows_become_a_provisional_baseline_with_the_frequent_segments(learned):
    _, answer = learned.admin("GET", "/api/v1/baselines")
    (baseline,) = answer["baselines"]
    assert baseline["reference"]["rows"] == LEARN_ROWS
    assert baseline["segments"]["region"][0] == "north"
    assert len(baseline["segments"]["region"]) == 2
    assert watch(learned)["features"] == 2


def test_every_row_is_counted_whichever_worker_read_it(learned):
    before, counted = learned.metrics(), rows_of(learned)
    wait_for_rows(learned, counted + send(learned, 15))
    after = learned.metrics()
    for name, labels, more in (
        ("sidecar_rows_total", "", 15 * ROWS),
        ("sidecar_monitor_exchanges_total", 'outcome="read"', 15),
        ("sidecar_segment_requests_total", 'segment="region",value="north"', 9),
        ("sidecar_segment_request_duration_seconds_count", 'segment="region",value="north"', 9),
    ):
        assert sample(after, name, labels) - sample(before, name, labels) == more, name


def test_counts_names_and_references_survive_a_killed_controller(learned):
    before = rows_of(learned)
    sent = send(learned, 4)
    assert learned.admin("POST", "/api/v1/snapshots", {"name": "before"})[0] == 201
    victim = learned.children()["control"]
    os.kill(victim, signal.SIGKILL)
    sent += send(learned, 4)  # what passes while nobody controls is counted, too
    wait_until(
        lambda: learned.children().get("control") not in {None, victim} and learned.ready(),
        "the controller is back",
    )
    wait_for_plan(learned)
    assert watch(learned)["reference"]["kind"] == "provisional"
    wait_for_rows(learned, before + sent)
    assert [one["name"] for one in named(learned)] == ["before"]


@pytest.mark.parametrize("name", ["baseline", "previous", "day", "week", "now"])
def test_a_snapshot_cannot_take_a_name_that_means_something_else(learned, name):
    status, refusal = learned.admin("POST", "/api/v1/snapshots", {"name": name})

    assert (status, refusal["error"]["code"]) == (422, "reserved_name")


def test_counts_names_and_references_survive_a_restart_of_everything(learned):
    for end in (signal.SIGTERM, signal.SIGKILL):
        before = rows_of(learned)
        wait_for_rows(learned, before + send(learned, 4))
        learned.admin("POST", "/api/v1/snapshots", {"name": "before"})
        learned.stop(end)
        learned.start()
        wait_for_plan(learned)
        assert watch(learned)["reference"]["kind"] == "provisional"
        assert rows_of(learned) == before + 4 * ROWS
        wait_for_rows(learned, before + 4 * ROWS + send(learned, 3))
        learned.admin("POST", "/api/v1/snapshots", {"name": "after"})
        _, drift = learned.admin("GET", "/api/v1/drift?from=before&to=after&reference=baseline")
        (comparison,) = drift["watches"][0]["comparisons"]
        assert comparison["current"]["rows"] == 3 * ROWS
        assert comparison["against"]["rows"] == LEARN_ROWS


def test_a_model_that_a_reload_adds_is_observed_and_the_others_go_on(learned):
    before = rows_of(learned)
    route = learned.config["routes"][0]
    canary = {**route, "canaries": [{"model": "next", "percent": 100}]}
    learned.write_config({**learned.config, "routes": [canary]})
    status, change = learned.admin("POST", "/api/v1/reload")
    assert (status, change["needs_restart"]) == (200, [])
    wait_until(lambda: watch(learned, "next") is not None, "the canary is observed")
    wait_for_plan(learned, "next")
    wait_for_rows(learned, send(learned, 4), "next")
    assert rows_of(learned) == before
    # Over the same edges as the primary's, so that the two compare.
    first, second = learned.admin("GET", "/api/v1/baselines")[1]["baselines"]
    assert first["reference"]["content_hash"] == second["reference"]["content_hash"]


def test_what_does_not_fit_is_said_and_shown_and_traffic_goes_on(sidecar, upstream):
    small = config(upstream(answering(OK)).url, memory="10KiB")
    small["routes"][0]["canaries"] = [{"model": "next", "percent": 50}]
    running = sidecar(small)
    wait_for_plan(running)
    (left_out,) = running.admin("GET", "/api/v1/status")[1]["observation"]["unwatched"]
    assert left_out["model"] == "next"
    assert "raise monitor.memory (10KiB now) to 1MiB" in left_out["reason"]
    gauge = 'sidecar_unwatched{model="%s",role="%s",route="iris"} %d.0'
    assert gauge % ("next", "canary", 1) in running.metrics()
    assert gauge % ("stable", "primary", 0) in running.metrics()
    assert running.stderr.count("a model is not observed") == 1
    send(running, 8)


def sample(metrics: str, name: str, labels: str) -> float:
    """The value of the primary's series with these labels, whatever their order."""
    wanted = {'model="stable"', 'role="primary"', 'route="iris"', *filter(None, labels.split(","))}
    for line in metrics.splitlines():
        found = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line)
        if found and found[1] == name and set(found[2].split(",")) == wanted:
            return float(found[3])
    raise AssertionError(f"no series of {name} has {wanted}")


def named(running):
    return running.admin("GET", "/api/v1/snapshots")[1]["named"]
