"""One idempotent producer of aiokafka, made and let go of without waiting for brokers.

aiokafka's own way to an end flushes, and an idempotent producer sends again for ever: with the
brokers away it would never end. `let_go` ends it at once, by what aiokafka 0.12 to 0.14 has inside;
a test against the installed version holds it to that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from sidecar.config.sinks import KafkaCompression, KafkaSink, Sasl
from sidecar.delivery.sinks.credentials import client_context, secret

LINGER_MS: Final = 5
"""How long a partition's messages wait for company: that of their batch, not of the next one."""

BATCH_BYTES: Final = 64 * 1024
"""Most bytes of a partition's messages in one request, where aiokafka's 16 KiB would take four
times as many round trips. Each partition holds up to two of these in memory."""

RETRY_BACKOFF_MS: Final = 500
"""Between the producer's own attempts; aiokafka's 100 ms, times a fleet, keep brokers down."""

_AGAIN_S: Final = 0.1


def producer_options(settings: KafkaSink, environ: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of `AIOKafkaProducer`. Blocking (files). Raises Unavailable."""
    plain = settings.compression is KafkaCompression.NONE
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.brokers),
        "client_id": settings.client_id,
        "enable_idempotence": True,
        "acks": "all",
        "compression_type": None if plain else settings.compression.value,
        "linger_ms": LINGER_MS,
        "max_batch_size": BATCH_BYTES,
        "max_request_size": settings.max_message,
        "request_timeout_ms": round(settings.timeout * 1000),
        "retry_backoff_ms": RETRY_BACKOFF_MS,
    }
    if settings.tls is not None:
        options["ssl_context"] = client_context(settings.tls)
    if settings.sasl is not None:
        options |= _who(settings.sasl, environ)
    options["security_protocol"] = _PROTOCOLS[settings.tls is not None, settings.sasl is not None]
    return options


async def let_go(producer: Any) -> None:  # noqa: ANN401 - of an optional library without types
    """End a producer, started or not, without sending what it still has."""
    sender = producer._sender.sender_task  # see above
    if sender is None:
        await producer.stop()  # has nothing to send yet: only closes connections
        return
    await producer.client.close()
    while not sender.done():  # cancelled once, it first waits for requests that are under way
        sender.cancel()
        await asyncio.wait({sender}, timeout=_AGAIN_S)
    producer._closed = True  # else it complains, when it is collected


def explained(error: BaseException, errors: ModuleType) -> str:
    """Why the brokers are not available, in words without an address or a secret."""
    if isinstance(error, TimeoutError | errors.KafkaTimeoutError | errors.RequestTimedOutError):
        return "no answer of the brokers in time"
    if isinstance(error, errors.KafkaConnectionError | OSError):
        return "the brokers cannot be reached"
    if isinstance(error, errors.UnknownTopicOrPartitionError):
        return "the brokers have no such topic, and do not make it"
    name = type(error).__name__.removesuffix("Error")
    return f"the brokers answered {name}"


def _who(sasl: Sasl, environ: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "sasl_mechanism": sasl.mechanism.value,
        "sasl_plain_username": sasl.username,
        "sasl_plain_password": secret("password", sasl.password_file, sasl.password_env, environ),
    }


_PROTOCOLS: Final = {
    (False, False): "PLAINTEXT",
    (True, False): "SSL",
    (False, True): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}
