"""What a measurement found: Markdown for people, JSON for programs, and which bars were met."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """A Markdown table. The first column is text; the others are figures, set to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table, without blank lines around it."""
        marks = ["---", *("--:" for _ in self.columns[1:])]
        return "\n".join("| " + " | ".join(row) + " |" for row in (self.columns, marks, *self.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A promise: what was measured is at most `limit`; `aim` is what we hope for."""

    what: str
    measured: float
    limit: float
    unit: str = ""
    aim: float | None = None

    @property
    def met(self) -> bool:
        """Whether the promise holds."""
        return self.measured <= self.limit

    def row(self) -> list[str]:
        """Its line in the table of bars."""
        aim = "" if self.aim is None else f" (aim {self.aim:g}{self.unit})"
        measured = f"{self.measured:.3g}{self.unit}"
        return [self.what, f"{self.limit:g}{self.unit}{aim}", measured, "yes" if self.met else "NO"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One measurement. `name` is its place in docs/performance.md; `parts` are in reading order."""

    name: str
    parts: Sequence[str | Table]
    data: Mapping[str, Any]
    bars: Sequence[Bar] = field(default=())

    @property
    def met(self) -> bool:
        """Whether every bar is met."""
        return all(bar.met for bar in self.bars)

    def markdown(self) -> str:
        """All parts and, when there are bars, a table of them."""
        parts = [*self.parts]
        if self.bars:
            rows = [bar.row() for bar in self.bars]
            parts.append(Table(("bar", "at most", "measured", "met"), rows))
        return "\n\n".join(p.markdown() if isinstance(p, Table) else p for p in parts)

    def json(self) -> str:
        """Everything that was measured, each round included."""
        bars = [
            {"what": bar.what, "limit": bar.limit, "measured": bar.measured, "met": bar.met}
            for bar in self.bars
        ]
        return json.dumps({"name": self.name, **self.data, "bars": bars}, indent=1) + "\n"

    def write_into(self, document: Path) -> None:
        """Replace what stands between the document's marks of this name. Raises ValueError."""
        begin, end = f"<!-- begin: {self.name} -->", f"<!-- end: {self.name} -->"
        text = document.read_text(encoding="utf-8")
        pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{document} has no `{begin}` followed by `{end}`")
        document.write_text(
            pattern.sub(lambda found: f"{found[1]}\n{self.markdown()}\n\n{found[2]}", text),
            encoding="utf-8",
        )
