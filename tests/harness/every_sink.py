"""A sink of every kind with the real server that it brings records to, each of which can go down.

files     jsonl     a directory: it is always there
kafka     kafka     a broker (tansu); `down` breaks its connections off and refuses new ones
nats      nats      a server with JetStream; `down` kills it, its stream stays on the disk
lake      parquet   an S3 server (moto); `down` hangs it: it accepts and never answers
events    http      a receiver of CloudEvents; `down` stops it
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from harness import jetstream, moto, tansu
from harness.event_receiver import EventReceiver
from harness.waiting import free_port
from sidecar.records import Record

SERVERS = ("kafka", "nats", "lake", "events")
SINKS = ("files", *SERVERS)


class Identity(NamedTuple):
    """By which a record that came twice is told from two records of one exchange."""

    id: str
    request_id: str
    role: str


class Programs(NamedTuple):
    """Where the servers' programs are."""

    tansu: Path
    nats: Path
    moto: Path


class EverySink:
    """Servers that run between `with` and its end; what stands between them on a thread of its own.

    `sinks` is the configuration of all five, `environ` what they need in their environment.
    """

    environ = moto.KEYS

    def __init__(self, programs: Programs, folder: Path) -> None:
        self.receiver = EventReceiver()
        self.receiver.port = free_port()  # known before it listens
        self._programs = programs
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="every-sink")
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._wait_for(self._start())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._wait_for(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        enter, folder = self._stack.enter_async_context, self._folder
        self.kafka, self._to_kafka = await enter(
            tansu.tansu(self._programs.tansu, free_port(), free_port(), folder)
        )
        self.nats = jetstream.nats_server(self._programs.nats, free_port(), folder)
        self._stack.enter_context(self.nats)
        self.s3, self._to_s3 = await enter(
            moto.moto(self._programs.moto, free_port(), free_port(), folder)
        )
        self._stack.enter_context(self.receiver)

    @property
    def sinks(self) -> list[dict[str, Any]]:
        """Less patient than they are by default, and with smaller batches."""
        hasty = {
            "batch_age": "200ms",
            "batch_records": 500,
            "timeout": "1s",
            "retry": {"first": "50ms", "longest": "500ms"},
        }
        kinds: list[dict[str, Any]] = [
            {"name": "files", "type": "jsonl", "path": str(self.directory)},
            {
                "name": "kafka",
                "type": "kafka",
                "brokers": [self._to_kafka.address],
                "topic": tansu.TOPIC,
            },
            {
                "name": "nats",
                "type": "nats",
                "url": f"nats://{self.nats.address}",
                "subject": "records.{route}.{model}",
                "stream": jetstream.STREAM,
                "create": True,
            },
            {
                "name": "lake",
                "type": "parquet",
                "path": f"s3://{moto.BUCKET}/log",
                "s3": moto.access(self._to_s3.address),
            },
            {"name": "events", "type": "http", "url": self.receiver.url},
        ]
        return [hasty | kind for kind in kinds]

    @property
    def directory(self) -> Path:
        """That of the files."""
        return self._folder / "files"

    def down(self, server: str) -> None:
        """Take a server away."""
        match server:
            case "kafka":
                self._wait_for(self._to_kafka.cut())
            case "nats":
                self.nats.kill()
            case "lake":
                self.s3.pause()
            case "events":
                self.receiver.stop()

    def up(self, server: str) -> None:
        """Bring it back."""
        match server:
            case "kafka":
                self._wait_for(self._to_kafka.mend())
            case "nats":
                self.nats.start()
            case "lake":
                self.s3.resume()
            case "events":
                self.receiver.start()

    def held(self, least: int) -> dict[str, Counter[Identity]]:
        """What each sink has, and how often; there are at least so many records in each."""
        messages = self._wait_for(tansu.messages(self._to_kafka.address, least))
        streamed = self._wait_for(jetstream.messages(self.nats))
        lines = (path.read_text().splitlines() for path in self.directory.glob("*.jsonl"))
        return {
            "files": _identities(json.loads(line) for some in lines for line in some),
            "kafka": _identities(json.loads(one.value) for one in messages),
            "nats": _identities(json.loads(one.data) for one in streamed),
            "lake": _identities(moto.rows(moto.files(self.s3), *Identity._fields)),
            "events": _identities(
                event["data"] for one in self.receiver.requests for event in json.loads(one.body)
            ),
        }

    def _wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


def identity(record: Record) -> Identity:
    """Of a record in the journal."""
    return Identity(record.id, record.request_id, record.role.value)


def _identities(documents: Iterable[dict[str, Any]]) -> Counter[Identity]:
    return Counter(Identity(*(one[name] for name in Identity._fields)) for one in documents)
