"""`sidecar inspect`: what a codec sees in a payload, before any traffic is sent through it.

It prints values of the payload: whoever runs it has passed them by hand.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from sidecar.cli import output
from sidecar.cli.options import JsonOption
from sidecar.cli.payload_report import Reading, report, show
from sidecar.config.baselines import read_baseline
from sidecar.config.load import load
from sidecar.config.problems import did_you_mean
from sidecar.config.settings import RouteSettings, Settings
from sidecar.errors import ConfigError
from sidecar.payload import Body, PayloadSettings, Protocol

NOT_READ: Final = 1
DEFAULT_CONFIG: Final = Path("sidecar.yaml")
LARGEST_BYTES: Final = 256 * 1024 * 1024
"""No body is read that is nearly as large; who pipes a data set in should not wait for the end."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("inspect")(inspect)


def inspect(
    *,
    model: Annotated[
        str | None, typer.Option(help="A model of the configuration; its route says how to read.")
    ] = None,
    route: Annotated[
        str | None, typer.Option(help="The route, where several ask the model.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="The configuration file.",
            show_default=f"{DEFAULT_CONFIG}, none with --codec",
        ),
    ] = None,
    codec: Annotated[
        Protocol | None, typer.Option(help="Read by this codec, whatever the route says.")
    ] = None,
    response: Annotated[
        Path | None, typer.Option(help="A file with the answer to this request.")
    ] = None,
    path: Annotated[
        str, typer.Option(help="The path that is asked for, such as /v2/models/iris/infer.")
    ] = "",
    content_type: Annotated[str, typer.Option(help="The Content-Type of the request.")] = "",
    response_type: Annotated[str, typer.Option(help="The Content-Type of the answer.")] = "",
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            "-H",
            help="A header field of the request, as `name: value`: for segments, and for bodies "
            "that are compressed or hold binary tensors. May be given several times.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a codec sees in a request, given on standard input, and in its answer.

    Prints the protocol, the rows, each feature with its value and kind, segments, prediction and
    scores. Exits with 1 when a body cannot be read: while proxying it would be counted as unread,
    for the same reason.
    """
    reading = _reading(config, model, route, codec)
    fields = dict(_field(text) for text in header or ())
    request = _request(_standard_input(), path, content_type, fields)
    answer = None
    if response is not None:
        answer = Body(_content(response), path.encode(), response_type.encode())
    found = report(reading, request, answer, fields)
    if as_json:
        output.data(found)
    else:
        show(found)
    if any("error" in part for part in (found["request"], found["response"] or {})):
        raise typer.Exit(NOT_READ)


def _reading(
    config: Path | None, model: str | None, route: str | None, codec: Protocol | None
) -> Reading:
    if config is None and codec is not None and model is None and route is None:
        return Reading(payload=PayloadSettings(codec=codec))
    settings = load(config or DEFAULT_CONFIG, os.environ).settings
    if model is not None and model not in settings.models:
        raise ConfigError(
            f"no model `{model}`; {did_you_mean(model, settings.models)}", path="--model"
        )
    chosen = _route(settings.routes, model, route)
    payload = chosen.payload
    if codec is not None:
        payload = msgspec.structs.replace(payload, codec=codec)
    return Reading(
        payload=payload,
        segments=chosen.segments,
        names=_names(settings, model or chosen.primary),
        max_body=settings.monitor.max_body,
    )


def _route(routes: Sequence[RouteSettings], model: str | None, name: str | None) -> RouteSettings:
    named = [one for one in routes if name is None or one.name == name]
    if not named:
        raise ConfigError(
            f"no route `{name}`; {did_you_mean(str(name), [one.name for one in routes])}",
            path="--route",
        )
    fitting = [one for one in named if model is None or model in _models_of(one)]
    if not fitting:
        raise ConfigError(f"no such route asks `{model}`", path="--model")
    readings = {(one.payload, one.segments) for one in fitting}
    if len(readings) > 1:
        names = ", ".join(f"`{one.name}`" for one in fitting)
        raise ConfigError(f"{names} read payloads differently: choose one", path="--route")
    return fitting[0]


def _models_of(route: RouteSettings) -> set[str]:
    canaries = [canary.model for canary in route.canaries]
    return {route.primary, *canaries, *(shadow.model for shadow in route.shadows)}


def _names(settings: Settings, model: str) -> tuple[str, ...]:
    """The features of the model's baseline, by which rows without names are read."""
    file = settings.models[model].baseline
    if file is None:
        return ()
    try:
        return read_baseline(file).features
    except ConfigError as error:
        output.say(f"note: the baseline gives no names: {error}")
        return ()


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        output.say("Waiting for a request on standard input; Ctrl-D ends it.")
    content = sys.stdin.buffer.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ConfigError(f"more than {LARGEST_BYTES >> 20} MiB, and no request", path="stdin")
    return content


def _request(data: bytes, path: str, content_type: str, fields: dict[str, str]) -> Body:
    length = fields.get("inference-header-content-length")
    if length is not None and not length.isdecimal():
        raise ConfigError("Inference-Header-Content-Length is no number", path="--header")
    return Body(
        data,
        path.encode(),
        (content_type or fields.get("content-type", "")).encode(),
        fields.get("content-encoding", "").encode(),
        None if length is None else int(length),
    )


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ConfigError(f"expected `name: value`, found {json.dumps(text)}", path="--header")
    return name.strip().lower(), value.strip()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", path="--response") from error
