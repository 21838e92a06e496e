"""How a value reads as a number, whichever way it came: from JSON, a tensor, CSV or a file."""

from __future__ import annotations

from math import inf, nan
from typing import Final

LONGEST_NUMBER: Final = 64  # characters of a text that may read as a number


def as_number(value: float | int | bool | str | None) -> float:  # noqa: PYI041 - what may come
    """A value as a number; NaN when it is missing or none."""
    if value is None:
        return nan
    if isinstance(value, str):
        if len(value) > LONGEST_NUMBER:
            return nan
        try:
            return float(value)
        except ValueError:
            return nan
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf
