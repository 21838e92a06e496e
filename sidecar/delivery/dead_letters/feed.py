"""Gives the letters of a job to those who replay them, each to one, in the order of arrival.

A portion is one failed prediction, or some failed deliveries of the same sink that follow each
other. Only ids are held, a page of them at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from sidecar.delivery.dead_letters.job_store import JobStore
from sidecar.delivery.dead_letters.jobs import Due, Job
from sidecar.delivery.dead_letters.letters import DeadLetterClass

PAGE: Final = 256

PORTION_LETTERS: Final = 100
PORTION_BYTES: Final = 1024 * 1024
"""A batch for a sink: so many letters, or somewhat more than so many bytes."""


class Feed:
    """The letters of one job that are not dealt with yet."""

    def __init__(self, jobs: JobStore, job: Job) -> None:
        self._jobs = jobs
        self._job = job
        self._turn = asyncio.Lock()
        self._read_to = job.done_to
        self._ahead: deque[Due] = deque()
        self._given: set[int] = set()
        self._ended = False
        self.stopped = False

    @property
    def done_to(self) -> int:
        """Every letter up to this id has been dealt with."""
        first = min(self._given, default=self._ahead[0].letter if self._ahead else None)
        return self._read_to if first is None else first - 1

    async def next(self) -> list[Due]:
        """The next portion; empty when there are no more. Raises StoreUnavailable."""
        async with self._turn:
            if not self._ahead and not self._ended:
                page = await self._jobs.due(self._job, after=self._read_to, limit=PAGE)
                self._ahead.extend(page)
                self._read_to = page[-1].letter if page else self._read_to
                self._ended = len(page) < PAGE
            return self._portion()

    def stop(self) -> None:
        """Give no more."""
        self.stopped = self._ended = True
        self._ahead.clear()

    def done(self, letters: Iterable[int]) -> None:
        """These are dealt with."""
        self._given.difference_update(letters)

    def _portion(self) -> list[Due]:
        portion: list[Due] = []
        size_bytes = 0
        while self._ahead:
            one = self._ahead[0]
            if portion and (
                one.class_ is DeadLetterClass.PREDICTION_FAILED
                or (one.class_, one.sink) != (portion[0].class_, portion[0].sink)
                or len(portion) == PORTION_LETTERS
                or size_bytes >= PORTION_BYTES
            ):
                break
            portion.append(self._ahead.popleft())
            size_bytes += one.size_bytes
        self._given.update(one.letter for one in portion)
        return portion
