"""How one sink is served: the size of its batches and the patience with it."""

from __future__ import annotations

from typing import Self

from msgspec import Struct

from sidecar.config.sinks import SinkSettings
from sidecar.delivery.retries import RetryPolicy


class PumpPolicy(Struct, frozen=True, kw_only=True):
    """Batches, deadlines, and how often is looked and written. Durations in seconds.

    A batch is sent when it has `batch_records`, or `batch_bytes` as the journal holds them, or when
    its first record has waited `batch_age_s`. `timeout_s` is the deadline of one attempt. When the
    pump is ended, an attempt under way has `grace_s`, and so have saving and closing after it: the
    launcher waits for 3 s. `poll_s` is the pause between looks into a journal that had nothing new;
    `save_s` the time between two savings of the cursor: what is delivered again after a crash.
    """

    batch_records: int = 500
    batch_bytes: int = 1024 * 1024
    batch_age_s: float = 1.0
    timeout_s: float = 10.0
    grace_s: float = 1.0
    poll_s: float = 0.1
    save_s: float = 1.0
    retry: RetryPolicy = RetryPolicy()

    @classmethod
    def of(cls, settings: SinkSettings) -> Self:
        """As the configuration wants it."""
        return cls(
            batch_records=settings.batch_records,
            batch_bytes=settings.batch_bytes,
            batch_age_s=settings.batch_age,
            timeout_s=settings.timeout,
            poll_s=min(max(settings.batch_age / 4, 0.01), 0.25),
            retry=RetryPolicy(
                first_s=settings.retry.first,
                longest_s=settings.retry.longest,
                deadline_s=settings.retry.deadline,
            ),
        )
