"""A worker's logbook and the journal behind it: made when the worker starts, written to the end.

From here on this process is the run that counts for its slot: what the run before it owed is
written down on the board first (`sidecar.board.accounts`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from functools import partial
from pathlib import Path
from typing import Final

from sidecar.app.inheritance import Inheritance
from sidecar.board import Recorder
from sidecar.control.recording import boot_of
from sidecar.journal import Writer, WriterLimits
from sidecar.logbook import Composer, Logbook, RecordIds, Subjects, redactor_of
from sidecar.proxy.chunked import payload_of

CLOSE_TIMEOUT_S: Final = 2.0
"""What the disk gets to take the last records; the launcher waits longer (`launcher.GRACE_S`)."""

_RUN_BITS: Final = 63

log: Final = logging.getLogger("sidecar.worker")


class OpenLogbook:
    """One worker's; `close` when its last exchange is over."""

    def __init__(self, logbook: Logbook, writer: Writer, recorder: Recorder) -> None:
        self.logbook = logbook
        self._writer = writer
        self._recorder = recorder

    @classmethod
    def open(cls, inherited: Inheritance, index: int, recorder: Recorder) -> OpenLogbook | None:
        """Take over the slot of worker `index`; None when nothing is to be recorded."""
        settings = inherited.settings
        if not settings.journal.enabled:
            return None
        chance = random.SystemRandom()
        run = chance.getrandbits(_RUN_BITS) or 1
        inherited.board.take_over(index, run)
        writer = Writer(
            Path(settings.journal_directory),
            index,
            boot_of(inherited.board_id, run),
            WriterLimits.of(settings.journal, workers=settings.workers),
            wall_ns=time.time_ns,
        )
        loop = asyncio.get_running_loop()
        logbook = Logbook(
            recorder,
            writer,
            Composer(index, RecordIds(chance.getrandbits)),
            subjects=Subjects(
                partial(redactor_of, settings.redact, inherited.redaction_key),
                full_body=int(settings.dead_letters.full_body),
                dechunk=payload_of,
            ),
            salt=chance.getrandbits(32),
            clock_ns=time.perf_counter_ns,
            wall_ns=time.time_ns,
            soon=loop.call_soon,
            later=loop.call_later,
        )
        return cls(logbook, writer, recorder)

    async def close(self) -> None:
        """Write what waits, as far as the disk takes it, and count what it does not."""
        self.logbook.catch_up()
        if not await asyncio.to_thread(self._writer.close, CLOSE_TIMEOUT_S):
            log.error("the journal could not be written to its end")
        self.logbook.tick()
        self._recorder.flush()
