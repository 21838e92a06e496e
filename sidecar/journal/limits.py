"""What the writer of one worker may take, and how hard it clings to what it was given."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.config.recording import Fsync, JournalSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterLimits:
    """Of one worker's writer."""

    segment_bytes: int = 64 * 1024 * 1024
    segment_age_s: float = 600.0
    fsync: Fsync = Fsync.INTERVAL
    fsync_interval_s: float = 0.5
    queue_bytes: int = 16 * 1024 * 1024
    most_bytes: int = 5 * 1024 * 1024 * 1024
    """Of all segments of the slot together: more is not written until somebody prunes."""
    gather_s: float = 0.05
    """How long records are gathered before they are written together: what a kill may lose, and
    how often a thread wakes up, which costs as much as writing a hundred records."""

    @classmethod
    def of(cls, settings: JournalSettings, *, workers: int) -> WriterLimits:
        """What each of so many workers may take.

        Its share of `retain`, and a quarter more: the controller prunes down to the share, and a
        worker must not stop between two of its rounds.
        """
        return cls(
            segment_bytes=settings.segment,
            segment_age_s=settings.segment_age,
            fsync=settings.fsync,
            fsync_interval_s=settings.fsync_interval,
            queue_bytes=settings.queue,
            most_bytes=settings.retain * 5 // (4 * workers),
        )
