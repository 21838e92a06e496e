"""Records into a real NATS JetStream that stops, is killed, fills up, and takes nothing twice."""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from harness.broker import Broker
from harness.certificates import Authority
from harness.delivering import CELLS, item
from harness.jetstream import make_stream, messages, nats_server
from harness.outage import pass_through_outage

from sidecar.config.sinks import ClientTls, NatsSink
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.records import from_json

SURROUNDINGS = Surroundings(environ={"TOKEN": "s3cr3t"}, wall_ns=time.time_ns, chance=lambda: 0.5)
MOST_GROWTH_MIB = 20


@pytest.fixture
def serve(environment, free_port, tmp_path) -> Callable[..., Broker]:
    """A server that keeps its streams on disk; further words of its command line."""
    program = environment("nats") / "nats-server"

    return partial(nats_server, program, free_port, tmp_path)


@pytest.fixture
def server(serve):
    with serve() as broker:
        yield broker


@pytest.fixture
async def sink(server):
    made = sink_for(settings(server), SURROUNDINGS)
    yield made
    await made.close()


def settings(server: Broker, **keys) -> NatsSink:
    return NatsSink(
        **{
            "name": "nats",
            "url": f"nats://{server.address}",
            "subject": "records.{route}.{model}",
            "stream": "RECORDS",
            "create": True,
            "timeout": 2.0,
        }
        | keys
    )


def ids(found: list) -> Counter:
    return Counter(one.headers["ce-id"] for one in found)


async def test_a_message_is_the_record_under_its_route_and_model(server, sink):
    batch = [item(1), item(2, cell=CELLS[1])]
    await sink.open()

    assert (await sink.deliver(batch)).refused == ()

    found = await messages(server)
    assert [one.subject for one in found] == ["records.r.stable", "records.r.next"]
    assert [from_json(one.data) for one in found] == [one.record for one in batch]
    assert found[0].headers == {
        "ce-specversion": "1.0",
        "ce-id": batch[0].id,
        "ce-source": SURROUNDINGS.source,
        "ce-type": "sidecar.record",
        "ce-time": "2023-11-14T22:13:20.000000001Z",
        "ce-model": "stable",
        "ce-route": "r",
        "ce-recordversion": "1",
        "content-type": "application/json",
        "Nats-Msg-Id": batch[0].id,
        "Nats-Expected-Stream": "RECORDS",
    }


async def test_the_stream_drops_what_comes_twice(server, sink):
    batch = [item(number) for number in range(100)]
    await sink.open()

    for _ in range(2):
        assert (await sink.deliver(batch)).refused == ()

    assert ids(await messages(server)) == Counter(one.id for one in batch)


async def test_without_a_stream_nothing_is_lost(server):
    sink = sink_for(settings(server, create=False, stream=None), SURROUNDINGS)
    with pytest.raises(Unavailable, match="no stream of JetStream takes this subject"):
        await sink.deliver([item(1)])
    await make_stream(server)

    assert (await sink.deliver([item(1)])).refused == ()
    await sink.close()


async def test_a_stream_that_is_not_the_expected_one_is_said(server, sink):
    await make_stream(server)
    other = sink_for(settings(server, create=False, stream="OTHER"), SURROUNDINGS)

    with pytest.raises(Unavailable, match="expected stream does not match"):
        await other.deliver([item(1)])
    await other.close()


async def test_what_is_too_large_is_refused_by_whoever_says_so(server, sink):
    await make_stream(server, max_msg_size=10_000)
    sizes = {2: 20_000, 3: 2_000_000}

    delivered = await sink.deliver(
        [item(number, path="x" * sizes.get(number, 10)) for number in range(1, 5)]
    )

    reasons = dict(delivered.refused)
    assert set(reasons) == {1, 2}
    assert reasons[1].startswith("the stream refuses it: message size exceeds maximum allowed")
    assert reasons[2].startswith("larger than the server takes")
    assert ids(await messages(server)) == {item(1).id: 1, item(4).id: 1}


async def test_a_stream_that_is_full_is_waited_for(server, sink):
    await make_stream(server, max_msgs=10, discard="new")
    batch = [item(number) for number in range(15)]

    with pytest.raises(Unavailable, match="maximum messages exceeded") as full:
        await sink.deliver(batch)

    assert full.value.taken == tuple(range(10))
    assert full.value.refused == ()
    assert ids(await messages(server)) == Counter(one.id for one in batch[:10])


async def test_a_server_that_stops_answering_loses_and_doubles_nothing(server, sink, tmp_path):
    passed = await pass_through_outage(sink, tmp_path, down=server.pause, up=server.resume)

    assert passed.failures > 0
    assert passed.last_error in {
        "no acknowledgement in time",
        "no answer of the server in time",
    }
    assert passed.letters == {}
    assert passed.grown_mib < MOST_GROWTH_MIB
    assert ids(await messages(server)) == Counter(passed.written)


async def test_a_server_that_is_killed_loses_and_doubles_nothing(server, sink, tmp_path):
    passed = await pass_through_outage(sink, tmp_path, down=server.kill, up=server.start)

    assert passed.failures > 0
    assert passed.letters == {}
    assert passed.grown_mib < MOST_GROWTH_MIB
    assert ids(await messages(server)) == Counter(passed.written)


async def test_a_token_from_the_environment_opens_the_server(serve):
    with serve("--auth", "s3cr3t") as server:
        stranger = sink_for(settings(server), SURROUNDINGS)
        with pytest.raises(Unavailable, match="refuses our credentials"):
            await stranger.open()
        sink = sink_for(settings(server, token_env="TOKEN"), SURROUNDINGS)
        await sink.deliver([item(1)])
        await sink.close()

        assert len(await messages(server, token="s3cr3t")) == 1


async def test_a_server_is_trusted_by_the_authority_that_is_named(serve, tmp_path):
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    identity = authority.issue("localhost")
    words = ("--tls", "--tlscert", identity.cert, "--tlskey", identity.key)
    with serve(*words) as server:
        for ca_file, works in ((authority.ca, True), (stranger.ca, False)):
            tls = ClientTls(ca_file=str(ca_file))
            sink = sink_for(settings(server, tls=tls), SURROUNDINGS)
            if works:
                assert (await sink.deliver([item(1)])).refused == ()
            else:
                with pytest.raises(Unavailable):
                    await sink.deliver([item(1)])
            await sink.close()
