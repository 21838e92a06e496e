"""`sidecar drift`: which features, predictions and scores are not what they were, and by how much.

Exit code 0 says that the question was answered, whatever the answer: drift is a finding, not a
failure, and a pipeline that asks for a report must not break on it. One that wants to stop says so
with `--fail-on drift` or `--fail-on major`; then the exit code is 1. Too little data never fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from sidecar.cli import output, target
from sidecar.cli.drift_detail import show_feature
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption
from sidecar.errors import ConfigError

Json = dict[str, Any]

WORST_FIRST: Final = ("major", "drift", "insufficient_data", "ok")
PAINT: Final = {
    "major": "bold red",
    "drift": "yellow",
    "insufficient_data": "dim",
    "ok": "green",
}
COLUMNS: Final = (
    "status", "route", "model", "feature", "psi", "p", "n", "window", "reference", "why",
)  # fmt: skip


class FailOn(StrEnum):
    """From which finding on the exit code is 1."""

    NEVER = "never"
    DRIFT = "drift"
    MAJOR = "major"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("drift")(drift)


def drift(
    *,
    route: Annotated[str | None, typer.Option(help="Only this route.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    window: Annotated[
        str | None, typer.Option(help="Only this window, one of `drift.windows`: 5m, 1h, ...")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Only this reference, one of `drift.references`.")
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option(help="Per value of this segment key: `region`, or one value: `region=eu`."),
    ] = None,
    feature: Annotated[
        str | None, typer.Option(help="One feature, with its histogram and its failures.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Judge what passed after this named snapshot ..."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="... and before this one; else up to now.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="A line for each feature, those in order too.")
    ] = False,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 1 when something is at least this bad.")
    ] = FailOn.NEVER,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show drift: every window against every reference, worst first.

    What is in order, or has too little data yet, is one line per window and reference; `--all`
    lists it all. Exits with 0 whatever was found, unless `--fail-on` says otherwise.
    """
    if start is None and end is not None:
        raise ConfigError("--to needs a --from", path="drift")
    client = target.find(config, admin, token_file)
    asked = {
        "route": route, "model": model, "window": window, "reference": reference,
        "segment": segment, "feature": feature, "from": start, "to": end,
    }  # fmt: skip
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    found = client.get(f"/api/v1/drift?{query}")
    between = {"from": start, "to": end or "now"} if start is not None else {}
    paths = [] if feature is None else _detail_paths(found, feature, between)
    details = [client.get(path) for path in paths]
    if as_json:
        output.data({**found, "details": details} if details else found)
    else:
        _show(found, everything=everything or feature is not None)
        for detail in details:
            show_feature(detail)
    worst = found["status"]
    if fail_on is not FailOn.NEVER and worst in WORST_FIRST[: 1 + (fail_on is FailOn.DRIFT)]:
        raise typer.Exit(1)


def _detail_paths(found: Json, feature: str, between: dict[str, str]) -> Iterator[str]:
    """One per model that has the feature: as the worst comparison sees it that could be made."""
    for watch in found["watches"]:
        made = [comparison for comparison in watch["comparisons"] if comparison["verdicts"]]
        for comparison in sorted(made, key=_rank)[:1]:
            asked = {
                "route": watch["route"],
                "model": watch["model"],
                "role": watch["role"],
                "feature": feature,
                "reference": comparison["reference"],
                "segment": _segment(comparison),
                **(between or {"window": comparison["window"]}),
            }
            given = {name: value for name, value in asked.items() if value}
            yield f"/api/v1/drift/features?{urlencode(given)}"


def _show(found: Json, *, everything: bool) -> None:
    if not found["watches"]:
        output.say("Nothing is watched yet: no payload has been read, or `monitor.enabled` is off.")
        return
    lines = [
        line
        for watch in found["watches"]
        for comparison in watch["comparisons"]
        for line in _lines(watch, comparison, everything=everything)
    ]
    lines.sort(key=lambda line: (WORST_FIRST.index(line["status"]), -(line["psi"] or 0.0)))
    segmented = any(line["segment"] for line in lines)
    columns = [*COLUMNS[:3], *(["segment"] if segmented else []), *COLUMNS[3:]]
    output.table(
        columns, [[_cell(name, line[name]) for name in columns] for line in lines], paint=PAINT
    )
    _say_flags(found)


def _lines(watch: Json, comparison: Json, *, everything: bool) -> Iterator[Json]:
    """A line for each verdict that needs attention, and one for all others of a status."""
    frame = {
        "route": watch["route"],
        "model": _seat(watch),
        "segment": _segment(comparison),
        "window": comparison["window"],
        "reference": comparison["reference"] + (" ?" if comparison["provisional"] else ""),
    }
    if not comparison["verdicts"]:
        current = comparison["current"]
        nothing = {"feature": "(all)", "psi": None, "p": None, "n": current and current["rows"]}
        yield {**frame, **nothing, "status": comparison["status"], "why": comparison["why"]}
        return
    gathered: dict[str, list[Json]] = {}
    for verdict in comparison["verdicts"]:
        if everything or verdict["status"] in {"major", "drift"}:
            yield {**frame, **verdict, "p": verdict["p_adjusted"]}
        else:
            gathered.setdefault(verdict["status"], []).append(verdict)
    for status, verdicts in gathered.items():
        if len(verdicts) == 1:
            yield {**frame, **verdicts[0], "p": verdicts[0]["p_adjusted"]}
            continue
        largest = max(verdicts, key=lambda verdict: verdict["psi"] or 0.0)
        why = f"at most that of {largest['feature']}" if status == "ok" else verdicts[0]["why"]
        yield {**frame, **largest, "feature": f"({len(verdicts)} columns)", "p": None, "why": why}


def _cell(column: str, value: object) -> object:
    if isinstance(value, float):
        return f"{value:.2g}" if column == "p" else f"{value:.3f}"
    return value


def _say_flags(found: Json) -> None:
    """What is said of a window as a whole, and what a mark in the table means."""
    for watch in found["watches"]:
        for finding in watch["findings"]:
            place = f"{watch['route']}/{_seat(watch)} {finding['window']}"
            output.say(f"{place}: {finding['kind']}: {finding['why']}")
    comparisons = [one for watch in found["watches"] for one in watch["comparisons"]]
    if any(comparison["provisional"] for comparison in comparisons):
        output.say(
            "?: a provisional reference, learned from the first rows of the traffic itself; build "
            "one from data that the model was accepted on (`sidecar baseline build`)."
        )


def _seat(watch: Json) -> str:
    """The model, and its role where that is not to answer."""
    role = watch["role"]
    return str(watch["model"]) if role == "primary" else f"{watch['model']} ({role})"


def _segment(comparison: Mapping[str, Any]) -> str:
    segment = comparison["segment"]
    return "" if segment is None else f"{segment['key']}={segment['value']}"


def _rank(comparison: Json) -> tuple[int, float]:
    """Worst first."""
    largest = max((verdict["psi"] or 0.0 for verdict in comparison["verdicts"]), default=0.0)
    return WORST_FIRST.index(comparison["status"]), -largest
