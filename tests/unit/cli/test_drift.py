"""`sidecar drift` against a real admin API over a made-up world."""

import asyncio
import json
import threading

import numpy as np
import pytest
from aiohttp import web
from harness.drift_world import DriftWorld, rows
from typer.testing import CliRunner

from sidecar.admin.answers import errors_as_json
from sidecar.admin.drift_api import DriftCalls
from sidecar.baseline import learn
from sidecar.baseline.roles import Roles
from sidecar.cli.application import build
from sidecar.cli.drift_detail import bar


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    values = {**rows(50_000, seed=1), "region": ["eu", "us"] * 25_000}
    roles = Roles(prediction="prediction", score="score", segments=("region",))
    world = DriftWorld(
        tmp_path_factory.mktemp("snapshots"),
        baseline=learn("stable", values, roles),
        segments={"region": ("eu", "us")},
    )
    world.history.pin("start")
    calm = rows(6_000, seed=2)
    world.pass_rows({**calm, "region": ["eu", "us"] * 3_000})
    world.history.pin("middle")
    shifted = rows(6_000, seed=3, shift=0.35)
    failed = (shifted["x0"] > 2).astype(np.int64)
    world.pass_rows({**shifted, "region": ["eu", "us"] * 3_000}, failed=failed)
    world.history.pin("end")
    return world


@pytest.fixture(scope="module")
def admin(world):
    """The address of an admin API that knows of nothing but drift."""
    loop, address, ready = asyncio.new_event_loop(), [], threading.Event()

    async def serve():
        application = web.Application(middlewares=[errors_as_json])
        application.add_routes(DriftCalls(world.watch).routes())
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(f"127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        return runner

    def run():
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    yield address[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture
def drift(admin):
    """Run `sidecar drift` with these arguments: exit code, lines of stdout, stderr."""

    def run(*arguments):
        words = ["drift", *arguments, "--admin", admin]
        done = CliRunner().invoke(build(words), words)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout.splitlines(), done.stderr

    return run


def cells(line):
    return line.split("\t")


def test_the_worst_is_first_and_the_rest_is_one_line_per_comparison(drift):
    code, (header, *lines), _ = drift()
    assert code == 0
    assert cells(header)[:5] == ["status", "route", "model", "feature", "psi"]
    first = dict(zip(cells(header), cells(lines[0]), strict=True))
    assert (first["status"], first["feature"], first["n"]) == ("drift", "x0", "6000")
    assert (first["window"], first["reference"]) == ("5m", "baseline")
    assert "PSI" in first["why"]
    statuses = [cells(line)[0] for line in lines]
    order = ["major", "drift", "insufficient_data", "ok"]
    assert statuses == sorted(statuses, key=order.index)
    assert statuses.count("drift") == 1
    assert statuses.count("ok") == 2
    assert statuses.count("insufficient_data") == 6


def test_all_lists_every_column(drift):
    _, (_, *lines), _ = drift("--all", "--window", "5m", "--reference", "baseline")
    assert {cells(line)[3] for line in lines} == {
        "x0", "x1", "x2", "plan", "region", "prediction", "score", "confidence",
    }  # fmt: skip


def test_json_is_the_api_s_answer(drift):
    code, lines, _ = drift("--json", "--window", "5m")
    view = json.loads("\n".join(lines))
    assert (code, view["status"]) == (0, "drift")
    assert {c["window"] for c in view["watches"][0]["comparisons"]} == {"5m"}


@pytest.mark.parametrize(
    ("fail_on", "first", "last", "code"),
    [
        ("never", "middle", "end", 0),
        ("drift", "middle", "end", 1),
        ("major", "middle", "end", 0),
        ("drift", "start", "middle", 0),
    ],
)
def test_drift_fails_a_pipeline_only_when_asked_to(drift, fail_on, first, last, code):
    found, _, _ = drift(
        "--from", first, "--to", last, "--reference", "baseline", "--fail-on", fail_on
    )
    assert found == code


def test_segments_have_a_column_of_their_own(drift):
    _, (header, *lines), _ = drift(
        "--segment", "region", "--window", "5m", "--reference", "baseline"
    )
    assert cells(header)[3] == "segment"
    assert [cells(line)[3] for line in lines if cells(line)[0] == "drift"] == [
        "region=eu", "region=us",
    ]  # fmt: skip


def test_one_feature_is_shown_with_its_bins_and_its_failures(drift):
    code, lines, said = drift("--feature", "x0", "--window", "5m", "--reference", "baseline")
    assert code == 0
    assert "x0 of iris/stable (primary), 5m against baseline: 6,000 rows against 50,000" in said
    assert "KS 0." in said
    at = next(place for place, line in enumerate(lines) if line.startswith("values"))
    bins = [cells(line) for line in lines[at + 1 : at + 11]]
    assert bins[0][0].startswith("below ")
    assert "█" in bins[-1][3]
    assert bins[0][6] == "0 %"
    assert float(bins[-1][6].removesuffix(" %")) > 5
    assert any(line.startswith("region=eu\t3000") for line in lines)


def test_what_is_said_of_a_window_as_a_whole_goes_to_people(drift, world):
    _, _, said = drift("--window", "5m")
    assert "provisional" not in said


def test_a_question_without_an_answer_is_a_usage_error(drift, admin):
    words = ["drift", "--to", "end", "--admin", admin]
    done = CliRunner().invoke(build(words), words)
    assert "--to needs a --from" in str(done.exception)


def test_bars_are_in_proportion_to_the_largest():
    assert [bar(share, 0.5) for share in (0.5, 0.25, 0.0)] == ["█" * 24, "█" * 12, ""]
    assert bar(0.5 / 24 / 2, 0.5) == "▌"
    assert bar(0.0, 0.0) == ""
