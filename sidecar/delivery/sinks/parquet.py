"""Records as Parquet files that DuckDB, Spark, Ray and pyarrow read as one table.

    date=2025-01-31/model=stable/part-<id of the first record>-<digest of all ids>.parquet

Of each batch there is one file for every date (UTC, of the request) and model in it. Its name
follows from the records that are in it, so:

- A batch that is brought again replaces its files instead of adding to them.
- A file is never replaced by one with other records. When a batch is cut differently the second
  time, after a crash, there are two files, and records that are in both have equal ids.

Batches are larger and older than other sinks' (`ParquetSink` in the configuration): a file per
second would make every query slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from sidecar.config.sinks import ParquetSink as ParquetSettings
from sidecar.delivery.sink import Delivered, Item, Refused, Unavailable
from sidecar.delivery.sinks.lines import Thread
from sidecar.delivery.sinks.parquet_table import ParquetTable, Unwritable
from sidecar.delivery.sinks.places import LocalPlace, Place, S3Place, is_s3
from sidecar.delivery.sinks.registry import Surroundings
from sidecar.records import RecordError
from sidecar.records.codec import time_text

_DIGEST_BYTES: Final = 6
_DATE: Final = len("2025-01-31")


class Part(Struct, frozen=True):
    """One file: where it belongs, what it holds, and which records of the batch those are."""

    key: str
    content: bytes
    places: tuple[int, ...]


class ParquetSink:
    """One directory or prefix."""

    def __init__(self, settings: ParquetSettings, surroundings: Surroundings) -> None:
        self._table = ParquetTable(settings.compression)
        self._thread = Thread(f"sink-{settings.name}")
        self._place: Place = (
            S3Place(
                settings.path,
                settings.s3,
                timeout_s=settings.timeout,
                environ=surroundings.environ,
            )
            if is_s3(settings.path)
            else LocalPlace(Path(settings.path), self._thread)
        )

    async def open(self) -> None:
        """Make the directory, or the client. Raises Unavailable."""
        await self._place.open()

    async def deliver(self, batch: Sequence[Item]) -> Delivered:
        """Put a file for each date and model. Raises Refused (nothing was put), Unavailable."""
        try:
            parts = await self._thread.call(lambda: self._parts(batch))
        except (Unwritable, RecordError) as error:
            raise Refused(str(error)) from None
        taken: list[int] = []
        for part in parts:
            try:
                await self._place.put(part.key, part.content)
            except Unavailable as outcome:
                raise Unavailable(outcome.reason, taken=taken) from None
            taken += part.places
        return Delivered()

    async def close(self) -> None:
        """Let go of the client and the thread."""
        await self._place.close()
        self._thread.close()

    def _parts(self, batch: Sequence[Item]) -> list[Part]:
        groups: dict[str, list[int]] = {}
        for place, item in enumerate(batch):
            groups.setdefault(partition_of(item), []).append(place)
        parts = [
            Part(
                f"{partition}/{name_of([batch[place].id for place in places])}",
                self._table.file_of([batch[place].record for place in places]),
                tuple(places),
            )
            for partition, places in groups.items()
        ]
        self._table.release()
        return parts


def partition_of(item: Item) -> str:
    """The directory of a record, as Hive names partitions."""
    date = time_text(item.record.at_ns)[:_DATE]
    return f"date={date}/model={quote(item.record.model, safe='')}"


def name_of(ids: Sequence[str]) -> str:
    """The file of records with these ids: equal for equal ids, and only for them."""
    digest = blake2b("\n".join(ids).encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"part-{ids[0]}-{digest}.parquet"
