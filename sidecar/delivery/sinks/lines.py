"""A batch as lines of JSON, and a thread to make and write them on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from msgspec import Struct

from sidecar.delivery.sink import Item
from sidecar.records import RecordError, to_json, to_json_lines

T = TypeVar("T")


class Lines(Struct, frozen=True):
    """Whole lines, and the records that have no JSON, with the reason."""

    content: bytes
    refused: tuple[tuple[int, str], ...]


def lines_of(batch: Sequence[Item]) -> Lines:
    """A line for each record, in order."""
    try:
        return Lines(to_json_lines([item.record for item in batch]), ())
    except RecordError:
        return _lines_one_by_one(batch)


def _lines_one_by_one(batch: Sequence[Item]) -> Lines:
    lines: list[bytes] = []
    refused: list[tuple[int, str]] = []
    for place, item in enumerate(batch):
        try:
            lines.append(to_json(item.record))
        except RecordError as error:
            refused.append((place, error.message))
    lines.append(b"")
    return Lines(b"\n".join(lines), tuple(refused))


class Thread:
    """One thread for calls that block.

    A call that is cancelled while it waits for the thread is not made. One that has begun goes on:
    it is not waited for, but those after it are not begun before it ends.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def call(self, function: Callable[[], T]) -> T:
        """What the function returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    def close(self) -> None:
        """No more calls; what has begun ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)
