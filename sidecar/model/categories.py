"""How a value reads as a category: one spelling, whichever way it came.

The same code of a branch may stand in a training file as `3.0`, in JSON as `3`, in a tensor as the
float 3.0 and in a CSV body as the text `3`; what counts categories must not take them for four.
"""

from __future__ import annotations

from typing import Final

# Beyond this not every integer is a float64, and a spelling would pretend to more digits.
_LARGEST_EXACT: Final = 2.0**53
# As Python and spreadsheets write them into text files.
_TRUTHS: Final = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}


def category_of(value: float | int | bool | str) -> str:  # noqa: PYI041 - says what may come
    """The text of a category: `true`, `false`, `3`, `-1`, `2.5`, and other texts as they are."""
    if isinstance(value, str):
        return _TRUTHS.get(value, value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value.is_integer() and abs(value) <= _LARGEST_EXACT:
            return str(int(value))
        return repr(float(value))  # of a NumPy scalar too, without its type
    return str(int(value))
