"""What a journal may take, and how hard it clings to what it was given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fsync(StrEnum):
    """When what was written is forced to the disk (docs/journal.md says what each may lose)."""

    NEVER = "never"
    INTERVAL = "interval"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterLimits:
    """Of one worker's writer."""

    segment_bytes: int = 64 * 1024 * 1024
    segment_age_s: float = 60.0
    fsync: Fsync = Fsync.INTERVAL
    fsync_interval_s: float = 0.5
    queue_bytes: int = 16 * 1024 * 1024
    most_bytes: int = 5 * 1024 * 1024 * 1024
    """Of all segments of the slot together: more is not written until somebody prunes."""
    gather_s: float = 0.01
    """How long records are gathered before they are written together, when few come."""
