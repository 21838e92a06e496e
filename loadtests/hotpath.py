"""What a request costs in Python alone: a worker's connections driven in memory, without a socket.

    python -m loadtests.hotpath [--mode plain|full] [--requests N] [--instructions] [--json]

The client's and the models' transports are stand-ins that swallow what is written, so the figure is
all of parsing, routing, forwarding, mirroring and counting, and nothing of the kernel or the event
loop. With `--instructions` the same is run twice under valgrind's callgrind, for N and 5 N
requests, and the difference is divided: a count that no neighbour on the machine can disturb, made
to compare two versions of the code (its noise is about 3 %).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import time

import uvloop

from loadtests.rig import traffic
from sidecar.board import Board, BoardLayout
from sidecar.config.settings import (
    Canary,
    Limits,
    ModelSettings,
    RouteSettings,
    Settings,
    Shadow,
)
from sidecar.config.update import RoutingUpdate
from sidecar.model import CellKey, Role
from sidecar.proxy import Worker
from sidecar.proxy.client import ClientConnection
from sidecar.proxy.pool import Pool
from sidecar.proxy.upstream import UpstreamConnection
from sidecar.routing import Split

ROUNDS = 15
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


def update(mode: str) -> RoutingUpdate:
    """Plain forwarding, or a canary of 5 % and a shadow of everything."""
    full = mode == "full"
    route = RouteSettings(
        name="r",
        primary="stable",
        canaries=(Canary(model="next", percent=5),) if full else (),
        shadows=(Shadow(model="trial"),) if full else (),
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


def request() -> bytes:
    """The usual request, as wrk sends it."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in traffic.HEADERS.items())
    head = f"POST {traffic.PATH} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{fields}"
    length = f"Content-Length: {len(traffic.INFERENCE)}\r\n\r\n"
    return (head + length).encode() + traffic.INFERENCE


class Drive:
    """One client connection and one connection to every model and shadow."""

    def __init__(self, mode: str) -> None:
        routing = update(mode)
        board = Board.allocate(BoardLayout(workers=1, cells=8, model_rows=8))
        settings = Settings(models=routing.models, routes=routing.routes)
        self._worker = Worker(index=0, settings=settings, sockets=[], recorder=board.recorder(0))
        self._worker.install(routing)
        plane = self._worker._plane  # measured from inside on purpose
        self._client = ClientConnection(plane, tls=False)
        self._client.connection_made(Swallow())
        self._upstreams = [connected(pool) for pool in plane.current.all_pools()]
        self._request = request()
        self._answer = ANSWER % (len(traffic.PREDICTION), traffic.PREDICTION.encode())

    def run(self, requests: int) -> None:
        """Serve so many requests, one after the other."""
        for _ in range(requests):
            self._client.data_received(self._request)
            for upstream in self._upstreams:
                if upstream.busy:
                    upstream.data_received(self._answer)


async def timed(mode: str, requests: int, rounds: int) -> float:
    """The best round's CPU time per request, in microseconds."""
    drive = Drive(mode)
    best_s = float("inf")
    for _ in range(rounds):
        began_s = time.process_time()
        drive.run(requests)
        best_s = min(best_s, time.process_time() - began_s)
    return best_s / requests * 1e6


def instructions(mode: str, requests: int) -> float:
    """Instructions per request, by callgrind."""
    if shutil.which("valgrind") is None:
        sys.exit("--instructions needs valgrind: apt-get install valgrind")
    totals = []
    for count in (requests, 5 * requests):
        command = [
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable),
            *("-m", "loadtests.hotpath", "--mode", mode, "--requests", str(count), "--rounds", "1"),
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
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures: dict[str, float] = {}
    for mode in args.mode or ["plain", "full"]:
        if args.instructions:
            figures[mode] = round(instructions(mode, args.requests))
        else:
            figures[mode] = round(uvloop.run(timed(mode, args.requests, args.rounds)), 2)
    if args.json:
        json.dump(figures, sys.stdout)
        return
    unit = "instructions" if args.instructions else "us of CPU"
    for mode, figure in figures.items():
        print(f"{mode:6} {figure:>10,} {unit} a request")


if __name__ == "__main__":
    main()
