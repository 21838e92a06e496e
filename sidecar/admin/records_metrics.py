"""The books as Prometheus families: what became of every exchange, and what the journal takes.

The states of `sidecar_records_total` add up to the exchanges that were counted, but for those that
still wait in a worker (`sidecar_records_in_memory`).

Must not know: HTTP, files.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidecar.control.recording import Recording
from sidecar.model import DropReason

_CELL = ("route", "model", "role")
STATES = ("logged", "sampled_out", "dropped", "lost_in_crash", "corrupt")


class RecordsMetrics(Collector):
    """Collects from the last balance, which is at most a second or two old."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def collect(self) -> Iterator[Metric]:
        """All families of recording."""
        records = CounterMetricFamily(
            "sidecar_records",
            "Exchanges by what became of their records.",
            labels=(*_CELL, "state", "reason"),
        )
        waiting = GaugeMetricFamily(
            "sidecar_records_in_memory",
            "Exchanges whose records are not in the journal yet.",
            labels=_CELL,
        )
        for key, books in self._recording.balance.books:
            cell = (key.route, key.model, key.role.value)
            records.add_metric((*cell, "logged", ""), books.logged)
            records.add_metric((*cell, "sampled_out", ""), books.sampled_out)
            records.add_metric((*cell, "corrupt", ""), books.corrupt)
            records.add_metric((*cell, "lost_in_crash", ""), books.lost_in_crash)
            for reason in DropReason:
                count = books.dropped.get(reason, 0)
                records.add_metric((*cell, "dropped", reason.value), count)
            waiting.add_metric(cell, max(books.in_memory, 0))
        yield records
        yield waiting
        retention = self._recording.retention
        yield GaugeMetricFamily(
            "sidecar_journal_bytes", "What the journal takes on disk.", value=retention.held_bytes
        )
        yield GaugeMetricFamily(
            "sidecar_journal_segments", "Files of the journal.", value=retention.segments
        )
        yield CounterMetricFamily(
            "sidecar_journal_removed_segments",
            "Files that were removed, as nobody needed them or there was too much.",
            value=retention.removed,
        )
        yield GaugeMetricFamily(
            "sidecar_books_complete",
            "1 when the books were made of all that is in the journal.",
            value=int(self._recording.balance.complete),
        )
