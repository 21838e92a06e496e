"""Limits and measures: sizes that let something through, buckets that rise, room on the board."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from sidecar.config.keys import keys
from sidecar.config.problems import Finding, Problem
from sidecar.config.rules.durations import must_last
from sidecar.config.settings import Settings
from sidecar.config.units import Size, format_size
from sidecar.model import LONGEST_LATENCY_NS, SHORTEST_LATENCY_NS

_SHORTEST_S: Final = SHORTEST_LATENCY_NS / 1_000_000_000
_LONGEST_S: Final = LONGEST_LATENCY_NS / 1_000_000_000


def examine_limits(settings: Settings) -> Iterator[Finding]:
    """Findings about `limits` and `metrics`."""
    limits = settings.limits
    yield from must_last(limits, "$.limits", except_for=frozenset({"linger"}))
    for key in keys(type(limits)):
        value = getattr(limits, key.name)
        if isinstance(value, Size) and value == 0 and key.name != "body_bytes":
            yield Problem(path=f"$.limits.{key.name}", expected="more than 0B", found="0B")
    if limits.header_bytes < limits.request_line:
        yield Problem(
            path="$.limits.header_bytes",
            expected=f"at least `request_line` ({format_size(limits.request_line)}), a part of it",
            found=format_size(limits.header_bytes),
        )
    yield from _buckets(settings.metrics.buckets)
    yield from _cells(settings)


def _buckets(buckets: tuple[float, ...]) -> Iterator[Finding]:
    path = "$.metrics.buckets"
    if not buckets:
        yield Problem(path=path, expected="at least one bound", found="an empty list")
    for index, bound in enumerate(buckets):
        if not _SHORTEST_S <= bound <= _LONGEST_S:
            yield Problem(
                path=f"{path}[{index}]",
                expected=f"{_SHORTEST_S:f} to {_LONGEST_S:g} seconds",
                found=f"{bound:g}",
            )
    for index, (lower, upper) in enumerate(pairwise(buckets), start=1):
        if not lower < upper:
            yield Problem(
                path=f"{path}[{index}]", expected=f"more than {lower:g}", found=f"{upper:g}"
            )


def _cells(settings: Settings) -> Iterator[Finding]:
    """Each route takes a cell per model and role there."""
    needed = sum(1 + len(route.canaries) + len(route.shadows) for route in settings.routes)
    if needed > settings.metrics.cells:
        yield Problem(
            path="$.metrics.cells",
            expected=f"at least {needed}, one per route, model and role",
            found=str(settings.metrics.cells),
        )
