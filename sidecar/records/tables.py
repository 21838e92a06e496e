"""Secrets in CSV: columns by the names in the first line, or by their place where they are known.

As in JSON, doubt counts against the body: see `sidecar.records.documents`.

Must not know: media types, records.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from sidecar.records.documents import Doubtful
from sidecar.records.hiding import Hider, How
from sidecar.records.naming import SecretColumns
from sidecar.records.record import Withheld


def hide_csv_columns(
    data: bytes, columns: SecretColumns, hider: Hider, *, names: Sequence[str] | None
) -> tuple[bytes, int]:
    """The lines without what is secret by its name, and how many cells that were.

    `names` as in `sidecar.records.documents.hide_columns`. Raises Doubtful.
    """
    try:
        text = str(data, "utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error):
        raise Doubtful(Withheld.NOT_PARSED) from None
    if not lines:
        return data, 0
    header = [cell.strip() for cell in lines[0]]
    secret = columns.by_position(header)
    if secret or (names and (header == list(names) or set(names) < set(header))):
        rows = lines[1:]
        if names and len(names) == len(header):
            secret = columns.by_position(names) | secret
        if any(columns.inside_of(cell) for i, cell in enumerate(header) if i not in secret):
            raise Doubtful(Withheld.UNNAMED)  # separated by something other than commas, say
    elif names is None:
        return data, 0
    else:
        rows = lines
        secret = columns.by_position(names)
        if not names or (secret and len(header) != len(names)):
            raise Doubtful(Withheld.UNNAMED)
    if not secret:
        return data, 0
    for row in rows:
        if len(row) != len(header):
            raise Doubtful(Withheld.UNNAMED)
        for index, how in secret.items():
            row[index] = _hidden(row[index], how, hider)
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n" if "\r\n" in text else "\n").writerows(lines)
    return written.getvalue().encode(), len(rows) * len(secret)


def _hidden(cell: str, how: How, hider: Hider) -> str:
    return hider.text(cell, how) or ""
