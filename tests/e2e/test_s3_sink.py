"""Records as Parquet in a real S3 server (moto) that stops, breaks off, and lacks a bucket."""

import time
from collections import Counter

import pytest
from harness.delivering import CELLS, item
from harness.moto import BUCKET, KEYS, access, files, make_bucket, moto, rows
from harness.outage import pass_through_outage
from harness.relay import Relay

from sidecar.config.sinks import ParquetSink, S3Access
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for

SURROUNDINGS = Surroundings(environ=KEYS, wall_ns=time.time_ns, chance=lambda: 0.5)
MOST_GROWTH_MIB = 20


@pytest.fixture
async def s3(environment, free_ports, tmp_path):
    """A server with a bucket, and the relay by which the sink reaches it."""
    program = environment("moto") / "moto_server"
    async with moto(program, *free_ports(2), tmp_path) as started:
        yield started


@pytest.fixture
async def sink(s3):
    made = sink_for(settings(s3[1]), SURROUNDINGS)
    yield made
    await made.close()


def settings(relay: Relay, path: str = f"s3://{BUCKET}/log") -> ParquetSink:
    reached = S3Access(**access(relay.address))
    return ParquetSink(name="lake", path=path, s3=reached, timeout=2.0)


def ids(found: dict[str, bytes]) -> Counter:
    return Counter(row["id"] for row in rows(found, "id"))


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
