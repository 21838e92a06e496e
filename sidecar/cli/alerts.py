"""`sidecar alerts`: what fires and who was told, silences, and whether receivers can be told."""

from __future__ import annotations

import getpass
import os
from typing import Annotated, Any

import typer

from sidecar.cli import output, target
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption
from sidecar.errors import ConfigError

PATH = "/api/v1/alerts"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    alerts = typer.Typer(
        no_args_is_help=True,
        help="Show what fires, silence it, and test who is told.",
    )
    alerts.command("list")(list_alerts)
    alerts.command("silence")(silence)
    alerts.command("unsilence")(unsilence)
    alerts.command("test")(try_receivers)
    app.add_typer(alerts, name="alerts")


def list_alerts(
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show alerts, silences, rules (those of the house included) and receivers.

    A rule with 0 groups watches nothing yet: there is no such series, no traffic, or too little.
    """
    client = target.find(config, admin, token_file)
    now = client.get(PATH)
    silences = client.get(f"{PATH}/silences")["silences"]
    if as_json:
        output.data({**now, "silences": silences})
    else:
        _show(now, silences)


def silence(
    matchers: Annotated[
        list[str],
        typer.Argument(
            metavar="LABEL=VALUE...",
            help="Which alerts: `alertname=errors`, `model=next`, `feature=~age|income`, "
            "`severity=!critical`. All must hold.",
            show_default=False,
        ),
    ],
    *,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 30m or 2h.")] = "1h",
    comment: Annotated[str, typer.Option("--comment", help="Why.", show_default=False)],
    author: Annotated[
        str | None, typer.Option("--author", help="Who.", show_default="the user")
    ] = None,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep alerts from being announced for a while.

    They stay visible, and whoever was told that one fires is told when it ends. Silences outlive
    restarts.
    """
    client = target.find(config, admin, token_file)
    made = client.post(
        f"{PATH}/silences",
        {
            "matchers": parse(matchers),
            "for": for_,
            "author": author or _user(),
            "comment": comment,
        },
    )
    if as_json:
        output.data(made)
    else:
        output.say(f"Silenced until {made['until']}; end it with `sidecar alerts unsilence`")
        output.table(["id"], [[made["id"]]])


def unsilence(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="Of `sidecar alerts list`.")],
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a silence now."""
    client = target.find(config, admin, token_file)
    ended = client.delete(f"{PATH}/silences", {"id": silence_id})
    if as_json:
        output.data(ended)
    else:
        output.say(f"Ended the silence of {ended['author']} ({ended['comment']})")


def try_receivers(
    receiver: Annotated[
        str | None,
        typer.Argument(help="The receiver; all of them when left out.", show_default=False),
    ] = None,
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message, once, and show how it fared. Exits with 1 when one did not arrive.

    An Alertmanager passes it on to its own receivers.
    """
    client = target.find(config, admin, token_file)
    results = client.post(f"{PATH}/test", {"receiver": receiver} if receiver else {})["results"]
    if as_json:
        output.data({"results": results})
    else:
        output.table(
            ["receiver", "delivered", "ms", "why not"],
            [
                [
                    one["receiver"],
                    "yes" if one["delivered"] else "NO",
                    one["duration_ms"],
                    one["detail"] or None,
                ]
                for one in results
            ],
        )
    if not all(one["delivered"] for one in results):
        raise typer.Exit(1)


def parse(texts: list[str]) -> dict[str, str]:
    """`["model=next", "feature=~a|b"]` as matchers. Raises ConfigError."""
    matchers: dict[str, str] = {}
    for text in texts:
        label, equals, matcher = text.partition("=")
        if not equals or not label:
            raise ConfigError(f"expected LABEL=VALUE, got {text!r}", path="alerts silence")
        if label.endswith("!"):  # `model!=next`, as Prometheus has it
            label, matcher = label[:-1], f"!{matcher}"
        matchers[label] = matcher
    return matchers


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return f"uid {os.getuid()}"


def _show(now: dict[str, Any], silences: list[dict[str, Any]]) -> None:
    alerts = now["alerts"]
    firing = sum(one["state"] != "pending" for one in alerts)
    output.say(f"{firing} firing, {len(alerts) - firing} pending, {len(silences)} silences")
    if alerts:
        output.table(
            ["alert", "severity", "state", "labels", "value", "n", "since", "told"],
            [
                [
                    one["alertname"],
                    one["severity"],
                    one["state"],
                    _pairs(one["labels"]),
                    one["value"],
                    one["n"],
                    one["starts_at"] or one["since"],
                    _told(one),
                ]
                for one in alerts
            ],
        )
    if silences:
        output.table(
            ["silence", "until", "of", "by", "why"],
            [
                [one["id"], one["until"], _pairs(one["matchers"]), one["author"], one["comment"]]
                for one in silences
            ],
        )
    output.table(
        ["rule", "reads", "groups", "tiers"],
        [
            [
                f"{rule['name']} (default)" if rule["default"] else rule["name"],
                rule["reading"],
                rule["groups"],
                "; ".join(_tier(tier) for tier in rule["tiers"]),
            ]
            for rule in now["rules"]
        ],
    )
    output.table(
        ["receiver", "type", "waiting", "failures", "last delivered", "last error"],
        [
            [
                one["name"],
                one["type"],
                one["waiting"],
                one["failures"],
                one["last_delivered"],
                one["last_error"] or None,
            ]
            for one in now["receivers"]
        ],
    )


def _told(alert: dict[str, Any]) -> str:
    if alert["silenced_by"]:
        return "silenced"
    if alert["inhibited"]:
        return "a worse tier fires"
    waiting = [name for name in alert["receivers"] if name not in alert["told"]]
    told = ", ".join(alert["told"])
    if alert["state"] == "pending" or not waiting:
        return told or "-"
    return f"{told}; not yet: {', '.join(waiting)}" if told else f"not yet: {', '.join(waiting)}"


def _tier(tier: dict[str, Any]) -> str:
    comparison = tier["comparison"].replace("_", " ")
    text = f"{tier['severity']}: {comparison} {tier['threshold']:g}"
    return f"{text} for {tier['for_s']:g}s" if tier["for_s"] else text


def _pairs(labels: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={value if isinstance(value, str) else '|'.join(value)}"
        for name, value in labels.items()
    )
