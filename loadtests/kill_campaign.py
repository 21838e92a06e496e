"""Whether the books balance, to the last exchange, whoever is killed at whatever moment.

Each round, under load, one process of a sidecar is killed (SIGKILL) at a random moment: a worker,
the controller, both, or all of it at once, which then is started again; or it is told to end and
killed while it drains. After every round the books must come to rest and balance, per route, model
and role:

    requests = logged + sampled_out + dropped + lost_in_crash + corrupt      (from the API)
    logged   = records in the journal's files                               (counted one by one)
    logged   = delivered + pending + dead_lettered + expired                 (per model, pending 0)

and at the end each record must be in the sink's files, twice only if it has one id. With the whole
sidecar its board dies, and its books begin anew; what it had logged must be there all the same.

What was lost is reported: it is bounded by what a worker holds, and counted as such. Exit code 1
when anything did not add up.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

from loadtests.rig.addresses import HOST, await_ok, free_ports
from loadtests.rig.command import options, run
from loadtests.rig.processes import Started
from loadtests.rig.progress import say
from loadtests.rig.report import Bar, Report, Table
from loadtests.rig.traffic import INFERENCE, PREDICTION
from sidecar.control.recording.search import JournalSearch, Question

WORKERS: Final = 2
CLIENTS: Final = 6
REST_S: Final = 30.0  # until the books must be at rest
LONGEST_S: Final = 0.6  # of load before a kill
PATH: Final = "/v2/models/m/infer"

Json = Any
Key = tuple[str, str, str]


class Model(BaseHTTPRequestHandler):
    """Answers every request alike."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = PREDICTION.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's
        """Say nothing."""


class Models(ThreadingHTTPServer):
    """Where it listens."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Its connections are reset when a worker is killed: that is the point."""


@dataclass
class Found:
    """What did not add up, and what was lost."""

    wrong: list[str] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def expect(self, true: bool, what: str) -> None:
        """Note it when it is not so."""
        if not true:
            self.wrong.append(what)
            say(f"WRONG: {what}")


class Campaign:
    """One sidecar, again and again."""

    def __init__(self, home: Path, model_port: int, chance: random.Random) -> None:
        self.home = home
        self.sink = home / "sink"
        self.journal = home / "state" / "journal"
        self.port, self.admin_port = free_ports(2)
        self.found = Found()
        self._chance = chance
        self._config = home / "sidecar.yaml"
        url = f"http://{HOST}:{model_port}"
        self._config.write_text(json.dumps(self._settings(url)))
        self._process: subprocess.Popen[bytes] | None = None
        self._logged_before: Counter[Key] = Counter()
        self._log = (home / "stderr.log").open("ab")

    def _settings(self, url: str) -> Json:
        return {
            "listen": f"{HOST}:{self.port}",
            "admin": {"listen": f"{HOST}:{self.admin_port}"},
            "state_dir": str(self.home / "state"),
            "workers": WORKERS,
            "log": {"level": "warning"},
            "drain": {"timeout": "2s"},
            "models": {name: {"url": url} for name in ("stable", "next", "trial")},
            "routes": [
                {
                    "name": "all",
                    "primary": "stable",
                    "canaries": [{"model": "next", "percent": 30}],
                    "shadows": [{"model": "trial"}],
                    "capture": {"records": 0.95, "bodies": 0.2},
                }
            ],
            "journal": {"segment": "1MiB"},
            "sinks": [
                {"name": "files", "type": "jsonl", "path": str(self.sink), "batch_age": "50ms"}
            ],
        }

    # -- the sidecar -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start it (again), and wait until it is ready."""
        command = [sys.executable, "-m", "sidecar", "run", "-c", str(self._config)]
        self._process = subprocess.Popen(command, stderr=self._log, start_new_session=True)
        self._await_ready()

    def _await_ready(self) -> None:
        assert self._process is not None
        started = Started("sidecar", self._process, self.home / "stderr.log")
        await_ok(started, self.admin_port, "/readyz")

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    def kill(self) -> None:
        """End all of it at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)

    def _child(self, name: str) -> int | None:
        assert self._process is not None
        pid = self._process.pid
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text().strip() == name:
                        return int(child)
        return None

    def _kill_child(self, name: str) -> None:
        pid = self._child(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            _await(lambda: self._child(name) not in (None, pid), f"{name} is there again")

    def _call(self, path: str) -> Json:
        connection = http.client.HTTPConnection(HOST, self.admin_port, timeout=15)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    # -- rounds ----------------------------------------------------------------------------------

    def round(self, number: int) -> str:
        """Load, a kill in the middle of it, and a look at the books; returns who was killed."""
        worker = f"sidecar-work-{self._chance.randrange(WORKERS)}"
        who = self._chance.choices(
            ("worker", "controller", "worker and controller", "everything", "drain"),
            (8, 4, 4, 2, 1),
        )[0]
        with Load(self.port) as load:
            time.sleep(self._chance.uniform(0.01, LONGEST_S))
            match who:
                case "worker":
                    self._kill_child(worker)
                case "controller":
                    self._kill_child("sidecar-control")
                case "worker and controller":
                    self._kill_child("sidecar-control")
                    self._kill_child(worker)
                case "everything":
                    self.kill()
                case _:
                    assert self._process is not None
                    self._process.send_signal(signal.SIGTERM)
                    time.sleep(self._chance.uniform(0.0, 0.4))
                    self.kill()
            if who not in ("everything", "drain"):
                time.sleep(0.1)
        if who in ("everything", "drain"):
            self._begin_anew()
        else:
            self._await_ready()
        self.check(f"round {number} ({who})")
        return who if load.answered else f"{who}, before any answer"

    def _begin_anew(self) -> None:
        """The board is gone: what is in the journal now is of earlier books."""
        self._logged_before = self._in_files()
        self.start()

    def check(self, when: str) -> None:
        """The books must come to rest, and balance."""
        view = self._at_rest(when)
        if view is None:
            return
        in_files = self._in_files()
        lost = Counter[str]()
        for one in view["requests"]:
            key = (one["route"], one["model"], one["role"])
            accounted = (
                one["logged"] + one["sampled_out"] + sum(one["dropped"].values())
                + one["lost_in_crash"] + one["corrupt"]
            )  # fmt: skip
            self.found.expect(one["requests"] == accounted, f"{when}: {one}")
            written = in_files[key] - self._logged_before[key]
            self.found.expect(written == one["logged"], f"{when}: {written} in files, {one}")
            lost[one["model"]] += one["lost_in_crash"]
            self.found.requests = max(self.found.requests, one["requests"])
        for one in view["sinks"]:
            total = one["delivered"] + one["pending"] + one["dead_lettered"] + one["expired"]
            self.found.expect(one["logged"] == total, f"{when}: {one}")
        self.found.lost = lost

    def _at_rest(self, when: str) -> Json:
        end = time.monotonic() + REST_S
        view: Json = None
        while time.monotonic() < end:
            view = self._call("/api/v1/log/books")
            waiting = any(one["in_memory"] for one in view["requests"])
            if view["complete"] and not waiting and not any(s["pending"] for s in view["sinks"]):
                return view
            time.sleep(0.1)
        self.found.expect(False, f"{when}: the books do not come to rest: {json.dumps(view)}")
        return None

    def _in_files(self) -> Counter[Key]:
        return Counter(
            (one.route, one.model, one.role.value)
            for one in JournalSearch(self.journal).all(Question())
        )

    def check_sink(self) -> int:
        """Every record must be at the sink; returns how many were delivered more than once."""
        logged = [one.id for one in JournalSearch(self.journal).all(Question())]
        self.found.expect(len(set(logged)) == len(logged), "an id is in the journal twice")
        delivered = Counter(
            json.loads(line)["id"]
            for path in sorted(self.sink.glob("*.jsonl"))
            for line in path.read_text().splitlines()
        )
        self.found.expect(set(delivered) == set(logged), "journal and sink differ")
        return sum(count - 1 for count in delivered.values())


class Load:
    """Clients that go on asking, whoever is killed."""

    def __init__(self, port: int) -> None:
        self.answered = 0
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        body = INFERENCE
        while not self._over.is_set():
            connection = http.client.HTTPConnection(HOST, self._port, timeout=5)
            with contextlib.suppress(OSError, http.client.HTTPException):
                while not self._over.is_set():
                    connection.request("POST", PATH, body, {"Content-Type": "application/json"})
                    connection.getresponse().read()
                    self.answered += 1
            connection.close()
            self._over.wait(0.01)


def _await(fact: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20.0
    while not fact():
        if time.monotonic() > end:
            raise TimeoutError(f"not within 20 s: {what}")
        time.sleep(0.01)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options("loadtests.kill_campaign", __doc__, rounds=100, seconds=None)
    parser.set_defaults(bars=True)  # what does not add up is never just a figure
    parser.add_argument("--seed", type=int, default=1)
    return run(parser, measure, arguments)


def measure(chosen: argparse.Namespace) -> Report:
    server = Models((HOST, 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    killed = Counter[str]()
    with tempfile.TemporaryDirectory() as home:
        campaign = Campaign(Path(home), server.server_address[1], random.Random(chosen.seed))
        try:
            campaign.start()
            for number in range(1, chosen.rounds + 1):
                killed[campaign.round(number)] += 1
                if not number % 10:
                    say(f"{number} rounds, {len(campaign.found.wrong)} wrong")
            repeated = campaign.check_sink()
            campaign.stop()
        finally:
            campaign.kill()
            server.shutdown()
    found = campaign.found
    return Report(
        name="kill-campaign",
        parts=[
            (
                f"{chosen.rounds} rounds, seed {chosen.seed}. Lost in crashes since the last start "
                f"as a whole: {found.lost.total()}; delivered more than once, with the same id: "
                f"{repeated}."
            ),
            Table(("killed", "rounds"), [[who, str(n)] for who, n in sorted(killed.items())]),
            *found.wrong,
        ],
        data={
            "killed": killed,
            "lost": found.lost,
            "repeated": repeated,
            "wrong": found.wrong,
        },
        bars=[Bar(what="what did not add up", measured=len(found.wrong), limit=0)],
    )


if __name__ == "__main__":
    sys.exit(main())
