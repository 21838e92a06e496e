"""`sidecar weights`: show, set or reset the percentages of canaries."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.cli import change, output, target
from sidecar.cli.admin_client import AdminClient
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption
from sidecar.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("weights")(weights)


def weights(
    assignments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROUTE] [CANARY=PERCENT]...",
            help="A route (not needed when there is only one) and new percentages.",
            show_default=False,
        ),
    ] = None,
    *,
    reset: Annotated[
        bool, typer.Option("--reset", help="Let the configuration file rule again.")
    ] = False,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or change which share of a route each model answers.

    `sidecar weights` shows all; `sidecar weights iris next=10` gives the canary `next` 10 % of
    route `iris`, and the primary what is left. What is set here outranks the configuration file,
    through reloads and restarts, until `sidecar weights --reset [ROUTE]`.
    """
    client = target.find(config, admin, token_file)
    route, wanted = parse(assignments or [])
    if reset:
        if wanted:
            raise ConfigError("--reset takes a route only", path="weights")
        changed = client.delete("/api/v1/weights", {"route": route} if route else {})
        change.show(changed, as_json=as_json, sentence="The configuration file rules again")
        return
    if wanted:
        route = route or _only_route(client)
        changed = change.send(client, "/api/v1/weights", {"route": route, "weights": wanted})
        change.show(changed, as_json=as_json, sentence=f"Changed route {route}")
        return
    current = client.get("/api/v1/weights")
    if route is not None:
        if route not in current["routes"]:
            known = ", ".join(current["routes"])
            raise ConfigError(f"no route {route!r}; the routes are: {known}", path="weights")
        current["routes"] = {route: current["routes"][route]}
    if as_json:
        output.data(current)
        return
    output.table(
        ["route", "model", "percent", "file"],
        [
            [name, model, percent, one["file"].get(model)]
            for name, one in current["routes"].items()
            for model, percent in one["weights"].items()
        ],
    )


def parse(assignments: list[str]) -> tuple[str | None, dict[str, float]]:
    """`["iris", "next=10"]` as route and percentages. Raises ConfigError."""
    route: str | None = None
    wanted: dict[str, float] = {}
    for place, text in enumerate(assignments):
        model, equals, percent = text.partition("=")
        if not equals:
            if place:
                raise ConfigError(f"expected CANARY=PERCENT, got {text!r}", path="weights")
            route = text
            continue
        try:
            wanted[model] = float(percent.removesuffix("%"))
        except ValueError as error:
            raise ConfigError(f"expected a percentage, got {percent!r}", path="weights") from error
    return route, wanted


def _only_route(client: AdminClient) -> str:
    routes = list(client.get("/api/v1/weights")["routes"])
    if len(routes) != 1:
        raise ConfigError(f"say which route: {', '.join(routes)}", path="weights")
    return str(routes[0])
