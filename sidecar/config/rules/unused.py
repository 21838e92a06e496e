"""Keys that are part of the format already, and that this version does not act on."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.config.problems import Finding, Remark, Severity
from sidecar.config.settings import Settings


def examine_unused(settings: Settings) -> Iterator[Finding]:
    """A note for each such key that is used."""
    given = {
        **{
            f"$.routes[{index}].capture": route.capture
            for index, route in enumerate(settings.routes)
        },
        "$.sinks": settings.sinks,
    }
    for path, value in given.items():
        if value:
            yield Remark(
                path=path,
                text="accepted; this version does not act on it",
                severity=Severity.NOTE,
            )
