"""Brings failed deliveries to their sink again, in batches, with the ids they had.

The sink is one of its own, beside the pump's: what a replay is refused does not hold up what is
new. A batch that is refused as a whole is halved until the culprits are alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from sidecar.delivery.dead_letters.jobs import Fate, Outcome
from sidecar.delivery.dead_letters.letters import Content
from sidecar.delivery.dead_letters.targets import OutOfReach
from sidecar.delivery.sink import Delivered, Flushing, Item, Refused, Sink, Unavailable
from sidecar.model import CellKey, Role

CLOSE_TIMEOUT_S: Final = 10.0

log: Final = logging.getLogger("sidecar.delivery")


class SinkTarget:
    """One sink, which has not been opened yet."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = f"sink {name}"
        self._sink = sink
        self._open = False
        self._one_at_a_time = asyncio.Lock()

    async def send(
        self,
        letters: Sequence[Content],
        *,
        job_id: str,  # noqa: ARG002 - sinks tell letters sent twice by their own ids
        timeout_s: float,
    ) -> list[Outcome]:
        """Bring them in one batch; smaller ones if it is refused. Raises OutOfReach."""
        async with self._one_at_a_time:
            return await self._send(letters, timeout_s)

    async def close(self) -> None:
        """Let go of the sink."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._sink.close()
        except TimeoutError:
            log.warning("a sink of a replay does not close", extra={"sink": self.name})
        except Exception:
            log.exception("a sink of a replay does not close", extra={"sink": self.name})

    async def _send(self, letters: Sequence[Content], timeout_s: float) -> list[Outcome]:
        try:
            delivered = await self._deliver(letters, timeout_s)
        except Refused as refused:
            if len(letters) == 1:
                return [_failed(letters[0], refused.reason)]
            half = len(letters) // 2
            outcomes = await self._send(letters[:half], timeout_s)
            try:
                return outcomes + await self._send(letters[half:], timeout_s)
            except OutOfReach as error:
                raise OutOfReach(error.reason, settled=[*outcomes, *error.settled]) from None
        except Unavailable as unavailable:
            self._open = False
            settled = [_failed(letters[place], why) for place, why in unavailable.refused]
            settled += [_replayed(letters[place]) for place in unavailable.taken]
            raise OutOfReach(unavailable.reason, settled=settled) from None
        except TimeoutError:
            self._open = False
            raise OutOfReach(f"no confirmation within {timeout_s:g} s") from None
        except Exception as error:
            self._open = False
            log.exception("a sink failed in a replay", extra={"sink": self.name})
            raise OutOfReach(f"internal error: {type(error).__name__}") from error
        refused_places = dict(delivered.refused)
        return [
            _failed(one, refused_places[place]) if place in refused_places else _replayed(one)
            for place, one in enumerate(letters)
        ]

    async def _deliver(self, letters: Sequence[Content], timeout_s: float) -> Delivered:
        async with asyncio.timeout(timeout_s):
            if not self._open:
                await self._sink.open()
                self._open = True
            delivered = await self._sink.deliver([_item(one) for one in letters])
            if isinstance(self._sink, Flushing):
                await self._sink.flush()
            return delivered


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
