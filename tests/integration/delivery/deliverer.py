"""A small controller that only delivers: one pump from a journal into files, until it is killed.

python deliverer.py JOURNAL CURSOR FILES
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path

from harness.delivering import HASTY, Kept, pump_of

from sidecar.config.sinks import JsonlSink as JsonlSettings
from sidecar.config.units import Size
from sidecar.delivery import JournalSource
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.journal import Cursor


async def main(journal: str, cursor: str, files: str) -> None:
    surroundings = Surroundings(environ={}, wall_ns=time.time_ns, chance=random.random)
    settings = JsonlSettings(name="files", path=files, rotate=Size(200_000))
    source = JournalSource(Path(journal), Cursor(Path(cursor)))
    pump = pump_of(sink_for(settings, surroundings), source, letters=Kept(), policy=HASTY)
    print("delivers", flush=True)
    await pump.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
