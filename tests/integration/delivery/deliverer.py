"""A small controller that only delivers: one pump from a journal to a sink, until it is ended.

python deliverer.py JOURNAL CURSOR FILES-OR-URL
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from pathlib import Path

from harness.delivering import HASTY, Kept, pump_of

from sidecar.config.sinks import HttpSink as HttpSettings
from sidecar.config.sinks import JsonlSink as JsonlSettings
from sidecar.config.units import Size
from sidecar.delivery import JournalSource
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.journal import Cursor


async def main(journal: str, cursor: str, destination: str) -> None:
    if destination.startswith("http"):
        settings = HttpSettings(name="events", url=destination)
    else:
        settings = JsonlSettings(name="files", path=destination, rotate=Size(200_000))
    surroundings = Surroundings(environ={}, wall_ns=time.time_ns, chance=random.random)
    source = JournalSource(Path(journal), Cursor(Path(cursor)))
    pump = pump_of(sink_for(settings, surroundings), source, letters=Kept(), policy=HASTY)
    running = asyncio.ensure_future(pump.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    print("delivers", flush=True)
    await asyncio.wait({running})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
