"""Brings failed deliveries to their sink again, in batches, with the ids they had.

Its pump does that, between batches of its own: a sink has one writer. A batch that is refused as a
whole is halved until the culprits are alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sidecar.delivery.caller import CallOutcome
from sidecar.delivery.dead_letters.jobs import Fate, Outcome
from sidecar.delivery.dead_letters.letters import Content
from sidecar.delivery.dead_letters.targets import OutOfReach
from sidecar.delivery.sink import Delivered, Item, Refused, Unavailable
from sidecar.model import CellKey, Role

Redeliver = Callable[[str, Sequence[Item]], Awaitable[CallOutcome]]
"""Brings a batch to the sink of this name. May be cancelled."""


class SinkTarget:
    """One sink. `timeout_s` is for a batch, the wait for its pump included."""

    def __init__(self, sink: str, redeliver: Redeliver, *, timeout_s: float) -> None:
        self.name = f"sink {sink}"
        self._sink = sink
        self._redeliver = redeliver
        self._timeout_s = timeout_s

    async def send(self, letters: Sequence[Content]) -> list[Outcome]:
        """Bring them in one batch; in smaller ones if it is refused. Raises OutOfReach."""
        outcome = await self._deliver([_item(one) for one in letters])
        if isinstance(outcome, Delivered):
            refused = dict(outcome.refused)
            return [
                _failed(one, refused[place]) if place in refused else _replayed(one)
                for place, one in enumerate(letters)
            ]
        if isinstance(outcome, Refused):
            if len(letters) == 1:
                return [_failed(letters[0], outcome.reason)]
            half = len(letters) // 2
            settled = await self.send(letters[:half])
            try:
                return settled + await self.send(letters[half:])
            except OutOfReach as error:
                raise OutOfReach(error.reason, settled=[*settled, *error.settled]) from None
        settled = [_failed(letters[place], why) for place, why in outcome.refused]
        settled += [_replayed(letters[place]) for place in outcome.taken]
        raise OutOfReach(outcome.reason, settled=settled)

    async def close(self) -> None:
        """Nothing is held."""

    async def _deliver(self, batch: Sequence[Item]) -> CallOutcome:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._redeliver(self._sink, batch)
        except TimeoutError:
            return Unavailable(f"no answer within {self._timeout_s:g} s")


def _item(content: Content) -> Item:
    letter, record, payload = content.letter, content.record, content.encoded
    if record is None or payload is None:
        raise ValueError("nothing to send")  # such letters are refused before
    return Item(
        id=letter.record_id,
        record=record,
        payload=payload,
        cell=CellKey(route=letter.route, model=letter.model, role=Role(letter.role)),
    )


def _replayed(content: Content) -> Outcome:
    return Outcome(letter=content.letter.id, fate=Fate.REPLAYED)


def _failed(content: Content, why: str) -> Outcome:
    return Outcome(letter=content.letter.id, fate=Fate.FAILED_AGAIN, note=why)
