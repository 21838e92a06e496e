"""Brings failed deliveries to their sink again, in batches, with the ids they had.

The sink is one of its own, beside the pump's: what it does with a replay does not hold up what is
new. A batch that is refused as a whole is halved until the culprits are alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from sidecar.delivery.caller import Caller, CallOutcome
from sidecar.delivery.dead_letters.jobs import Fate, Outcome
from sidecar.delivery.dead_letters.letters import Content
from sidecar.delivery.dead_letters.targets import OutOfReach
from sidecar.delivery.sink import Delivered, Item, Refused, Sink
from sidecar.model import CellKey, Role

GRACE_S: Final = 1.0
"""How long a batch may still finish when the process ends; what it has taken is not sent again."""


class SinkTarget:
    """One sink, which has not been opened yet. `timeout_s` is for a batch."""

    def __init__(self, name: str, sink: Sink, *, timeout_s: float) -> None:
        self.name = f"sink {name}"
        self._caller = Caller(name, sink, timeout_s=timeout_s, grace_s=GRACE_S)
        self._one_at_a_time = asyncio.Lock()

    async def send(self, letters: Sequence[Content]) -> list[Outcome]:
        """Bring them in one batch; in smaller ones if it is refused. Raises OutOfReach."""
        async with self._one_at_a_time:
            outcomes = await self._send(letters)
            try:
                await self._caller.flush()
            except OSError as error:
                raise OutOfReach(str(error)) from error
            return outcomes

    async def close(self) -> None:
        """Let go of the sink."""
        await self._caller.close()

    async def _send(self, letters: Sequence[Content]) -> list[Outcome]:
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
            settled = await self._send(letters[:half])
            try:
                return settled + await self._send(letters[half:])
            except OutOfReach as error:
                raise OutOfReach(error.reason, settled=[*settled, *error.settled]) from None
        settled = [_failed(letters[place], why) for place, why in outcome.refused]
        settled += [_replayed(letters[place]) for place in outcome.taken]
        raise OutOfReach(outcome.reason, settled=settled)

    async def _deliver(self, batch: Sequence[Item]) -> CallOutcome:
        outcomes: list[CallOutcome] = []
        async with asyncio.TaskGroup() as tasks:
            await self._caller.deliver(batch, tasks, outcomes.append)
        return outcomes[0]


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
