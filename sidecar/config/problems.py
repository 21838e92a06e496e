"""What is said about a configuration: problems, which refuse it, and remarks, which do not.

A path names a key the way JSONPath does: `$.routes[0].match.host`, `$.models["v1.2"].url`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from sidecar.errors import ConfigError

ROOT: Final = "$"
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHOWN_CHARACTERS: Final = 60


class Problem(Struct, frozen=True, kw_only=True):
    """Why a configuration is refused. `where` is a line of the file or a variable, if known."""

    path: str
    expected: str
    found: str
    fix: str = ""
    where: str = ""

    @property
    def text(self) -> str:
        """What is wrong and, if known, how to put it right."""
        text = f"expected {self.expected}, found {self.found}"
        return f"{text}; {self.fix}" if self.fix else text

    def __str__(self) -> str:
        return f"{_place(self.path, self.where)}: {self.text}"


class Severity(StrEnum):
    """How much a remark matters: a warning is likely a mistake, a note is only good to know."""

    WARNING = "warning"
    NOTE = "note"


class Remark(Struct, frozen=True, kw_only=True):
    """What a person should know about a configuration that is accepted."""

    path: str
    text: str
    severity: Severity = Severity.WARNING
    where: str = ""

    def __str__(self) -> str:
        return f"{_place(self.path, self.where)}: {self.text}"


Finding = Problem | Remark


class InvalidConfig(ConfigError):  # noqa: N818 - reads as the ConfigError that it is
    """The configuration is refused; `problems` lists every reason, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        where = f" ({first.where})" if first.where else ""
        others = len(problems) - 1
        more = f" (and {others} more; `sidecar check` lists all)" if others else ""
        super().__init__(first.text + where + more, path=first.path)
        self.problems = tuple(problems)


def child(path: str, key: str | int) -> str:
    """The path of an entry: by name in a mapping, by index in a list."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{path}[{json.dumps(key)}]"


def shown(value: object) -> str:
    """A value as it would stand in the file; containers and long texts are only hinted at."""
    match value:
        case None:
            return "nothing"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case str() if len(value) > _SHOWN_CHARACTERS:
            return json.dumps(value[: _SHOWN_CHARACTERS - 3] + "...", ensure_ascii=False)
        case _:
            return json.dumps(value, ensure_ascii=False)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A fix for a misspelt name: the closest known one, or all there are."""
    names = list(known)
    by_folded = {candidate.lower().replace("-", "_"): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{by_folded[close[0]]}`?"
    return "known: " + ", ".join(f"`{candidate}`" for candidate in names) if names else ""


def _place(path: str, where: str) -> str:
    return f"{path} ({where})" if where else path
