"""Durations and sizes as people write them: `500ms`, `5m`, `48h`; `64KiB`, `1.5MB`."""

from __future__ import annotations

import re
from typing import Final

SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES: Final = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
# Twelve digits are 30,000 years in seconds and a terabyte: more is a slip, and would be infinite.
NUMBER: Final = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_QUANTITY: Final = re.compile(rf"\s*({NUMBER})\s*([A-Za-z]+)\s*", re.ASCII)


class Duration(float):
    """A span of time in seconds, written as text with a unit."""

    __slots__ = ()


class Size(int):
    """A number of bytes, written as text with a unit."""

    __slots__ = ()


def parse_duration(text: object) -> Duration:
    """Read a duration such as `250ms`. Raises ValueError that says what was expected."""
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[2] not in SECONDS:
        raise ValueError(f"Expected a duration such as `500ms`, `30s` or `5m`, got {_shown(text)}")
    return Duration(float(found[1]) * SECONDS[found[2]])


def parse_size(text: object) -> Size:
    """Read a size such as `64KiB`. Raises ValueError that says what was expected."""
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[2] not in BYTES:
        raise ValueError(f"Expected a size such as `64KiB` or `1MB`, got {_shown(text)}")
    return Size(float(found[1]) * BYTES[found[2]])


def format_duration(seconds: float) -> str:
    """The shortest exact spelling: `format_duration(0.5) == "500ms"`."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count = round(seconds / SECONDS[unit], 6)
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds:g}s"


def format_size(size: int) -> str:
    """The shortest exact spelling in binary units: `format_size(65536) == "64KiB"`."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % BYTES[unit] == 0:
            return f"{size // BYTES[unit]}{unit}"
    return f"{size}B"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
