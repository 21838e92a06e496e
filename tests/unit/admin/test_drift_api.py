"""The calls about drift over real HTTP, before a drift watch with a real history."""

import math

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from harness.drift_world import DriftWorld, rows

from sidecar.admin.answers import errors_as_json
from sidecar.admin.drift_api import DriftCalls
from sidecar.baseline import learn
from sidecar.baseline.roles import Roles


@pytest.fixture(scope="module")
def baseline():
    values = {**rows(50_000, seed=1), "region": ["eu", "us"] * 25_000}
    roles = Roles(prediction="prediction", score="score", segments=("region",))
    return learn("stable", values, roles)


@pytest.fixture
def world(tmp_path, baseline):
    world = DriftWorld(tmp_path, baseline=baseline, segments={"region": ("eu", "us")})
    values = rows(6_000, seed=2, shift=1.0)
    high = values["x0"] > 2
    values["x1"][:60] = np.nan
    world.history.pin("start")
    world.pass_rows(
        {**values, "region": ["eu", "us"] * 3_000},
        failed=high.astype(int),
        latency_ns=np.where(high, 10**9, 10**6),
    )
    world.history.pin("end")
    return world


@pytest.fixture
async def ask(world):
    application = web.Application(middlewares=[errors_as_json])
    application.add_routes(DriftCalls(world.watch).routes())
    async with TestClient(TestServer(application)) as client:

        async def ask(path="", **query):
            async with client.get(f"/api/v1/drift{path}", params=query) as response:
                return response.status, await response.json()

        yield ask


def comparison(view, window="5m", reference="baseline"):
    (watch,) = view["watches"]
    (one,) = [
        c for c in watch["comparisons"] if (c["window"], c["reference"]) == (window, reference)
    ]
    return one


async def test_before_the_first_round_it_is_judged_at_once(ask):
    status, view = await ask()
    assert (status, view["status"]) == (200, "major")
    assert view["as_of"] == "2023-11-14T22:18:20.000Z"


async def test_after_it_the_newest_round_is_shown(ask, world):
    await world.watch.after_snapshot(world.history.newest_ns)
    world.pass_rows({**rows(6_000, seed=2), "region": ["eu", "us"] * 3_000})
    _, view = await ask()
    assert view["status"] == "major"
    assert view["judged_in_ms"] == 250


async def test_a_verdict_has_its_effect_its_certainty_its_sizes_and_both_windows(ask):
    _, view = await ask()
    one = comparison(view)
    (verdict,) = [v for v in one["verdicts"] if v["feature"] == "x0"]
    assert verdict["status"] == "major"
    assert verdict["psi"] > 0.5
    assert verdict["p_adjusted"] < 1e-9
    assert (verdict["n"], verdict["reference_n"]) == (6_000, 50_000)
    assert verdict["phi"] >= verdict["reference_phi"] == 1
    assert verdict["evidence"]["ks"] > 0.2
    assert "x0 against baseline: PSI" in verdict["why"]
    assert one["current"] == {
        "name": "5m",
        "start": "2023-11-14T22:13:20.000Z",
        "end": "2023-11-14T22:18:20.000Z",
        "rows": 6_000,
    }
    assert one["against"] == {"name": "baseline", "start": None, "end": None, "rows": 50_000}


async def test_what_cannot_be_judged_yet_is_there_with_the_reason(ask):
    _, view = await ask()
    one = comparison(view, "1h", "week")
    assert (one["status"], one["verdicts"], one["current"]) == ("insufficient_data", [], None)
    assert "no whole window of 1h yet" in one["why"]


async def test_segments_are_summed_up_and_shown_in_full_when_asked_for(ask):
    _, view = await ask()
    summaries = {s["segment"]["value"]: s for s in comparison(view)["segments"]}
    assert set(summaries) == {"eu", "us", "other"}
    assert (summaries["eu"]["status"], summaries["eu"]["feature"]) == ("major", "x0")
    assert summaries["other"]["counts"]["insufficient_data"] > 0
    _, view = await ask(segment="region=eu", window="5m", reference="baseline")
    one = comparison(view)
    assert one["segment"] == {"key": "region", "value": "eu"}
    assert one["current"]["rows"] == 3_000
    assert {v["feature"] for v in one["verdicts"] if v["status"] == "major"} == {"x0"}


async def test_between_two_names_instead_of_windows(ask):
    _, view = await ask(**{"from": "start", "to": "end", "reference": "baseline"})
    (one,) = view["watches"][0]["comparisons"]
    assert (one["window"], one["current"]["rows"]) == ("start..end", 6_000)
    status, view = await ask(**{"from": "end", "to": "start"})
    assert (status, view["error"]["code"]) == (422, "wrong_order")


async def test_one_feature_has_its_evidence_also_when_it_is_in_order(ask):
    _, view = await ask(feature="x1")
    one = comparison(view)
    (verdict,) = one["verdicts"]
    assert (verdict["status"], verdict["feature"]) == ("ok", "x1")
    assert verdict["evidence"]["wasserstein_scaled"] < 0.1
    assert verdict["missing"]["current"] == pytest.approx(0.01)
    assert view["watches"][0]["figures"]["5m"]["missing"] == {"x1": pytest.approx(0.01)}


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("", {"windw": "5m"}, 422, "There is no parameter 'windw'; did you mean `window`?"),
        ("", {"window": "7m"}, 422, "known: `5m`, `1h`"),
        ("", {"feature": "scores"}, 404, "did you mean `score`?"),
        ("", {"to": "end"}, 422, "`to` needs a `from`"),
        ("", {"from": "nowhere"}, 404, "no snapshot 'nowhere'"),
        ("", {"role": "boss"}, 422, "role is one of primary, canary, shadow"),
        ("", {"model": "other"}, 404, "observed are: iris/stable (primary)"),
        ("/features", {}, 422, "?feature=NAME"),
        ("/features", {"feature": "x9"}, 404, "has no column 'x9'; it has: x0"),
        ("/features", {"feature": "x0", "window": "1h"}, 409, "No whole window of 1h yet"),
        ("/features", {"feature": "x0", "segment": "plan"}, 404, "no segment key 'plan'"),
    ],
)
async def test_a_question_that_has_no_answer_is_told_why(ask, path, query, status, words):
    found, view = await ask(path, **query)
    assert found == status
    assert words in view["error"]["message"]


async def test_the_bins_of_a_feature_sum_to_its_psi_and_say_which_values_fail(ask):
    status, view = await ask("/features", feature="x0", window="5m", reference="baseline")
    assert status == 200
    assert sum(b["psi"] for b in view["bins"]) == pytest.approx(view["verdict"]["psi"])
    assert sum(b["current"] for b in view["bins"]) == view["current"]["rows"] == 6_000
    lowest, highest = view["bins"][0], view["bins"][-1]
    assert lowest["label"].startswith("below ")
    assert (lowest["low"], highest["high"]) == (None, None)
    assert lowest["outcomes"] == {
        "rows": lowest["current"], "failed": 0, "failed_share": 0, "mean_ms": 1,
    }  # fmt: skip
    assert highest["outcomes"]["failed_share"] > 0.3
    assert highest["outcomes"]["mean_ms"] > 300
    assert len(view["cells"]["current"]) == len(view["cells"]["edges"]) + 1
    assert {s["segment"]["value"]: s["outcomes"]["rows"] for s in view["segments"]} == {
        "eu": 3_000, "us": 3_000, "other": 0,
    }  # fmt: skip


async def test_missing_values_have_a_bin_of_their_own_that_is_no_part_of_the_psi(ask):
    _, view = await ask("/features", feature="x1")
    last = view["bins"][-1]
    assert (last["label"], last["current"], last["psi"]) == ("missing", 60, None)
    assert last["share"] == pytest.approx(0.01)


async def test_the_bins_of_a_category_are_its_names(ask):
    _, view = await ask("/features", feature="plan")
    named = [name for b in view["bins"] for name in b["categories"]]
    assert set(named) == {"basic", "plus", "pro", "other"}
    assert all(math.isfinite(b["share"]) for b in view["bins"])
    assert view["cells"]["categories"][-1] == "other"
