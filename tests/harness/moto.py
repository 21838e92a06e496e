"""A real S3 server (moto) with a bucket, and what the bucket holds."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import obstore
import pyarrow.parquet
from obstore.store import S3Store

from harness.broker import Broker
from harness.relay import Relay

BUCKET = "records"
REGION = "us-east-1"
KEYS = {"KEY_ID": "tests", "KEY": "s3cr3t"}
"""The environment that a sink finds its access key in."""


@asynccontextmanager
async def moto(
    program: Path, port: int, relayed: int, folder: Path
) -> AsyncIterator[tuple[Broker, Relay]]:
    """A server with the bucket, and the relay by which the sink reaches it."""
    command = [program, "-H", "127.0.0.1", "-p", port]
    with Broker(command, port, folder) as broker:
        make_bucket(broker)
        async with Relay(port, relayed) as relay:
            yield broker, relay


def make_bucket(broker: Broker, name: str = BUCKET) -> None:
    """Make a bucket, which is not there yet."""
    request = urllib.request.Request(f"http://{broker.address}/{name}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def access(address: str) -> dict[str, str]:
    """The sink's key `s3`: how the server is reached, with KEYS in the environment."""
    return {
        "region": REGION,
        "endpoint": f"http://{address}",
        "access_key_id_env": "KEY_ID",
        "secret_access_key_env": "KEY",
    }


def files(broker: Broker) -> dict[str, bytes]:
    """What the bucket holds, by key."""
    store = S3Store(
        BUCKET,
        region=REGION,
        endpoint=f"http://{broker.address}",
        access_key_id=KEYS["KEY_ID"],
        secret_access_key=KEYS["KEY"],
        client_options={"allow_http": True},
    )
    keys = [one["path"] for listed in obstore.list(store) for one in listed]
    return {key: bytes(obstore.get(store, key).bytes()) for key in keys}


def rows(found: dict[str, bytes], *columns: str) -> list[dict[str, Any]]:
    """The rows of Parquet files, with these columns of theirs."""
    tables = [
        pyarrow.parquet.ParquetFile(io.BytesIO(one)).read(list(columns)) for one in found.values()
    ]
    return [row for table in tables for row in table.to_pylist()]
