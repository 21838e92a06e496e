"""Makes tansu serve aiokafka's idempotent producers: one request is raised to a later version.

aiokafka asks for a producer id in version 0 of InitProducerId (KIP-98), which tansu 0.6 answers
with an error on its storage in memory; it serves version 4 (KIP-360, KIP-482). The relay carries
the question and the answer over from one to the other. Everything else passes as it is: sequence
numbers are the client's own, and the broker's.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

from harness.relay import Relay, Streams, until_either_ends

INIT_PRODUCER_ID = 22
RAISED_VERSION = 4

_HEAD = struct.Struct(">hhih")  # key, version, correlation id, length of the client id
_LENGTH = struct.Struct(">i")
_NO_TAGS = b"\0"


def raised(request: bytes) -> bytes:
    """InitProducerId v0 as v4: flexible, with the producer id and epoch that nobody has yet."""
    _, _, correlation, client_length = _HEAD.unpack_from(request)
    at = _HEAD.size + max(client_length, 0)
    client = request[_HEAD.size : at]
    (length,) = struct.unpack_from(">h", request, at)
    name = request[at + 2 : at + 2 + max(length, 0)]
    timeout_ms = request[-4:]
    head = _HEAD.pack(INIT_PRODUCER_ID, RAISED_VERSION, correlation, client_length)
    compact_name = bytes([length + 1]) + name  # 0 stands for none; short names only
    nobody = struct.pack(">qh", -1, -1)
    return head + client + _NO_TAGS + compact_name + timeout_ms + nobody + _NO_TAGS


def lowered(response: bytes) -> bytes:
    """An answer to that as v0: without tags."""
    return response[:4] + response[5 : 5 + 16]


async def _carry(client: Streams, server: Streams) -> None:
    asked: set[bytes] = set()

    async def questions() -> None:
        async for frame in _frames(client[0]):
            key, version, *_ = _HEAD.unpack_from(frame)
            if (key, version) == (INIT_PRODUCER_ID, 0):
                asked.add(frame[4:8])
                frame = raised(frame)  # noqa: PLW2901
            await _write(server[1], frame)

    async def answers() -> None:
        async for frame in _frames(server[0]):
            await _write(client[1], lowered(frame) if frame[:4] in asked else frame)

    await until_either_ends(questions(), answers())


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        yield await reader.readexactly(length)


async def _write(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(_LENGTH.pack(len(frame)) + frame)
    await writer.drain()


def kafka_relay(target_port: int, port: int) -> Relay:
    """A relay before a tansu that advertises `port`."""
    return Relay(target_port, port, _carry)
