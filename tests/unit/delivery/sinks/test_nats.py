"""What is said to NATS and what its answers mean; the real server is in tests/e2e."""

import asyncio
import sys

import pytest
from harness.delivering import CELLS, START_NS, item
from harness.waiting import free_port

from sidecar.config.sinks import NatsSink as NatsSettings
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.delivery.sinks.nats import TAKEN, Answer, answer_of, subject_of
from sidecar.errors import ConfigError
from sidecar.model import CellKey, Role

SURROUNDINGS = Surroundings(environ={}, wall_ns=lambda: START_NS, chance=lambda: 0.5)


def settings(port: int, **keys) -> NatsSettings:
    url = f"nats://127.0.0.1:{port}"
    return NatsSettings(**{"name": "log", "url": url, "subject": "log", "timeout": 0.5} | keys)


@pytest.mark.parametrize(
    ("headers", "data", "answer"),
    [
        ({}, b'{"stream": "LOG", "seq": 7}', TAKEN),
        ({}, b'{"stream": "LOG", "seq": 7, "duplicate": true}', TAKEN),
        (
            {},
            b'{"error": {"code": 400, "err_code": 10054, "description": "message size exceeds"}}',
            Answer(refused="the stream refuses it: message size exceeds (10054)"),
        ),
        (
            {},
            b'{"error": {"code": 400, "err_code": 10077, "description": "maximum bytes exceeded"}}',
            Answer(unavailable="the stream takes nothing: maximum bytes exceeded (10077)"),
        ),
        (
            {"Status": "503"},
            b"",
            Answer(unavailable="no stream of JetStream takes this subject"),
        ),
        ({}, b"", Answer(unavailable="an acknowledgement that is none")),
        ({}, b"[]", Answer(unavailable="an acknowledgement that is none")),
    ],
)
def test_what_an_acknowledgement_means(headers, data, answer):
    assert answer_of(headers, data) == answer


@pytest.mark.parametrize(
    ("template", "subject"),
    [
        ("records", "records"),
        ("records.{route}.{model}", "records.r.stable"),
        ("{model}.log", "stable.log"),
    ],
)
def test_a_subject_names_the_route_and_the_model(template, subject):
    assert subject_of(template, CELLS[0]) == subject


def test_a_name_cannot_add_tokens_or_wildcards_to_a_subject():
    cell = CellKey(route="a b", model="v1.2*>", role=Role.PRIMARY)

    assert subject_of("log.{route}.{model}", cell) == "log.a_b.v1_2__"


def test_without_the_library_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)

    with pytest.raises(ConfigError, match=r"needs nats: pip install 'model-sidecar\[nats\]'"):
        sink_for(settings(4222), SURROUNDINGS)


async def test_a_server_that_is_not_there_is_waited_for():
    sink = sink_for(settings(free_port()), SURROUNDINGS)

    with pytest.raises(Unavailable, match="the server cannot be reached"):
        await sink.open()
    with pytest.raises(Unavailable, match="the server cannot be reached"):
        await sink.deliver([item(1)])
    await sink.close()


async def test_a_server_that_says_nothing_is_given_up_in_time():
    silence = asyncio.Event()

    async def say_nothing(_, writer):
        await silence.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        sink = sink_for(settings(server.sockets[0].getsockname()[1]), SURROUNDINGS)
        with pytest.raises(Unavailable, match="no answer of the server in time"):
            await sink.open()
        await sink.close()
        silence.set()


async def test_a_password_that_is_not_there_is_waited_for_and_named_by_its_place(tmp_path):
    missing = settings(4222, username="u", password_file=str(tmp_path / "password"))

    with pytest.raises(Unavailable, match=r"password cannot be read: No such file"):
        await sink_for(missing, SURROUNDINGS).open()
