"""How commands print: data on stdout, words on stderr; a table for people, JSON for programs.

Rich is loaded only when a table is painted; into a pipe tables are plain text, one row per line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence


def data(value: object) -> None:
    """A value as indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def say(sentence: str) -> None:
    """A sentence for people on stderr. It may quote clients, so only line breaks are obeyed."""
    tame = "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
        for letter in sentence
    )
    sys.stderr.write(f"{tame}\n")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    paint: Mapping[str, str] | None = None,
) -> None:
    """A table on stdout. Columns of figures (no other value in them) are set flush right.

    A cell that is one of the words of `paint` is shown in that style.
    """
    cells = [["-" if value is None else _shown(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *cells]:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich import box  # noqa: PLC0415 - 60 ms that a pipe does not need
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    painted = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        figures = all(
            row[place].replace(".", "").replace("-", "").isdigit()
            for row in cells
            if row[place] != "-"
        )
        painted.add_column(name, justify="right" if figures else "left")
    for row in cells:
        painted.add_row(*[Text(cell, style=(paint or {}).get(cell, "")) for cell in row])
    Console().print(painted)


def _shown(value: object) -> str:
    """A cell on one line. Names and categories come from clients: none may move the cursor."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() else json.dumps(text)
