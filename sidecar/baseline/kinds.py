"""Whether the values of a column are amounts or names, judged by what a survey saw.

    categorical   texts, truths, and whole numbers with 2 to 32 distinct values that occur 4 times
                  on average (two values: always), which are codes more likely than amounts
    numeric       all other numbers; texts such as `NA` among them are missing values

What is said of a column outranks how it looks. Numbers and texts in one column are refused, since
whichever kind was chosen, part of the values would be lost; of traffic, which cannot be refused
(`Roles.strict` is false), the kind is that of most of the values.
"""

from __future__ import annotations

from typing import Final

from sidecar.baseline.roles import Roles
from sidecar.baseline.survey import ColumnSurvey
from sidecar.errors import ConfigError
from sidecar.model import ColumnKind

_OCCUR: Final = 4
_SHOWN: Final = 40


def kind_of(source: str, seen: ColumnSurvey, roles: Roles) -> ColumnKind:
    """The kind of a column of the data. Raises ConfigError when its types are mixed."""
    if source in roles.categorical:
        return ColumnKind.CATEGORICAL
    if source in roles.numeric:
        require_numbers(source, seen, roles)
        return ColumnKind.NUMERIC
    texts = seen.texts - seen.blanks if seen.numbers else seen.texts
    names = texts + seen.truths
    if seen.numbers and names:
        if roles.strict:
            raise ConfigError(_mixed(source, seen, texts), path=source)
        others = seen.words + seen.truths
        return ColumnKind.NUMERIC if seen.numbers >= others else ColumnKind.CATEGORICAL
    if names:
        return ColumnKind.CATEGORICAL
    codes = seen.codes()
    if codes is not None and (codes == 2 or (codes > 2 and seen.numbers >= _OCCUR * codes)):
        return ColumnKind.CATEGORICAL
    return ColumnKind.NUMERIC


def require_numbers(source: str, seen: ColumnSurvey, roles: Roles) -> None:
    """Raise ConfigError when a column that must be numeric has words."""
    if roles.strict and seen.first_word is not None:
        raise ConfigError(
            f"numbers are wanted, but row {seen.first_word.row} has "
            f"{seen.first_word.text[:_SHOWN]!r}",
            path=source,
        )


def _mixed(source: str, seen: ColumnSurvey, texts: int) -> str:
    said = [f"{seen.numbers} numbers"]
    if seen.first_number is not None:
        said[0] += f" (the first in row {seen.first_number.row})"
    if seen.first_text is not None:
        said.append(f"{texts} texts (row {seen.first_text.row}: {seen.first_text.text[:_SHOWN]!r})")
    if seen.truths:
        said.append(f"{seen.truths} truth values")
    return (
        f"mixed types: {' and '.join(said)}; clean the data, or count all of it as names with "
        f"--categorical {source}"
    )
