"""The commands and the admin rules against a running sidecar."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from harness.configs import one_route
from harness.sidecar_process import SidecarProcess
from harness.upstream import Upstream
from harness.waiting import free_port

pytestmark = pytest.mark.timeout(60)

TOKEN = "0123456789abcdef0123456789abcdef"


def command(
    running: SidecarProcess, *arguments: str, where: str = "-c"
) -> subprocess.CompletedProcess[str]:
    """Run `sidecar` against a running one; `where` is how it is told where that is."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SIDECAR")}
    address = f"127.0.0.1:{running.admin_port}"
    options = []
    if where == "-c":
        options = ["-c", str(running.config_file)]
    elif where == "--admin":
        options = ["--admin", address]
    else:
        environ["SIDECAR_ADMIN"] = address
    return subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments, *options],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
        env=environ,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[SidecarProcess]:
    """A sidecar with a token; tests leave its weights as the file has them."""
    directory = tmp_path_factory.mktemp("commands")
    (directory / "token").write_text(TOKEN, encoding="ascii")
    with Upstream() as model:
        config = one_route(model.url, admin={"token_file": "token"})
        with SidecarProcess(directory, config) as made:
            yield made


@pytest.mark.parametrize("where", ["-c", "--admin", "environment"])
def test_status_finds_the_sidecar_by_file_option_or_environment(running, where):
    done = command(running, "status", "--json", where=where)
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view["ready"] is True
    assert view["routes"][0]["name"] == "iris"


def test_status_for_people_shows_workers_models_and_routes(running):
    done = command(running, "status")
    assert done.returncode == 0
    assert "ready" in done.stderr
    for word in ("worker", "stable", "next", "canary", "closed"):
        assert word in done.stdout


def test_weights_are_shown_set_and_reset(running):
    shown = json.loads(command(running, "weights", "--json").stdout)
    assert shown["routes"]["iris"]["weights"] == {"stable": 95.0, "next": 5.0}
    done = command(running, "weights", "next=10", "--json")
    assert done.returncode == 0, done.stderr
    change = json.loads(done.stdout)
    assert change["weights"]["iris"]["next"] == 10
    assert change["workers"]["acknowledged"] == [0]
    done = command(running, "weights", "iris", "--reset")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "confirmed by 1 workers" in done.stderr
    table = command(running, "weights", "iris").stdout
    assert "iris\tnext\t5\t5" in table


def test_a_rollback_says_what_it_did_and_how_fast(running):
    done = command(running, "rollback", "iris")
    assert done.returncode == 0
    assert "Rolled back iris" in done.stderr
    assert " ms" in done.stderr
    command(running, "weights", "--reset")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["weights", "nope", "next=1"], "iris"),
        (["weights", "nope"], "iris"),
        (["weights", "iris", "nope=1"], "next"),
        (["weights", "iris", "next=1000"], "0 to 100"),
        (["rollback", "nope"], "iris"),
    ],
)
def test_what_cannot_be_is_a_usage_error_with_what_could(running, arguments, says):
    done = command(running, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr


def test_a_change_without_the_token_is_refused_with_the_fix(running):
    done = command(running, "rollback", where="--admin")
    assert done.returncode == 2
    assert "--token-file" in done.stderr
    status, answer = running.admin("POST", "/api/v1/rollback")
    assert (status, answer["error"]["code"]) == (401, "unauthorized")


def test_a_rotated_token_counts_without_a_restart(running):
    token_file = running.directory / "token"
    rotated = TOKEN[::-1]
    token_file.write_text(rotated, encoding="ascii")
    try:
        for token, status in ((TOKEN, 401), (rotated, 200)):
            headers = {"Authorization": f"Bearer {token}"}
            got, _ = running.admin("POST", "/api/v1/reload", headers=headers)
            assert got == status
    finally:
        token_file.write_text(TOKEN, encoding="ascii")


def test_a_reload_of_a_wrong_file_exits_with_two_and_names_the_key(running):
    running.write_config("{nonsense: true}")
    try:
        done = command(
            running, "reload", "--token-file", str(running.directory / "token"), where="--admin"
        )
        assert done.returncode == 2
        assert "nonsense" in done.stderr
    finally:
        running.write_config(running.config)


def test_drain_waits_until_no_worker_is_left(sidecar, upstream):
    own = sidecar(one_route(upstream().url))
    done = command(own, "drain", "--wait")
    assert done.returncode == 0
    assert set(own.children()) == {"control"}
    done = command(own, "status")
    assert done.returncode == 1
    assert "draining" in done.stderr
    assert own.stop() == 0


def test_beyond_loopback_an_admin_api_without_a_token_refuses_to_start(sidecar, upstream):
    own = sidecar(one_route(upstream().url, admin={"listen": f"0.0.0.0:{free_port()}"}), wait=False)
    assert own.wait() == 2
    assert "token" in own.stderr
    assert "$.admin" in own.stderr


def test_beyond_loopback_with_a_token_it_starts(sidecar, upstream, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN, encoding="ascii")
    port = free_port()
    own = sidecar(
        one_route(upstream().url, admin={"listen": f"0.0.0.0:{port}", "token_file": str(token)}),
        wait=False,
    )
    own.admin_port = port
    own.wait_ready()
    assert own.admin("POST", "/api/v1/rollback")[0] == 401


@pytest.mark.parametrize("content", ["", "short"])
def test_a_token_that_protects_nothing_refuses_to_start(sidecar, upstream, tmp_path, content):
    token = tmp_path / "token"
    token.write_text(content, encoding="ascii")
    own = sidecar(one_route(upstream().url, admin={"token_file": str(token)}), wait=False)
    assert own.wait() == 2
    assert "$.admin.token_file" in own.stderr


def test_warm_says_where_the_kernels_are(tmp_path):
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    for what in ("compiled", "loaded"):
        done = subprocess.run(
            [sys.executable, "-m", "sidecar", "warm", "--json"],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            env=environ,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[what]
