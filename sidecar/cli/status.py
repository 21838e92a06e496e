"""`sidecar status`: is it ready, who answers what, and how fast."""

from __future__ import annotations

from typing import Any

import typer

from sidecar.cli import output, target
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("status")(status)


def status(
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a running sidecar: readiness, workers, models, routes with their figures.

    Exits with 0 when it is ready, with 1 when it is not (the reasons are shown) or does not answer.
    Counts and latencies are since the sidecar started.
    """
    client = target.find(config, admin, token_file)
    now = client.get("/api/v1/status")
    routes = client.get("/api/v1/routes")["routes"]
    if as_json:
        output.data({**now, "routes": routes})
    else:
        _show(now, routes)
    if not now["ready"]:
        raise typer.Exit(1)


def _show(now: dict[str, Any], routes: list[dict[str, Any]]) -> None:
    output.say(
        f"sidecar {now['sidecar']}, up {now['uptime_s']:.0f} s, "
        + ("ready" if now["ready"] else "NOT READY")
        + f", routing version {now['routing_version']}"
        + ("" if now["persisted"] else " (NOT ON DISK YET)")
    )
    for reason in now["reasons"]:
        output.say(f"  {reason}")
    for override in now["overrides"]:
        in_file = override["file_percent"]
        file = "not there" if in_file is None else f"{in_file:g} %"
        output.say(
            f"  set at run time: {override['route']}/{override['model']} "
            f"{override['percent']:g} % (in the file: {file})"
        )
    output.table(
        ["worker", "pid", "routing", "in flight", "connections", "accepted"],
        [
            [w["worker"], w["pid"], w["version"], w["in_flight"], w["connections"], w["accepted"]]
            for w in now["workers"]
        ],
    )
    output.table(
        ["model", "breaker", "connections", "idle", "waiting", "endpoints"],
        [
            [
                m["model"],
                m["breaker"],
                m["connections"],
                m["idle"],
                m["waiting"],
                " ".join(m["endpoints"]),
            ]
            for m in now["models"]
        ],
    )
    output.table(
        ["route", "model", "role", "%", "requests", "n", "p50 ms", "p95 ms", "p99 ms"],
        [
            [
                route["name"],
                t["model"],
                t["role"],
                t["percent"],
                " ".join(f"{end}:{n}" for end, n in t["requests"].items()) or "-",
                t["latency"]["n"],
                t["latency"]["p50_ms"],
                t["latency"]["p95_ms"],
                t["latency"]["p99_ms"],
            ]
            for route in routes
            for t in route["targets"]
        ],
    )
