"""Cases of public test suites: where they are found, and what one is.

The files are not part of this project. `SIDECAR_CORPUS` says where they are, else they are looked
for beside the checkout; tests are skipped where they are absent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("SIDECAR_CORPUS", ROOT.parent / "shared" / "corpus"))


class Expect(StrEnum):
    """What has to become of a request."""

    REJECT = "reject"  # an error or a close; nothing of it is completed at the model
    ACCEPT = "accept"  # forwarded with its exact meaning, answered once
    INCOMPLETE = "incomplete"  # a valid beginning: nothing is completed at the model
    EITHER = "either"  # conforming parsers differ: nothing malformed is forwarded


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a corpus."""

    source: str
    name: str
    data: bytes
    facts: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.source.split()[0]}-{self.facts.get('source_expects', '')}-{self.name}"


def load(file: str) -> list[Case]:
    """The cases of a file; none where the corpus is absent."""
    path = FOLDER / file
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Case(row["source"], row["name"], bytes.fromhex(row["hex"]), row) for row in rows]


def cases(file: str, wanted: Callable[[Case], bool] = lambda _: True) -> list[Any]:
    """The cases as test parameters; a single skipped one where the corpus is absent."""
    found = load(file)
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{file} is not here"))]
    return [pytest.param(case, id=str(case)) for case in found if wanted(case)]
