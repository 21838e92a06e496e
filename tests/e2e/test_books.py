"""The whole of it: real servers under every sink go down under load, and the books balance.

One sidecar with two workers brings what passes to a sink of every kind at once. Each server is
taken away in its own way (connections broken off, the process killed, hung so that it accepts and
never answers, stopped) and comes back, two of them away at any time. Outages last until facts have
shown, never for a while.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path

import pytest
from harness.every_sink import SERVERS, SINKS, EverySink, Programs, identity
from harness.recorded import Load, answers_for_ever, books, parts, recorded, settled_books
from harness.sidecar_process import SidecarProcess
from harness.upstream import Upstream
from harness.waiting import wait_until
from typer.testing import CliRunner

from sidecar.cli.application import build

CLIENTS = 4
PAUSE_S = 0.005  # of each client between requests: load, and a machine that others can use, too
WARM_RECORDS = 2000  # that each sink has taken when memory is looked at for the first time
MEANWHILE = 1500  # records that the other sinks take while one is down
PATIENCE_S = 20.0
MOST_GROWTH_MIB = 20
BALANCED = {"in_memory": 0, "lost_in_crash": 0, "corrupt": 0, "dropped": {}}


@pytest.fixture
def servers(environment, tansu_program, tmp_path):
    programs = Programs(
        tansu=tansu_program,
        nats=environment("nats") / "nats-server",
        moto=environment("moto") / "moto_server",
    )
    with EverySink(programs, tmp_path) as every:
        yield every


@pytest.fixture
def sidecar(servers, tmp_path):
    """A sidecar with all these sinks, not started yet, before a model that answers."""
    with Upstream(answers_for_ever) as model:
        running = SidecarProcess(
            tmp_path, config(model.url, servers), environ=servers.environ, wait=False
        )
        try:
            yield running
        finally:
            running.kill()


def config(url, servers):
    return {
        "models": {name: {"url": url} for name in ("stable", "next", "trial")},
        "routes": [
            {
                "name": "iris",
                "primary": "stable",
                "canaries": [{"model": "next", "percent": 30}],
                "shadows": [{"model": "trial", "sample": 0.5}],
                "capture": {"records": 0.9, "bodies": 0.2},
            }
        ],
        "workers": 2,
        "journal": {"segment": "1MiB"},
        "sinks": servers.sinks,
    }


# --- what is seen of a running sidecar -----------------------------------------------------------


def metric(running: SidecarProcess, name: str) -> dict[tuple[tuple[str, str], ...], int]:
    """A counter or gauge, by its labels in alphabetical order."""
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", running.metrics(), re.MULTILINE)
    return {
        tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels))): int(float(value))
        for labels, value in found
    }


def summed(counts: dict[tuple[tuple[str, str], ...], int], *by: str) -> dict[tuple[str, ...], int]:
    """A metric's values, added up by some of its labels."""
    sums: Counter[tuple[str, ...]] = Counter()
    for labels, count in counts.items():
        named = dict(labels)
        sums[tuple(named[label] for label in by)] += count
    return dict(sums)


def delivered(running: SidecarProcess) -> dict[str, int]:
    """What each sink has taken at this moment; the books say it when the cursor is saved."""
    counts = metric(running, "sidecar_delivery_total")
    return {sink: counts[("outcome", "delivered"), ("sink", sink)] for sink in SINKS}


def failures(running: SidecarProcess, sink: str) -> int:
    attempts = metric(running, "sidecar_delivery_attempts_total")
    return attempts[("outcome", "failed"), ("sink", sink)]


def pending(running: SidecarProcess, sink: str) -> int:
    return sum(one["pending"] for one in books(running)["sinks"] if one["sink"] == sink)


def wait_delivered(running: SidecarProcess, sinks: Iterable[str], records: int) -> None:
    """Wait until each of these sinks has taken so many more records than now."""
    before = delivered(running)

    def all_went_on() -> bool:
        now = delivered(running)
        return all(now[sink] >= before[sink] + records for sink in sinks)

    wait_until(all_went_on, f"{records} more records in {sinks}", timeout_s=PATIENCE_S)


def wait_missed(running: SidecarProcess, server: str) -> None:
    """Wait until an attempt at a server has failed."""
    before = failures(running, server)
    wait_until(
        lambda: failures(running, server) > before, f"{server} is missed", timeout_s=PATIENCE_S
    )


def resident_mib(running: SidecarProcess) -> dict[str, float]:
    """Resident memory of the controller and of each worker.

    VmRSS of /proc: what is shared counts in each. It is seen first when every sink has taken
    several batches, so that libraries are imported and have the buffers and threads they keep.
    """
    found = {}
    for name, pid in running.children().items():
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        found[name] = int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[1]) / 1024
    return found


class Memory:
    """How much each process has grown since this was made."""

    def __init__(self, running: SidecarProcess) -> None:
        self._running = running
        self._before = resident_mib(running)
        self.grown = dict.fromkeys(self._before, 0.0)

    def look(self) -> None:
        for name, now in resident_mib(self._running).items():
            self.grown[name] = max(self.grown[name], now - self._before[name])


# --- what must add up ----------------------------------------------------------------------------


def check_requests(view) -> None:
    """requests = logged + sampled_out, of each model; nothing is missing in any other way."""
    assert {one["model"] for one in view["requests"]} == {"stable", "next", "trial"}
    for one in view["requests"]:
        assert {name: one[name] for name in BALANCED} == BALANCED, one
        assert one["requests"] == parts(one) == one["logged"] + one["sampled_out"], one
        assert min(one["logged"], one["sampled_out"]) > 0, one


def check_sinks(view) -> None:
    """logged = delivered, at each sink and of each model."""
    assert {one["sink"] for one in view["sinks"]} == set(SINKS)
    for one in view["sinks"]:
        assert one["logged"] == one["delivered"] > 0, one
        assert one["pending"] == one["dead_lettered"] == one["expired"] == 0, one


def check_metrics(running: SidecarProcess, view) -> None:
    """The metrics tell the same, of a controller that has run all the time."""
    expected = {
        (one["route"], one["model"], one["role"], state): one[state]
        for one in view["requests"]
        for state in ("logged", "sampled_out", "lost_in_crash", "corrupt")
    }
    expected |= {(*key[:3], "dropped"): 0 for key in expected}
    by = ("route", "model", "role", "state")
    wait_until(
        lambda: summed(metric(running, "sidecar_records_total"), *by) == expected,
        "the metrics are those of the books",
        timeout_s=PATIENCE_S,
    )
    assert set(metric(running, "sidecar_records_in_memory").values()) == {0}
    requests = summed(metric(running, "sidecar_requests_total"), "model")
    requests |= summed(metric(running, "sidecar_shadow_total"), "model")
    assert requests == {(one["model"],): one["requests"] for one in view["requests"]}
    delivery = metric(running, "sidecar_delivery_total")
    for sink in SINKS:
        delivered = sum(one["delivered"] for one in view["sinks"] if one["sink"] == sink)
        for outcome, count in (("delivered", delivered), ("dead_lettered", 0), ("expired", 0)):
            assert delivery[("outcome", outcome), ("sink", sink)] == count


def check_files(running: SidecarProcess, servers: EverySink, view) -> None:
    """The journal has what the books say, the sinks have what is in the journal.

    What came twice has one id: of an exchange no sink has a record that the journal has not.
    """
    records = recorded(Path(running.config["state_dir"]) / "journal")
    logged = {identity(record) for record in records}
    assert len(logged) == len(records) == len({record.id for record in records})
    by_model = Counter(record.model for record in records)
    for one in view["sinks"]:
        assert by_model[one["model"]] == one["logged"], one
    for sink, held in servers.held(len(records)).items():
        assert set(held) == logged, f"{sink}: {len(set(held) ^ logged)} records differ"
    in_order = itemgetter("sink", "model")
    of_files = books_of_files(running)["sinks"]
    assert sorted(of_files, key=in_order) == sorted(view["sinks"], key=in_order)


def books_of_files(running: SidecarProcess):
    """What `sidecar log stats` says when no sidecar runs."""
    command = ["log", "stats", "--json", "-c", str(running.config_file)]
    done = CliRunner().invoke(build(command), command, env=EverySink.environ)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


# --- the tests -----------------------------------------------------------------------------------


def test_every_server_goes_down_under_load_and_nothing_is_lost(servers, sidecar):
    sidecar.start()
    sidecar.wait_ready()
    with Load(sidecar.port, CLIENTS, pause_s=PAUSE_S) as load:
        wait_delivered(sidecar, SINKS, WARM_RECORDS)
        memory = Memory(sidecar)
        last = None
        for server in SERVERS:
            servers.down(server)
            wait_missed(sidecar, server)
            taken = delivered(sidecar)[server]
            wait_delivered(sidecar, set(SINKS) - {server, last}, MEANWHILE)
            assert delivered(sidecar)[server] == taken, "the outage was none"
            assert pending(sidecar, server) > 0
            memory.look()
            if last is not None:
                servers.up(last)
            last = server
        servers.up(last)
        wait_delivered(sidecar, SINKS, MEANWHILE)
        memory.look()
    view = settled_books(sidecar)
    memory.look()

    assert load.failed == []
    check_requests(view)
    answered = sum(one["requests"] for one in view["requests"] if one["role"] != "shadow")
    assert answered == load.answered
    check_sinks(view)
    check_metrics(sidecar, view)
    assert max(memory.grown.values()) < MOST_GROWTH_MIB, memory.grown
    assert sidecar.stop() == 0
    assert books_of_files(sidecar)["requests"] == view["requests"]
    check_files(sidecar, servers, view)


def test_a_sidecar_that_starts_and_ends_while_servers_are_down_loses_nothing(servers, sidecar):
    servers.down("nats")
    sidecar.start()
    sidecar.wait_ready()
    with Load(sidecar.port, CLIENTS, pause_s=PAUSE_S) as first:
        wait_delivered(sidecar, set(SINKS) - {"nats"}, MEANWHILE)
        assert delivered(sidecar)["nats"] == 0
        servers.up("nats")
        wait_delivered(sidecar, SINKS, MEANWHILE)
        servers.down("events")
        servers.kafka.pause()  # what it was sent is in doubt: it may have it, or not
        wait_delivered(sidecar, {"files", "nats", "lake"}, MEANWHILE)
    assert pending(sidecar, "kafka") > 0
    assert sidecar.stop() == 0

    sidecar.start()
    sidecar.wait_ready()
    with Load(sidecar.port, CLIENTS, pause_s=PAUSE_S) as second:
        wait_delivered(sidecar, {"files", "nats", "lake"}, MEANWHILE)
        servers.kafka.resume()
        servers.up("events")
        wait_delivered(sidecar, SINKS, MEANWHILE)
    view = settled_books(sidecar)

    assert first.failed == second.failed == []
    check_requests(view)
    answered = sum(one["requests"] for one in view["requests"] if one["role"] != "shadow")
    assert answered == second.answered  # the books of exchanges begin anew, those of sinks do not
    check_sinks(view)
    assert sidecar.stop() == 0
    check_files(sidecar, servers, view)
