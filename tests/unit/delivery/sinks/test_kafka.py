"""What a producer is made with, and brokers that are not there; the real ones are in tests/e2e."""

import asyncio
import ssl
import sys

import aiokafka.errors
import pytest
from harness.delivering import START_NS, item
from harness.waiting import free_port

from sidecar.config.sinks import ClientTls, KafkaCompression, Sasl, SaslMechanism
from sidecar.config.sinks import KafkaSink as KafkaSettings
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.delivery.sinks.kafka_producer import explained, producer_options
from sidecar.errors import ConfigError

SURROUNDINGS = Surroundings(environ={}, wall_ns=lambda: START_NS, chance=lambda: 0.5)


def settings(port: int = 9092, **keys) -> KafkaSettings:
    brokers = (f"127.0.0.1:{port}",)
    return KafkaSettings(**{"name": "k", "brokers": brokers, "topic": "log", "timeout": 0.5} | keys)


def test_a_producer_is_idempotent_and_waits_for_all_replicas():
    options = producer_options(settings(), {})

    assert options["enable_idempotence"]
    assert options["acks"] == "all"
    assert options["security_protocol"] == "PLAINTEXT"


def test_batches_are_compressed_as_the_settings_say():
    compressed = settings(compression=KafkaCompression.GZIP)

    assert producer_options(settings(), {})["compression_type"] is None
    assert producer_options(compressed, {})["compression_type"] == "gzip"


def test_who_we_are_comes_from_the_environment_or_a_file(tmp_path):
    (tmp_path / "password").write_text("hidden\n")
    sasl = {"mechanism": SaslMechanism.SCRAM_SHA_512, "username": "u"}
    by_env = settings(sasl=Sasl(**sasl, password_env="PASSWORD"))
    by_file = settings(sasl=Sasl(**sasl, password_file=str(tmp_path / "password")), tls=ClientTls())

    options = producer_options(by_env, {"PASSWORD": "hidden"})
    assert options["security_protocol"] == "SASL_PLAINTEXT"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("u", "hidden")

    options = producer_options(by_file, {})
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_plain_password"] == "hidden"
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED


async def test_a_password_that_is_not_there_is_waited_for_and_named_by_its_place():
    missing = settings(sasl=Sasl(username="u", password_env="PASSWORD"))

    with pytest.raises(Unavailable, match="PASSWORD holds no password"):
        await sink_for(missing, SURROUNDINGS).open()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer of the brokers in time"),
        (aiokafka.errors.KafkaConnectionError("10.0.0.7:9092"), "the brokers cannot be reached"),
        (
            aiokafka.errors.UnknownTopicOrPartitionError(),
            "the brokers have no such topic, and do not make it",
        ),
        (
            aiokafka.errors.TopicAuthorizationFailedError("log"),
            "the brokers answered TopicAuthorizationFailed",
        ),
    ],
)
def test_why_brokers_are_not_available_is_told_without_their_addresses(error, words):
    assert explained(error, aiokafka.errors) == words


async def test_brokers_that_are_not_there_are_waited_for():
    sink = sink_for(settings(free_port()), SURROUNDINGS)

    with pytest.raises(Unavailable, match="the brokers cannot be reached"):
        await sink.open()
    with pytest.raises(Unavailable, match="the brokers cannot be reached"):
        await sink.deliver([item(1)])
    await sink.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_broker_that_says_nothing_is_given_up_in_time():
    silence = asyncio.Event()

    async def say_nothing(_, writer):
        await silence.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        sink = sink_for(settings(server.sockets[0].getsockname()[1]), SURROUNDINGS)
        with pytest.raises(Unavailable, match="no answer of the brokers in time"):
            await sink.open()
        await sink.close()
        silence.set()


def test_without_the_library_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiokafka", None)

    with pytest.raises(ConfigError, match=r"needs aiokafka: pip install 'model-sidecar\[kafka\]'"):
        sink_for(settings(), SURROUNDINGS)
