"""Keys that are part of the format already, and that this version does not act on."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.config.problems import Finding, Remark, Severity
from sidecar.config.recording import (
    CaptureSettings,
    DeadLetterSettings,
    JournalSettings,
    RedactSettings,
)
from sidecar.config.settings import Settings


def examine_unused(settings: Settings) -> Iterator[Finding]:
    """A note for each such key that is used."""
    given = {
        **{
            f"$.routes[{index}].capture": route.capture != CaptureSettings()
            for index, route in enumerate(settings.routes)
        },
        "$.journal": settings.journal != JournalSettings(),
        "$.redact": settings.redact != RedactSettings(),
        "$.sinks": settings.sinks != (),
        "$.dead_letters": settings.dead_letters != DeadLetterSettings(),
    }
    for path, is_given in given.items():
        if is_given:
            yield Remark(
                path=path,
                text="accepted; this version does not act on it",
                severity=Severity.NOTE,
            )
