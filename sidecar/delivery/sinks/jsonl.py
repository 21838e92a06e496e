"""Records into files, a line of JSON each (docs/record.schema.json): the sink that needs nothing.

Lines are written when a batch is confirmed; the system has them then, and a process that is killed
takes none along. They are forced to the disk before the cursor moves (`flush`), and with `fsync`
before each batch is confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sidecar.config.sinks import JsonlSink as JsonlSettings
from sidecar.delivery.sink import Delivered, Item, Unavailable
from sidecar.delivery.sinks.lines import Thread, lines_of
from sidecar.delivery.sinks.registry import Surroundings
from sidecar.delivery.sinks.rotation import RotatingFiles, Rotation

T = TypeVar("T")


class JsonlSink:
    """The files in one directory."""

    def __init__(self, settings: JsonlSettings, surroundings: Surroundings) -> None:
        self._directory = Path(settings.path)
        self._fsync = settings.fsync
        self._files = RotatingFiles(
            self._directory,
            Rotation(
                size_bytes=settings.rotate, age_s=settings.rotate_age, keep_bytes=settings.keep
            ),
            wall_ns=surroundings.wall_ns,
        )
        self._thread = Thread(f"sink-{settings.name}")

    async def open(self) -> None:
        """Make the directory, or go on with the newest file in it. Raises Unavailable."""
        await self._do(self._files.open)

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        """Append the records. Raises Unavailable; then none of them was written."""
        return await self._do(lambda: self._append(batch))

    async def flush(self) -> None:
        """Force what was confirmed to the disk. Raises Unavailable."""
        await self._do(self._files.flush)

    async def close(self) -> None:
        """Force everything to the disk, and let go of the directory. Raises Unavailable."""
        try:
            await self._do(self._files.close)
        finally:
            self._thread.close()

    def _append(self, batch: Sequence[Item]) -> Delivered:
        lines = lines_of(batch)
        if lines.content:
            self._files.append(lines.content)
        if self._fsync:
            self._files.flush()
        return Delivered(refused=lines.refused)

    async def _do(self, function: Callable[[], T]) -> T:
        try:
            return await self._thread.call(function)
        except BlockingIOError:
            raise Unavailable(f"another process writes into {self._directory}") from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Unavailable(f"{self._directory} cannot be written: {why}") from None
