"""Records into a real broker of Kafka's protocol (tansu) that stops, breaks off and forgets."""

import asyncio
import time
from collections import Counter

import pytest
from harness.delivering import item
from harness.outage import pass_through_outage
from harness.tansu import PARTITIONS, make_topic, messages, tansu

from sidecar.config.sinks import KafkaCompression, KafkaSink
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.records import from_json

SURROUNDINGS = Surroundings(environ={}, wall_ns=time.time_ns, chance=lambda: 0.5)
MOST_GROWTH_MIB = 20


@pytest.fixture
async def kafka(tansu_program, free_ports, tmp_path):
    """A broker with the topic `records`, and the relay by which it is reached."""
    async with tansu(tansu_program, *free_ports(2), tmp_path) as started:
        yield started


@pytest.fixture
async def sink(kafka):
    _, relay = kafka
    made = sink_for(settings(relay.address), SURROUNDINGS)
    yield made
    await made.close()


def settings(address: str, **keys) -> KafkaSink:
    return KafkaSink(
        **{"name": "kafka", "brokers": (address,), "topic": "records", "timeout": 2.0} | keys
    )


def ids(found: list) -> Counter:
    return Counter(dict(one.headers)["ce_id"].decode() for one in found)


async def test_a_message_is_the_record_keyed_by_its_request(kafka, sink):
    batch = [item(number, request_id=f"request-{number // 2}") for number in range(100)]
    await sink.open()

    assert (await sink.deliver(batch)).refused == ()

    found = await messages(kafka[1].address, 100)
    by_id = {dict(one.headers)["ce_id"].decode(): one for one in found}
    assert len(found) == len(by_id) == 100
    partitions: dict[bytes, set[int]] = {}
    for sent in batch:
        message = by_id[sent.id]
        assert from_json(message.value) == sent.record
        assert message.key == sent.record.request_id.encode()
        assert message.timestamp == sent.record.at_ns // 1_000_000
        partitions.setdefault(message.key, set()).add(message.partition)
    assert {len(places) for places in partitions.values()} == {1}
    assert {message.partition for message in found} == set(range(PARTITIONS))
    headers = {name: value.decode() for name, value in by_id[batch[0].id].headers}
    assert headers == {
        "ce_specversion": "1.0",
        "ce_id": batch[0].id,
        "ce_source": SURROUNDINGS.source,
        "ce_type": "sidecar.record",
        "ce_time": "2023-11-14T22:13:20.000000000Z",
        "ce_model": "stable",
        "ce_route": "r",
        "ce_recordversion": "1",
        "content-type": "application/json",
    }


async def test_a_record_that_is_too_large_is_refused_and_the_others_are_taken(kafka, sink):
    await sink.open()

    delivered = await sink.deliver([item(1), item(2, path="x" * 2_000_000), item(3)])

    assert delivered.refused == ((1, "larger than the brokers or `max_message` allow"),)
    assert ids(await messages(kafka[1].address, 2)) == {item(1).id: 1, item(3).id: 1}


async def test_compressed_batches_are_read_back(kafka):
    _, relay = kafka
    sink = sink_for(settings(relay.address, compression=KafkaCompression.GZIP), SURROUNDINGS)
    await sink.open()
    await sink.deliver([item(number) for number in range(50)])
    await sink.close()

    assert len(await messages(relay.address, 50)) == 50


async def test_a_broker_that_stops_answering_loses_and_doubles_nothing(kafka, sink, tmp_path):
    broker, relay = kafka

    passed = await pass_through_outage(sink, tmp_path, down=broker.pause, up=broker.resume)

    assert passed.failures > 0
    assert passed.last_error == "no answer of the brokers in time"
    assert passed.letters == {}
    assert passed.grown_mib < MOST_GROWTH_MIB
    # What was sent before it stopped is waited for, not sent again: each record is there once.
    assert ids(await messages(relay.address, len(passed.written))) == Counter(passed.written)


async def test_broken_connections_lose_and_double_nothing(kafka, sink, tmp_path):
    _, relay = kafka

    passed = await pass_through_outage(sink, tmp_path, down=relay.cut, up=relay.mend)

    assert passed.failures > 0
    assert passed.letters == {}
    assert passed.grown_mib < MOST_GROWTH_MIB
    assert ids(await messages(relay.address, len(passed.written))) == Counter(passed.written)


async def test_brokers_that_forgot_the_producer_get_a_new_one(kafka, sink):
    broker, relay = kafka
    await sink.open()
    await sink.deliver([item(1)])
    broker.kill()  # and with it goes the memory in which it keeps everything
    broker.start()
    await make_topic(relay.address)

    async def taken() -> bool:
        try:
            await sink.deliver([item(2), item(3)])
        except Unavailable:
            return False
        return True

    attempts = [await taken(), await taken()]

    assert attempts[-1]
    assert ids(await messages(relay.address, 2)) == {item(2).id: 1, item(3).id: 1}


async def test_a_sink_can_be_closed_while_the_broker_does_not_answer(kafka, sink):
    broker, _ = kafka
    before = asyncio.all_tasks()
    await sink.open()
    broker.pause()
    with pytest.raises(Unavailable):
        await sink.deliver([item(number) for number in range(100)])

    async with asyncio.timeout(10):  # a producer's own end would wait for the broker for ever
        await sink.close()

    assert asyncio.all_tasks() - before <= {asyncio.current_task()}
