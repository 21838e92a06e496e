"""A real NATS server with JetStream, and what its stream RECORDS holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nats

from harness.broker import Broker

STREAM = "RECORDS"


def nats_server(program: Path, port: int, folder: Path, *words: object) -> Broker:
    """A server that keeps its streams on disk; further words of its command line."""
    streams = folder / "jetstream"
    command = [program, "-a", "127.0.0.1", "-p", port, "-js", "-sd", streams, *words]
    return Broker(command, port, folder)


async def make_stream(server: Broker, **settings: Any) -> None:
    """Make the stream, which takes `records.>`."""
    connection = await nats.connect(f"nats://{server.address}")
    await connection.jetstream().add_stream(name=STREAM, subjects=["records.>"], **settings)
    await connection.close()


async def messages(server: Broker, **options: Any) -> list[Any]:
    """All that the stream holds, in its order."""
    connection = await nats.connect(f"nats://{server.address}", **options)
    try:
        stream = connection.jetstream()
        count = (await stream.stream_info(STREAM)).state.messages
        reader = await stream.pull_subscribe("", stream=STREAM)
        found = []
        while len(found) < count:
            for message in await reader.fetch(min(count - len(found), 500), timeout=10):
                await message.ack()
                found.append(message)
        return found
    finally:
        await connection.close()
