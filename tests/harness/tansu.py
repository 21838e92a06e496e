"""A real broker of Kafka's protocol (tansu) with a topic `records`, and what the topic holds."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from harness.broker import Broker
from harness.kafka_relay import kafka_relay
from harness.relay import Relay

TOPIC = "records"
PARTITIONS = 3


def tansu_broker(program: Path, port: int, advertised: int, folder: Path) -> Broker:
    """A broker that is not started yet, to be reached by a `kafka_relay` on `advertised`.

    It keeps everything in its memory.
    """
    command = [
        *(program, "broker"),
        *("--listener-url", f"tcp://127.0.0.1:{port}"),
        *("--advertised-listener-url", f"tcp://127.0.0.1:{advertised}"),
        *("--storage-engine", "memory://tansu/"),
    ]
    return Broker(command, port, folder)


@asynccontextmanager
async def tansu(
    program: Path, port: int, advertised: int, folder: Path
) -> AsyncIterator[tuple[Broker, Relay]]:
    """A broker with the topic, and the relay by which it is reached."""
    with tansu_broker(program, port, advertised, folder) as broker:
        async with kafka_relay(port, advertised) as relay:
            await make_topic(relay.address)
            yield broker, relay


async def make_topic(address: str) -> None:
    """Make the topic, which the broker does not yet have."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    await admin.close()


async def messages(address: str, least: int) -> list[Any]:
    """What the topic holds: at least so many, and then until nothing more comes."""
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=address, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        found = []
        deadline = time.monotonic() + 20
        while True:
            fetched = await consumer.getmany(timeout_ms=500)
            found += [one for partition in fetched.values() for one in partition]
            if not fetched and len(found) >= least:
                return found
            assert time.monotonic() < deadline, f"{len(found)} of {least} messages"
    finally:
        await consumer.stop()
