"""The part of the demo's picture that shows drift. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sidecar.demo.verdicts import Alert, Verdict, Watched
from sidecar.demo.world import WINDOW

_STYLE: Final = {
    "major": "bold red",
    "drift": "yellow",
    "ok": "green",
    "unsettled": "cyan",
    "collecting": "dim",
}
_NOTHING: Final = "-"
_ROLES: Final = ("primary", "canary", "shadow")


def panel(drift: Sequence[Watched], *, most: int) -> RenderableType:
    """Every column of the primary, worst first, at most so many; of the others only the PSI."""
    watches = sorted(drift, key=lambda watched: _ROLES.index(watched.role))
    if not watches or not watches[0].verdicts:
        why = watches[0].why_none if watches else "nothing has been read yet"
        return Text(f"drift: {why}", style="dim")
    first, *others = watches
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(
        f"{first.model}, last {WINDOW}\nagainst its baseline",
        no_wrap=True,
        min_width=max(len(verdict.feature) for verdict in first.verdicts),
    )
    table.add_column("\ndrift", no_wrap=True, min_width=len("collecting"))
    for heading in ("\nPSI", "\np", "\nn", *(f"{one.model}\nPSI" for one in others)):
        table.add_column(heading, justify="right", no_wrap=True, min_width=5)
    columns = [{verdict.feature: verdict for verdict in one.verdicts} for one in others]
    for verdict in first.verdicts[:most]:
        word = status_word(verdict)
        table.add_row(
            verdict.feature,
            Text(word, style=_STYLE[word]),
            _number(verdict.psi),
            _p(verdict.p),
            f"{verdict.n:,}",
            *(_psi(column.get(verdict.feature)) for column in columns),
        )
    left = first.verdicts[most:]
    if not left:
        return table
    words = sorted({status_word(verdict) for verdict in left}, key=list(_STYLE).index)
    return Group(table, Text(f"and {len(left)} more: {', '.join(words)}", style="dim"))


def in_brief(drift: Sequence[Watched]) -> str:
    """Which columns of the primary drift or begin to, on part of a line."""
    verdicts = [one for watched in drift if watched.role == "primary" for one in watched.verdicts]
    named = [
        f"{one.feature} {status_word(one)} (PSI {_number(one.psi)})"
        for one in verdicts
        if one.alarms or one.unsettled
    ]
    if named:
        return ", ".join(named)
    return "none" if any(one.status == "ok" for one in verdicts) else "collecting"


def alert_line(alerts: Sequence[Alert]) -> Text:
    """How many alerts there are, and the worst of them; one line, however narrow the terminal."""
    if not alerts:
        return Text("no alert", style="dim")
    count = "alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    text = Text(count, style="bold red", no_wrap=True, overflow="ellipsis")
    text.append(f"  {alerts[0].severity}: {alerts[0].summary}", style="not bold default")
    return text.append(", clearing" if alerts[0].clearing else "", style="not bold dim default")


def status_word(verdict: Verdict) -> str:
    """The status as it is shown; the two ways of not being judged are told apart."""
    if verdict.collects:
        return "collecting"
    return "unsettled" if verdict.unsettled else verdict.status


def _psi(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text(_NOTHING)
    return Text(_number(verdict.psi), style=_STYLE[status_word(verdict)])


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return _NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"
