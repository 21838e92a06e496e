"""A running sidecar: its configuration for a measurement, its start by its own command, its API."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.rig.addresses import HOST, await_ok, free_ports
from loadtests.rig.load import Subject
from loadtests.rig.processes import Fleet, Started
from loadtests.rig.traffic import FEATURES, population

PLAIN: Final = "sidecar"
SPLIT: Final = "sidecar, canary + shadow"
MONITORED: Final = "sidecar, canary + shadow + monitor"
RECORDED: Final = "sidecar, canary + shadow + monitor + log"

FEATURE_NAMES: Final = tuple(f"feature_{number}" for number in range(len(FEATURES)))
BASELINE_ROWS: Final = 20_000

Json = Any
"""A decoded answer of the admin API."""

# Enough for the largest number of busy connections that is measured: a 503 would flatter.
_POOL: Final = {"connections": 1024, "waiters": 4096, "wait_timeout": "30s"}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Where a sidecar listens."""

    started: Started
    port: int
    admin_port: int

    @property
    def pid(self) -> int:
        """The launcher's process id, the root of the tree."""
        return self.started.pid

    def subject(self, name: str) -> Subject:
        """The sidecar as something to put load on."""
        return Subject(name, f"http://{HOST}:{self.port}", self.pid)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Ask the admin API; returns the decoded answer whatever its status."""
        connection = http.client.HTTPConnection(HOST, self.admin_port, timeout=15)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {"Content-Type": "application/json"},
            )
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def metric(self, name: str) -> list[tuple[dict[str, str], int]]:
        """The samples of a counter or gauge that counts something: labels and value."""
        connection = http.client.HTTPConnection(HOST, self.admin_port, timeout=15)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return [
            (dict(re.findall(r'(\w+)="([^"]*)"', labels)), int(float(value)))
            for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", text, re.MULTILINE)
        ]


def plain_route(upstream: int) -> dict[str, Any]:
    """One model, one route: forwarding and histograms."""
    return {"models": _models(upstream, "stable"), "routes": [{"name": "all", "primary": "stable"}]}


def split_route(upstream: int) -> dict[str, Any]:
    """5 % of the clients to a canary, a copy of every request to a shadow, and histograms."""
    return {
        "models": _models(upstream, "stable", "next", "trial"),
        "routes": [
            {
                "name": "all",
                "primary": "stable",
                "canaries": [{"model": "next", "percent": 5}],
                "shadows": [{"model": "trial", "sample": 1.0}],
            }
        ],
    }


def monitored_route(upstream: int, baseline: Path) -> dict[str, Any]:
    """The same, with every payload read and counted over the edges of a baseline.

    No share of them is shed, so that the whole cost is seen.
    """
    routing = split_route(upstream)
    for model in routing["models"].values():
        model["baseline"] = str(baseline)
    routing["routes"][0]["payload"] = {"codec": "open-inference", "features": FEATURE_NAMES}
    return {**routing, "monitor": {"max_cpu_share": 1.0}}


def recorded_route(upstream: int, baseline: Path, files: Path) -> dict[str, Any]:
    """The same, with a record of every exchange in the journal, and delivered to files."""
    return {
        **monitored_route(upstream, baseline),
        "journal": {"enabled": True},
        "sinks": [{"name": "files", "type": "jsonl", "path": str(files)}],
    }


def write_baseline(file: Path) -> None:
    """A baseline of the population of the usual traffic, made by the sidecar's own command."""
    rows = file.with_suffix(".csv")
    lines = [",".join(FEATURE_NAMES)]
    lines += [",".join(map(repr, row)) for row in population(BASELINE_ROWS)]
    rows.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "sidecar", "baseline", "build", "--model", "stable"]
    subprocess.run([*command, "--data", str(rows), "-o", str(file)], check=True, timeout=120)


def routes_by_path(upstream: int, count: int) -> dict[str, Any]:
    """As many models, each with a route of its own: /1/, /2/, ..."""
    names = [f"model-{number}" for number in range(1, count + 1)]
    return {
        "models": _models(upstream, *names),
        "routes": [
            {"name": name, "match": {"path_prefix": f"/{number}/"}, "primary": name}
            for number, name in enumerate(names, 1)
        ],
    }


def _models(upstream: int, *names: str) -> dict[str, Any]:
    return {name: {"url": f"http://{HOST}:{upstream}", "pool": _POOL} for name in names}


def launch(
    fleet: Fleet,
    name: str,
    routing: Mapping[str, Any],
    *,
    workers: int = 1,
    environ: Mapping[str, str] | None = None,
) -> Sidecar:
    """Start a sidecar, without waiting for it."""
    port, admin_port = free_ports(2)
    config: Path = fleet.home / f"{name}.yaml"
    # JSON is YAML. Idle connections and a drain must not end, or prolong, a measurement.
    config.write_text(
        json.dumps(
            {
                "listen": f"{HOST}:{port}",
                "admin": {"listen": f"{HOST}:{admin_port}"},
                "state_dir": str(fleet.home / f"{name}.state"),
                "workers": workers,
                "limits": {"idle_timeout": "1h", "in_flight": 4096},
                "drain": {"timeout": "2s"},
                "log": {"level": "warning"},
                "monitor": {"enabled": False},  # unless they are what is measured
                "journal": {"enabled": False},
                **routing,
            },
            indent=1,
        )
    )
    command = [sys.executable, "-m", "sidecar", "run", "-c", str(config)]
    return Sidecar(fleet.start(name, command, environ=environ), port, admin_port)


def start(fleet: Fleet, name: str, routing: Mapping[str, Any], *, workers: int = 1) -> Sidecar:
    """Start a sidecar and wait until it is ready."""
    sidecar = launch(fleet, name, routing, workers=workers)
    await_ok(sidecar.started, sidecar.admin_port, "/readyz")
    return sidecar
