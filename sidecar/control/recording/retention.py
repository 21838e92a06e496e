"""Removes segments: those that nobody needs any more, and those beyond the bounds.

A record that is removed before a sink took it is counted as that sink's `expired`, and the sink's
place is saved behind it before the file goes (`Pump.let_go`): a process that dies in between has
lost nothing that is not counted.

Must not know: why a sink has not taken a record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sidecar.config.recording import JournalSettings
from sidecar.delivery.pump import Pump
from sidecar.errors import SidecarError
from sidecar.journal import (
    Bounds,
    Plan,
    Position,
    Segment,
    compress,
    needs,
    plan_retention,
    remove,
    survey,
)
from sidecar.journal.segments import COMPRESSED

COMPRESS_AT_ONCE: Final = 4
"""Segments; each takes a core for a fraction of a second."""

log: Final = logging.getLogger("sidecar.recording")


class Retention:
    """Tends one journal. `wall_ns` is the wall clock.

    `removed` counts segments since the start, `held_bytes` is what all take now.
    """

    def __init__(
        self,
        directory: Path,
        settings: JournalSettings,
        *,
        workers: int,
        wall_ns: Callable[[], int],
    ) -> None:
        self.removed = 0
        self.held_bytes = 0
        self.segments = 0
        self._directory = directory
        self._bounds = Bounds.of(settings, workers=workers)
        self._compress = settings.compress
        self._wall_ns = wall_ns
        self._refused = False

    async def tend(self, pumps: Sequence[Pump], others: Sequence[Position]) -> None:
        """Look once. `others` are places of those who only look: what they miss they count."""
        try:
            positions = [*(pump.position for pump in pumps), *others]
            plan = await asyncio.to_thread(self._plan, positions)
            # What nobody needs goes first: on a full disk there may be no room to save a place.
            await asyncio.to_thread(self._remove, plan.free)
            for segment in plan.expired:
                for pump in pumps:
                    if needs(segment, pump.position):
                        await pump.let_go(segment)
                await asyncio.to_thread(self._remove, [segment])
            if self._compress:
                await asyncio.to_thread(self._compress_closed)
        except (OSError, SidecarError) as error:
            if not self._refused:
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "the journal cannot be tidied up", extra={"reason": str(error)}
                )
            self._refused = True
            return
        self._refused = False

    def _plan(self, positions: Sequence[Position]) -> Plan:
        segments = survey(self._directory)
        self.segments = len(segments)
        self.held_bytes = sum(one.size_bytes for one in segments)
        return plan_retention(segments, positions, self._bounds, self._wall_ns())

    def _remove(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            remove(self._directory, segment, self._wall_ns)
            self.removed += 1
            self.segments -= 1
            self.held_bytes -= segment.size_bytes

    def _compress_closed(self) -> None:
        """Compress a few segments that are closed; the rest at the next look."""
        waiting = [
            one
            for one in survey(self._directory)
            if not (one.open or one.last or one.path.name.endswith(COMPRESSED))
        ]
        for segment in waiting[:COMPRESS_AT_ONCE]:
            self.held_bytes -= compress(segment)
