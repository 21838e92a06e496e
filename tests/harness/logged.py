"""Journals made by the real writer, of records with chosen facts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sidecar.journal import Writer, WriterLimits
from sidecar.model import CellKey, Role, StatusClass
from sidecar.records import Record, encode

KEY = CellKey(route="r", model="stable", role=Role.PRIMARY)
NS = 1_000_000_000


def a_record(number: int, *, at_ns: int | None = None, **facts: Any) -> Record:
    """A record; its id is a UUIDv7 of the time it begins at."""
    at_ns = time.time_ns() if at_ns is None else at_ns
    milliseconds = f"{at_ns // 1_000_000:012x}"
    return Record(
        **{
            "id": f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{number:012x}",
            "request_id": f"request-{number}",
            "at_ns": at_ns,
            "route": "r",
            "model": "stable",
            "role": Role.PRIMARY,
            "status": 200,
            "outcome": StatusClass.SUCCESS,
            "method": "POST",
            "path": "/infer",
            **facts,
        }
    )


def write_journal(
    directory: Path, records: Iterable[Record], *, slot: int = 0, segment_bytes: int = 1 << 20
) -> None:
    """Append records to a slot, as one run of a worker."""
    writer = Writer(
        directory,
        slot,
        f"{slot + 1:032x}",
        WriterLimits(segment_bytes=segment_bytes),
        wall_ns=time.time_ns,
    )
    writer.subjects({0: KEY})
    for record in records:
        assert writer.append(0, encode(record))
        if segment_bytes < 1 << 20:
            assert writer.flush(5)
    assert writer.close(5)
