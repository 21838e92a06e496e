"""Deadlines that must leave some time: a deadline of zero would refuse everything."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from sidecar.config.keys import keys
from sidecar.config.problems import Problem
from sidecar.config.units import Duration


def must_last(
    section: Struct, path: str, *, except_for: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    """A problem for every duration of a section that is zero, other than those that may be."""
    for key in keys(type(section)):
        value = getattr(section, key.attribute)
        if isinstance(value, Duration) and value <= 0 and key.name not in except_for:
            yield Problem(path=f"{path}.{key.name}", expected="more than 0s", found="0s")
