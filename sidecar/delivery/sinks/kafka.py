"""Records into a topic of Kafka: one message each, acknowledged by all in-sync replicas.

    key        the request's id, so that a request's records (primary, shadows) share a partition
    value      the record's JSON
    timestamp  when the request began
    headers    the CloudEvents attributes (Kafka protocol binding 1.0.2): `ce_id`, `ce_model`, ...

The producer is idempotent (KIP-98): what it sends again by itself, after an answer that was lost,
the brokers drop. It never gives up by itself either, so:

- A message that was handed to it and not acknowledged in time is remembered by its record's id.
  When the pump brings the record again, that message is waited for, and no second one is sent.
- A message that failed leaves a gap in the producer's sequence numbers, and brokers would take
  nothing more of it. It is let go of; what it had not been answered for is sent anew by the next
  one, and may arrive twice, with equal ids.
- The brokers name no culprit when they refuse several messages at once: each is sent again alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from sidecar.config.sinks import KafkaSink as KafkaSettings
from sidecar.delivery.sink import Delivered, Item, Unavailable
from sidecar.delivery.sinks.envelope import JSON_TYPE, attributes
from sidecar.delivery.sinks.kafka_producer import explained, let_go, producer_options
from sidecar.delivery.sinks.libraries import library
from sidecar.delivery.sinks.registry import Surroundings
from sidecar.records import RecordError, to_json

MARGIN: Final = 0.9
"""The share of the pump's deadline after which is told what was taken; later nobody listens."""

MOST_REMEMBERED: Final = 20_000
"""Beyond so many, answers for records that nobody brought again (dead letters) are forgotten."""

_NS_PER_MS: Final = 1_000_000


class KafkaSink:
    """One topic."""

    def __init__(self, settings: KafkaSettings, surroundings: Surroundings) -> None:
        self._aiokafka = library("aiokafka", "kafka")
        self._errors = library("aiokafka.errors", "kafka")
        self._refusals = {
            self._errors.MessageSizeTooLargeError: "larger than the brokers or `max_message` allow",
            self._errors.RecordListTooLargeError: "larger than the brokers allow",
            self._errors.InvalidTimestampError: "the brokers refuse its timestamp",
            self._errors.PolicyViolationError: "against a policy of the brokers",
        }
        self._settings = settings
        self._surroundings = surroundings
        self._limit_s = MARGIN * settings.timeout
        self._producer: Any = None
        self._sent: dict[str, asyncio.Future[Any]] = {}
        # The library writes payloads at DEBUG, and above it a line for each of its attempts; that a
        # sink is not available is said once, by the pump.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    async def open(self) -> None:
        """Connect, and become a known producer. Raises Unavailable."""
        await self.close()
        environ = self._surroundings.environ
        options = await asyncio.to_thread(producer_options, self._settings, environ)
        producer = self._aiokafka.AIOKafkaProducer(**options)
        try:
            async with asyncio.timeout(self._limit_s):
                await producer.start()
        except BaseException as error:
            await let_go(producer)
            if isinstance(error, self._errors.KafkaError | OSError):  # TimeoutError is one
                raise Unavailable(explained(error, self._errors)) from None
            raise
        self._producer = producer

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        """Send what has not been sent, and wait until all is acknowledged. Raises Unavailable."""
        self._forget()
        account = _Account()
        try:
            async with asyncio.timeout(self._limit_s):
                await self._bring(batch, account)
                for suspect in account.suspects:
                    await self._bring([suspect], account)
        except TimeoutError as error:
            account.why = explained(error, self._errors)
        except Unavailable as outcome:
            account.why = outcome.reason
        self._settle(batch, account)
        refused = account.refused_places(batch)
        taken = [place for place, item in enumerate(batch) if item.id in account.taken]
        if len(taken) + len(refused) == len(batch):
            return Delivered(refused=refused)
        raise Unavailable(account.why, taken=taken, refused=refused)

    async def close(self) -> None:
        """Let go of the producer, and forget what it was not answered for."""
        producer, self._producer = self._producer, None
        self._sent.clear()
        if producer is not None:
            await let_go(producer)

    async def _bring(self, items: Sequence[Item], account: _Account) -> None:
        """Have the producer send them, wait for all answers, and enter them in the account."""
        if self._producer is None:
            await self.open()
        for item in items:
            if item.id in self._sent:
                continue
            try:
                await self._send(item)
            except RecordError as error:
                account.refused[item.id] = error.message
            except self._errors.MessageSizeTooLargeError as error:  # it was not sent: leaves no gap
                account.refused[item.id] = self._refusals[type(error)]
            except self._errors.KafkaError as error:
                account.why = explained(error, self._errors)
                account.gap = not error.retriable
                break
        under_way = [self._sent[item.id] for item in items if item.id in self._sent]
        if under_way:
            await asyncio.wait(under_way)
        self._settle(items, account)
        if account.gap:
            account.gap = False
            await self.close()

    async def _send(self, item: Item) -> None:
        record = item.record
        named = attributes(record, self._surroundings.source)
        headers = [(f"ce_{name}", value.encode()) for name, value in named.items()]
        self._sent[item.id] = await self._producer.send(
            self._settings.topic,
            to_json(record),
            key=record.request_id.encode(),
            timestamp_ms=record.at_ns // _NS_PER_MS,
            headers=[*headers, ("content-type", JSON_TYPE.encode())],
        )

    def _settle(self, items: Sequence[Item], account: _Account) -> None:
        """Enter the answers that are there."""
        for item in items:
            future = self._sent.get(item.id)
            if future is None or not future.done():
                continue
            del self._sent[item.id]
            error = future.exception()
            if error is None:
                account.taken.add(item.id)
                continue
            account.gap = True
            refusal = self._refusals.get(type(error))
            if refusal is None:
                account.why = explained(error, self._errors)
            elif len(items) == 1:
                account.refused[item.id] = refusal
            else:
                account.suspects.append(item)

    def _forget(self) -> None:
        if len(self._sent) > MOST_REMEMBERED:
            self._sent = {name: one for name, one in self._sent.items() if not one.done()}


class _Account:
    """What became of the records of one batch, by their ids.

    `suspects` were refused together with others; `gap`: the producer is of no more use.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.refused: dict[str, str] = {}
        self.suspects: list[Item] = []
        self.why = "not acknowledged"
        self.gap = False

    def refused_places(self, batch: Sequence[Item]) -> tuple[tuple[int, str], ...]:
        """As `Delivered` wants them."""
        return tuple(
            (place, self.refused[item.id])
            for place, item in enumerate(batch)
            if item.id in self.refused
        )
