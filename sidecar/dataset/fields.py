"""What the fields of a CSV file are: numbers, texts, or nothing.

An empty field is missing. A field that reads as a number is one, unless it has a leading zero
(`007`) or an underscore: those are codes, and codes are texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from sidecar.baseline.counting import Value, Values

_CODE: Final = re.compile(r"^\s*[+-]?0\d|_", re.MULTILINE)


def values_of(fields: Sequence[str]) -> Values:
    """`float64[n]` when no field is a text, else a list of numbers, texts and None."""
    try:
        filled = (field or "nan" for field in fields)
        numbers = np.fromiter(map(float, filled), np.float64, len(fields))
    except ValueError:
        pass
    else:
        if not _CODE.search("\n".join(fields)):
            return numbers
    known = {field: value_of(field) for field in set(fields)}
    return [known[field] for field in fields]


def value_of(field: str) -> Value:
    """One field; a text without the blanks around it."""
    text = field.strip()
    if not text:
        return None
    if _CODE.search(text):
        return text
    try:
        return float(text)
    except ValueError:
        return text
