"""Clients that ask about loans at a steady rate, and count what they get.

Whatever the rate, one lap through the rows takes a minute, so that one can watch what changes in
them: evenly spaced rows are asked about, in time order. Request `i` is due at `start + i / rate`;
a few clients share the schedule, so a slow answer delays others only when all of them wait. What
the clients saw is the check on what the sidecar reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import msgspec

from sidecar.demo.dataset import FEATURES, Row
from sidecar.demo.open_inference import InferRequest, Tensor, write

_CLIENTS = 16
_PATIENCE_S = 10.0
LAP_S = 60.0
_PEOPLE = 5_000
"""Applicants come back: so many different values of the sticky header."""


class _Answer(msgspec.Struct):
    """The part of an answer that is checked."""

    id: str


_answers = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the rows: laps count from 1, rows from 0."""

    lap: int
    row: int
    rows: int


@dataclass(slots=True)
class Seen:
    """What the clients saw: answers by model, failures by reason."""

    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """All that were sent and came to an end."""
        return self.answered.total() + self.failed.total()


class Traffic:
    """A steady stream of single-row requests, lap after lap."""

    def __init__(self, rows: Sequence[Row], *, rate: float) -> None:
        self.seen = Seen()
        self._rows = rows
        self._rate = rate
        # Never below one, or rows would be asked about twice; laps are shorter then.
        self._step = max(1.0, len(rows) / (rate * LAP_S))
        self._numbers = itertools.count()
        self._newest = 0

    @property
    def place(self) -> Place:
        """How far the newest request is."""
        laps, row = divmod(int(self._newest * self._step), len(self._rows))
        return Place(lap=laps + 1, row=row, rows=len(self._rows))

    async def run(self, url: str, until: asyncio.Event) -> None:
        """Ask until the event is set, then finish what was asked."""
        start = asyncio.get_running_loop().time()
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            asyncio.TaskGroup() as clients,
        ):
            for number in range(_CLIENTS):
                clients.create_task(
                    self._client(session, url, start, until), name=f"client {number}"
                )

    async def _client(
        self, session: aiohttp.ClientSession, url: str, start: float, until: asyncio.Event
    ) -> None:
        clock = asyncio.get_running_loop().time
        for number in self._numbers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), start + number / self._rate - clock())
            if until.is_set():
                return
            self._newest = max(self._newest, number)
            row = self._rows[int(number * self._step) % len(self._rows)]
            await self._ask(session, url, number, row)

    async def _ask(self, session: aiohttp.ClientSession, url: str, number: int, row: Row) -> None:
        request_id = f"loan-{number}"
        headers = {"content-type": "application/json", "x-user-id": f"applicant-{number % _PEOPLE}"}
        try:
            async with session.post(
                url, data=question(request_id, row), headers=headers
            ) as response:
                body = await response.read()
                if response.status != 200:
                    self.seen.failed[f"status {response.status}"] += 1
                elif _answers.decode(body).id != request_id:
                    self.seen.failed["someone else's answer"] += 1
                else:
                    self.seen.answered[response.headers.get("x-sidecar-model", "unnamed")] += 1
        except TimeoutError:
            self.seen.failed["timeout"] += 1
        except aiohttp.ClientError:
            self.seen.failed["connection"] += 1
        except msgspec.DecodeError:
            self.seen.failed["not an answer"] += 1


def question(request_id: str, row: Row) -> bytes:
    """Return the request that asks about one loan: one named input per feature."""
    inputs = [
        Tensor(name=feature.name, shape=(1,), datatype=feature.datatype, data=[row[feature.name]])
        for feature in FEATURES
    ]
    return write(InferRequest(id=request_id, inputs=inputs))
