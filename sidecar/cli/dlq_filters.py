"""The options by which `sidecar dlq` commands say which letters are meant, declared once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from sidecar.cli.option_groups import takes

FilterWords = dict[str, Any]
"""A filter as the API takes it in an order."""

_PANEL: Final = "Which letters: all that is given must hold"


def _option(name: str, text: str) -> object:
    return typer.Option(name, help=text, rich_help_panel=_PANEL, show_default=False)


_OPTIONS: Final[Mapping[str, Any]] = {
    "class": Annotated[str | None, _option("--class", "prediction_failed or delivery_failed.")],
    "state": Annotated[
        list[str] | None,
        _option(
            "--state", "waiting, failed_again, replayed or purged; may be given several times."
        ),
    ],
    "model": Annotated[str | None, _option("--model", "Requests to this model.")],
    "route": Annotated[str | None, _option("--route", "Requests of this route.")],
    "sink": Annotated[str | None, _option("--sink", "Records that this sink did not take.")],
    "since": Annotated[
        str | None,
        _option("--since", "Requests begun then or later: 2h (ago), or 2026-03-01T12:00:00Z."),
    ],
    "until": Annotated[str | None, _option("--until", "Requests begun before that.")],
    "status": Annotated[str | None, _option("--status", "503, 5xx, or none: no whole answer.")],
    "failure": Annotated[str | None, _option("--failure", "A code, such as upstream_timeout.")],
    "text": Annotated[str | None, _option("--text", "A part of the reason.")],
    "request_id": Annotated[str | None, _option("--request-id", "The client's request id.")],
    "id": Annotated[int | None, _option("--id", "This letter.")],
}


takes_filter: Final = takes("which", _OPTIONS, dict)
"""Gives a command the options of a filter, in place of its parameter `which: FilterWords`."""


def query(which: FilterWords, **more: object) -> str:
    """The filter as the API takes it in a query, `?` included; empty when nothing is chosen."""
    words = {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in {**which, **more}.items()
        if value is not None
    }
    return f"?{urlencode(words)}" if words else ""
