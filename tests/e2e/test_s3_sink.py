"""Records as Parquet in a real S3 server (moto) that stops, breaks off, and lacks a bucket."""

import io
import time
import urllib.request
from collections import Counter

import obstore
import pyarrow.parquet
import pytest
from harness.broker import Broker
from harness.delivering import CELLS, item
from harness.outage import pass_through_outage
from harness.relay import Relay
from obstore.store import S3Store

from sidecar.config.sinks import ParquetSink, S3Access
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for

BUCKET = "records"
SURROUNDINGS = Surroundings(
    environ={"KEY_ID": "tests", "KEY": "s3cr3t"}, wall_ns=time.time_ns, chance=lambda: 0.5
)
MOST_GROWTH_MIB = 20


@pytest.fixture
async def s3(environment, free_ports, tmp_path):
    """A server with a bucket, and the relay by which the sink reaches it."""
    port, relayed = free_ports(2)
    command = [environment("moto") / "moto_server", "-H", "127.0.0.1", "-p", port]
    with Broker(command, port, tmp_path) as broker:
        make_bucket(broker)
        async with Relay(port, relayed) as relay:
            yield broker, relay


@pytest.fixture
async def sink(s3):
    made = sink_for(settings(s3[1]), SURROUNDINGS)
    yield made
    await made.close()


def make_bucket(broker: Broker, name: str = BUCKET) -> None:
    request = urllib.request.Request(f"http://{broker.address}/{name}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def settings(relay: Relay, path: str = f"s3://{BUCKET}/log") -> ParquetSink:
    access = S3Access(
        region="us-east-1",
        endpoint=f"http://{relay.address}",
        access_key_id_env="KEY_ID",
        secret_access_key_env="KEY",
    )
    return ParquetSink(name="lake", path=path, s3=access, timeout=2.0)


def files(broker: Broker) -> dict[str, bytes]:
    """What the bucket holds, by key."""
    store = S3Store(
        BUCKET,
        region="us-east-1",
        endpoint=f"http://{broker.address}",
        access_key_id="tests",
        secret_access_key="s3cr3t",
        client_options={"allow_http": True},
    )
    keys = [one["path"] for listed in obstore.list(store) for one in listed]
    return {key: bytes(obstore.get(store, key).bytes()) for key in keys}


def ids(found: dict[str, bytes]) -> Counter:
    tables = [pyarrow.parquet.ParquetFile(io.BytesIO(one)).read() for one in found.values()]
    return Counter(one for table in tables for one in table["id"].to_pylist())


async def test_there_is_a_file_for_each_date_and_model_below_the_prefix(s3, sink):
    batch = [item(1), item(2, cell=CELLS[1]), item(3)]
    await sink.open()

    for _ in range(2):  # what comes again replaces the files
        assert (await sink.deliver(batch)).refused == ()

    found = files(s3[0])
    assert sorted(key.rpartition("/")[0] for key in found) == [
        "log/date=2023-11-14/model=next",
        "log/date=2023-11-14/model=stable",
    ]
    assert ids(found) == Counter(one.id for one in batch)


async def test_a_store_that_stops_answering_loses_nothing(s3, sink, tmp_path):
    broker, _ = s3

    passed = await pass_through_outage(sink, tmp_path, down=broker.pause, up=broker.resume)

    assert passed.failures > 0
    assert passed.letters == {}
    assert passed.grown_mib < MOST_GROWTH_MIB
    # A file that was stored without our hearing of it may be there beside one of its records.
    assert set(ids(files(broker))) == set(passed.written)


async def test_broken_connections_lose_nothing(s3, sink, tmp_path):
    broker, relay = s3

    passed = await pass_through_outage(sink, tmp_path, down=relay.cut, up=relay.mend)

    assert passed.failures > 0
    assert passed.letters == {}
    assert passed.grown_mib < MOST_GROWTH_MIB
    assert set(ids(files(broker))) == set(passed.written)


async def test_a_bucket_that_is_not_there_is_waited_for(s3):
    broker, relay = s3
    sink = sink_for(settings(relay, "s3://elsewhere"), SURROUNDINGS)
    await sink.open()
    with pytest.raises(Unavailable, match="there is no bucket elsewhere"):
        await sink.deliver([item(1)])
    make_bucket(broker, "elsewhere")

    assert (await sink.deliver([item(1)])).refused == ()
    await sink.close()
