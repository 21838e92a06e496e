"""What a request costs in Python alone: a worker's connections driven in memory, without a socket.

    python -m loadtests.hotpath [--mode plain|full] [--monitor] [--log outcomes|bodies]
                                [--requests N] [--instructions]

The client's and the models' transports are stand-ins that swallow what is written, so the figure is
all of parsing, routing, forwarding, mirroring and counting, and nothing of the kernel or the event
loop. With `--monitor` all bodies are read and counted too, over the columns of 30 features, those
of shadows compared with the primary's; the monitor gets its turn of the loop as in a worker. With
`--log` every exchange is recorded as well, in a journal on the disk (its thread's time is counted),
with all bodies if they are asked for.
With `--instructions` the same is run twice under valgrind's callgrind, for N and 5 N
requests, and the difference is divided: a count that no neighbour on the machine can disturb, made
to compare two versions of the code (its noise is about 3 %).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import uvloop

from loadtests.rig import traffic
from sidecar.baseline.edges import numeric_column
from sidecar.baseline.measures import measure_columns
from sidecar.board import Board, BoardLayout, Recorder
from sidecar.config.monitoring import MonitorSettings
from sidecar.config.observation import ObservationPlan, Watch
from sidecar.config.recording import CaptureSettings
from sidecar.config.settings import (
    Canary,
    Limits,
    ModelSettings,
    RouteSettings,
    Settings,
    Shadow,
)
from sidecar.config.update import RoutingUpdate
from sidecar.journal import Writer, WriterLimits
from sidecar.logbook import Composer, Logbook, RecordIds, Subjects
from sidecar.model import CellKey, ColumnKind, ColumnPart, Role
from sidecar.payload import PayloadSettings
from sidecar.proxy import Worker
from sidecar.proxy.chunked import payload_of
from sidecar.proxy.client import ClientConnection
from sidecar.proxy.pool import Pool
from sidecar.proxy.upstream import UpstreamConnection
from sidecar.records import RedactionRules, Redactor
from sidecar.routing import Split
from sidecar.sketch import AreaLayout, Column

ROUNDS = 15
CLOSE_S = 10.0
BODIES = 64  # different ones that take turns
BASELINE_ROWS = 4_000
BETWEEN_TURNS = 16  # requests, of the event loop
BETWEEN_TICKS = 500  # requests: some 50 ms under load
MODELS = ("stable", "next", "trial")
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 06:12:13 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%b"
)


class Swallow(asyncio.Transport):
    """A transport that is always open and keeps nothing."""

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 40_000) if name == "peername" else default

    def abort(self) -> None:
        raise RuntimeError("the worker gave up a connection: the measurement is void")


def update(mode: str, capture: CaptureSettings) -> RoutingUpdate:
    """Plain forwarding, or a canary of 5 % and a shadow of everything."""
    full = mode == "full"
    route = RouteSettings(
        name="r",
        primary="stable",
        canaries=(Canary(model="next", percent=5),) if full else (),
        shadows=(Shadow(model="trial"),) if full else (),
        capture=capture,
    )
    roles = zip(MODELS, (Role.PRIMARY, Role.CANARY, Role.SHADOW), strict=True)
    return RoutingUpdate(
        version=1,
        routes=(route,),
        models={name: ModelSettings(url="http://127.0.0.1:9") for name in MODELS},
        splits={"r": Split.fresh("stable", {"next": 5.0} if full else {}, "salt")},
        limits=Limits(),
        cells=tuple(CellKey(route="r", model=name, role=role) for name, role in roles),
        model_rows=MODELS,
    )


def plan(routing: RoutingUpdate) -> ObservationPlan:
    """Everything is watched, over columns as a baseline file has them."""
    names = tuple(f"feature_{number}" for number in range(len(traffic.FEATURES)))
    values = np.array(traffic.population(BASELINE_ROWS)).T
    features = [
        numeric_column(name, ColumnPart.FEATURE, column)
        for name, column in zip(names, values, strict=True)
    ]
    shares = np.random.default_rng(1).beta(2, 5, BASELINE_ROWS)
    outputs = [
        Column(
            name="prediction",
            part=ColumnPart.PREDICTION,
            kind=ColumnKind.CATEGORICAL,
            categories=("0", "1"),
        ),
        numeric_column("score", ColumnPart.SCORE, shares),
        numeric_column("confidence", ColumnPart.SCORE, np.maximum(shares, 1 - shares)),
    ]
    measures = measure_columns(openai=False)
    watches: list[Watch] = []
    at = 0
    for slot, key in enumerate(key for key in routing.cells if key is not None):
        columns = tuple(outputs if key.role is Role.SHADOW else [*features, *outputs])
        watches.append(
            Watch(
                key=key,
                slot=slot,
                at=at,
                owner=key.model,
                payload=PayloadSettings(),
                features=names,
                columns=columns,
                measures=measures,
            )
        )
        at += AreaLayout(columns, measures).words
    # No share is shed, so that the whole cost is seen.
    return ObservationPlan(
        version=1, settings=MonitorSettings(max_cpu_share=1.0), watches=tuple(watches)
    )


def logbook(recorder: Recorder, writer: Writer) -> Logbook:
    """As a worker has it."""
    loop = asyncio.get_running_loop()
    return Logbook(
        recorder,
        writer,
        Composer(0, RecordIds(random.getrandbits)),
        subjects=Subjects(
            lambda _route: Redactor(RedactionRules()), full_body=1 << 20, dechunk=payload_of
        ),
        salt=1,
        clock_ns=time.perf_counter_ns,
        wall_ns=time.time_ns,
        soon=loop.call_soon,
        later=loop.call_later,
    )


def connected(pool: Pool) -> UpstreamConnection:
    """An idle connection of a pool, over a stand-in."""
    endpoint = pool.endpoints[0]
    connection = UpstreamConnection(endpoint)
    connection.connection_made(Swallow())
    connection.idle_since = endpoint.now()
    connection.used = True
    endpoint.open.add(connection)
    endpoint.idle.append(connection)
    return connection


def request(body: bytes) -> bytes:
    """The usual request, as wrk sends it."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in traffic.HEADERS.items())
    head = f"POST {traffic.PATH} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{fields}"
    length = f"Content-Length: {len(body)}\r\n\r\n"
    return (head + length).encode() + body


class Drive:
    """One client connection and one connection to every model and shadow."""

    def __init__(self, mode: str, *, monitor: bool, log: str | None, journal: Path) -> None:
        routing = update(mode, CaptureSettings(bodies=1.0 if log == "bodies" else 0.0))
        layout = BoardLayout(workers=1, cells=8, model_rows=8, arena_words=1 << 20)
        board = Board.allocate(layout)
        settings = Settings(models=routing.models, routes=routing.routes)
        recorder = board.recorder(0)
        self._writer: Writer | None = None
        self._logbook: Logbook | None = None
        if log is not None:
            self._writer = Writer(journal, 0, "0" * 32, WriterLimits(), wall_ns=time.time_ns)
            self._logbook = logbook(recorder, self._writer)
        self._worker = Worker(
            index=0, settings=settings, sockets=[], recorder=recorder, logbook=self._logbook
        )
        self._worker.install(routing)
        if monitor:
            self._worker.observe(plan(routing))
        plane = self._worker._plane  # measured from inside on purpose
        self._client = ClientConnection(plane, tls=False)
        self._client.connection_made(Swallow())
        self._upstreams = [connected(pool) for pool in plane.current.all_pools()]
        self._monitor = plane.monitor
        self._requests = [
            request(traffic.inference(row)) for row in traffic.population(BODIES, seed=2)
        ]
        # The shadow agrees in other words: the same bytes would not be read twice.
        said = traffic.PREDICTION.encode()
        in_other_words = said.replace(b'"m"', b'"n"')
        self._answers = [ANSWER % (len(said), said)] * len(self._upstreams)
        if mode == "full":
            self._answers[-1] = ANSWER % (len(in_other_words), in_other_words)

    async def run(self, requests: int) -> None:
        """Serve so many requests, one after the other."""
        for number in range(requests):
            self._client.data_received(self._requests[number % BODIES])
            for upstream, answer in zip(self._upstreams, self._answers, strict=True):
                if upstream.busy:
                    upstream.data_received(answer)
            if number % BETWEEN_TURNS == 0:
                await asyncio.sleep(0)
            if number % BETWEEN_TICKS == 0:
                self._monitor.flush()
        self._monitor.catch_up()
        if self._logbook is not None:
            self._logbook.catch_up()

    def close(self) -> None:
        """End the journal's thread: nothing is written any more."""
        if self._writer is not None:
            self._writer.close(CLOSE_S)


async def timed(mode: str, requests: int, rounds: int, *, monitor: bool, log: str | None) -> float:
    """The best round's CPU time per request, in microseconds."""
    best_s = float("inf")
    with TemporaryDirectory() as journal:
        drive = Drive(mode, monitor=monitor, log=log, journal=Path(journal))
        for _ in range(rounds):
            began_s = time.process_time()
            await drive.run(requests)
            best_s = min(best_s, time.process_time() - began_s)
        drive.close()
    return best_s / requests * 1e6


def instructions(mode: str, requests: int, *, monitor: bool, log: str | None) -> float:
    """Instructions per request, by callgrind."""
    if shutil.which("valgrind") is None:
        sys.exit("--instructions needs valgrind: apt-get install valgrind")
    totals = []
    for count in (requests, 5 * requests):
        command = [
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable),
            *("-m", "loadtests.hotpath", "--mode", mode, "--requests", str(count), "--rounds", "1"),
            *(["--monitor"] if monitor else []),
            *(["--log", log] if log else []),
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        found = re.search(r"Collected : (\d+)", said.stderr)
        if found is None:
            sys.exit("valgrind counted nothing")
        totals.append(int(found[1]))
    return (totals[1] - totals[0]) / (4 * requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mode", choices=("plain", "full"), action="append")
    parser.add_argument("--monitor", action="store_true")
    parser.add_argument("--log", choices=("outcomes", "bodies"))
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures: dict[str, float] = {}
    for mode in args.mode or ["plain", "full"]:
        if args.instructions:
            figures[mode] = round(
                instructions(mode, args.requests, monitor=args.monitor, log=args.log)
            )
        else:
            run = timed(mode, args.requests, args.rounds, monitor=args.monitor, log=args.log)
            figures[mode] = round(uvloop.run(run), 2)
    if args.json:
        json.dump(figures, sys.stdout)
        return
    unit = "instructions" if args.instructions else "us of CPU"
    for mode, figure in figures.items():
        print(f"{mode:6} {figure:>10,} {unit} a request")


if __name__ == "__main__":
    main()
