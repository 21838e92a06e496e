"""The demo's picture in the terminal: one frame from one view. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sidecar.demo.drift_panel import alert_line, in_brief, panel
from sidecar.demo.readings import Latency, ModelReading, Readings
from sidecar.demo.traffic import Place
from sidecar.demo.verdicts import Alert, Raised, Verdict, Watched, Worst
from sidecar.demo.world import Addresses

_ROLE_STYLE = {"primary": "green", "canary": "yellow"}
_WIDEST_BAR = 20
_NOTHING = "-"
_LINES_BESIDE_COLUMNS = 18
"""Lines of a frame that are no line of a column's drift."""
_FEWEST_COLUMNS = 3
INDENT = " " * 8
"""Before lines that go on about the time of the line above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that one frame shows; `percents` are those that are set, by model."""

    addresses: Addresses
    elapsed_s: float
    requests_per_s: float
    client_failures: int
    readings: Readings
    percents: Mapping[str, float]
    place: Place
    drift: tuple[Watched, ...] = ()
    alerts: tuple[Alert, ...] = ()


def frame(view: View, *, height: int) -> RenderableType:
    """Return the frame for a terminal of so many lines."""
    return Panel(
        Group(
            _headline(view),
            "",
            _models(view.readings, view.percents),
            _mirrors(view.readings),
            "",
            panel(view.drift, most=max(_FEWEST_COLUMNS, height - _LINES_BESIDE_COLUMNS)),
            alert_line(view.alerts),
            _footer(view),
        ),
        title="[bold]model sidecar[/]",
        title_align="left",
        border_style="cyan",
        padding=(0, 1),
        expand=False,
    )


def lines(view: View) -> str:
    """Return the frame as two lines, for a log or a pipe."""
    shares = ", ".join(
        f"{reading.model} {_percent(view.readings.share_percent(reading))} %"
        f" p50 {_ms(reading.total, 0.5)} p99 {_ms(reading.total, 0.99)} ms"
        f" (+{_us(reading.overhead, 0.5)} us)"
        for reading in view.readings.models
    )
    return (
        f"{view.elapsed_s:4.0f} s  {view.readings.requests:,} requests, "
        f"{view.requests_per_s:.0f}/s, {_failures(view):,} failed; {shares or 'no answer yet'}; "
        f"{_agreements(view.readings)}{_position(view.place)}\n"
        f"{INDENT}drift: {in_brief(view.drift)}"
    )


def _headline(view: View) -> RenderableType:
    failures = _failures(view)
    text = Text()
    text.append(f"{view.readings.requests:,}", style="bold")
    text.append(f" requests in {view.elapsed_s:.0f} s   ")
    text.append(f"{view.requests_per_s:.0f}", style="bold")
    text.append(" per second   ")
    text.append(f"{failures:,} failed", style="bold red" if failures else "dim")
    text.append(f"\n{_position(view.place)}; half-way the prices of cars rise", style="dim")
    return text


def _position(place: Place) -> str:
    return f"lap {place.lap}, loan {place.row:,} of {place.rows:,}"


def _models(readings: Readings, percents: Mapping[str, float]) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("\nmodel", no_wrap=True)
    table.add_column("\nrole", no_wrap=True)
    table.add_column("\nshare", max_width=_WIDEST_BAR)
    for heading in ("seen\n%", "set\n%", "\nn", "request\np50 ms", "\np95", "\np99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("sidecar\np50 us", "\np99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for reading in readings.models:
        style = _ROLE_STYLE.get(reading.role, "white")
        share_percent = readings.share_percent(reading)
        table.add_row(
            Text(reading.model, style=f"bold {style}"),
            reading.role,
            Bar(size=100, begin=0, end=share_percent or 0, color=style),
            _percent(share_percent),
            _percent(percents.get(reading.model)),
            f"{reading.requests:,}",
            *(_ms(reading.total, q) for q in (0.5, 0.95, 0.99)),
            *(_us(reading.overhead, q) for q in (0.5, 0.99)),
        )
    return table


def _mirrors(readings: Readings) -> RenderableType:
    lines = [_mirror(readings, model) for model in readings.mirrors]
    return Text("\n").join(lines)


def _mirror(readings: Readings, model: str) -> Text:
    text = Text(model, style="bold magenta")
    happened = [
        f"{count:,} {outcome.replace('_', ' ')}"
        for outcome, count in readings.mirrors[model].items()
        if count
    ]
    agreement = readings.agreement.get(model)
    if agreement is not None and agreement.percent is not None:
        happened.append(f"agrees in {agreement.percent:.1f} %")
    words = " · ".join(happened) or "nothing mirrored yet"
    text.append(f"  shadow  {words}", style="not bold default")
    return text


def _agreements(readings: Readings) -> str:
    return "".join(
        f"{model} agrees in {agreement.percent:.1f} %; "
        for model, agreement in readings.agreement.items()
        if agreement.percent is not None
    )


def _footer(view: View) -> RenderableType:
    return Text(
        f"from {view.addresses.admin}: /metrics, /api/v1/{{weights,drift,alerts}}\n"
        f"configuration {view.addresses.configuration}\n"
        "Ctrl-C ends everything",
        style="dim",
    )


def _failures(view: View) -> int:
    return max(view.client_failures, sum(reading.failed for reading in view.readings.models))


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.1f}"


def _ms(latency: Latency, q: float) -> str:
    seconds = latency.quantile_s(q)
    return _NOTHING if seconds is None else f"{seconds * 1e3:.2f}"


def _us(latency: Latency, q: float) -> str:
    seconds = latency.quantile_s(q)
    return _NOTHING if seconds is None else f"{seconds * 1e6:.0f}"


def summary_of(
    reading: ModelReading, readings: Readings, percents: Mapping[str, float]
) -> dict[str, object]:
    """Return one model's figures for the JSON summary; None where nothing was observed."""
    return {
        "role": reading.role,
        "requests": reading.requests,
        "failed": reading.failed,
        "rows": reading.rows,
        "configured_percent": percents.get(reading.model),
        "observed_percent": readings.share_percent(reading),
        "duration_seconds": _quantiles(reading.total),
        "overhead_seconds": _quantiles(reading.overhead),
    }


def drift_of(watched: Watched, worst: Mapping[str, Worst]) -> dict[str, object]:
    """Return one model's verdicts for the JSON summary: by column, the newest and the worst."""
    return {
        verdict.feature: {
            **_figures(verdict),
            "worst": {
                **_figures(worst[verdict.feature].verdict),
                "after_seconds": round(worst[verdict.feature].after_s, 3),
            },
        }
        for verdict in watched.verdicts
    }


def alerts_of(raised: Sequence[Raised]) -> list[dict[str, object]]:
    """Return the alerts of the whole run for the JSON summary."""
    return [
        {
            "severity": one.alert.severity,
            "summary": one.alert.summary,
            "after_seconds": round(one.after_s, 3),
        }
        for one in raised
    ]


def _figures(verdict: Verdict) -> dict[str, object]:
    return {"status": verdict.status, "psi": verdict.psi, "p": verdict.p, "n": verdict.n}


def _quantiles(latency: Latency) -> dict[str, float | int | None]:
    quantiles: dict[str, float | int | None] = {
        f"p{q:g}": latency.quantile_s(q / 100) for q in (50, 95, 99)
    }
    return quantiles | {"n": latency.n}
