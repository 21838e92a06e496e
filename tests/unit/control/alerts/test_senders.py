"""One attempt at a receiver, over real sockets: how it goes well, and every way it does not."""

import asyncio
import logging
import socket

import aiohttp
import pytest
from harness.alert_receiver import Receiver

from sidecar.config.alerting import ReceiverSettings, ReceiverType, WebhookFormat
from sidecar.config.units import Duration
from sidecar.control.alerts.senders import (
    LONGEST_RETRY_AFTER_S,
    NotDelivered,
    retry_after_s,
    sender_for,
)
from sidecar.control.alerts.trial import trial_message

NOW_NS = 1_700_000_000_000_000_000
MESSAGE = trial_message("ops", "0123", NOW_NS)


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def send(session):
    """Send the test message to a webhook with these settings."""

    async def send(environ=None, **keys):
        settings = ReceiverSettings(**{"type": ReceiverType.WEBHOOK, **keys})
        sender = sender_for(
            settings, session=lambda: session, environ=environ or {}, now_ns=lambda: NOW_NS
        )
        await sender.send(MESSAGE)

    return send


async def test_a_webhook_gets_json_an_id_and_the_token(send, tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    async with Receiver() as receiver:
        await send(url=receiver.url, token_file=str(tmp_path / "token"))

    assert receiver.paths == ["/hook"]
    assert receiver.bodies[0]["id"] == "0123"
    headers = receiver.headers[0]
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == '"0123"'
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["User-Agent"].startswith("model-sidecar/")


async def test_url_and_token_may_stand_in_the_environment(send):
    async with Receiver() as receiver:
        await send(
            {"HOOK": receiver.url, "TOKEN": "t"},
            url_env="HOOK",
            token_env="TOKEN",
            format=WebhookFormat.SLACK,
        )

    assert receiver.bodies[0]["attachments"]
    assert receiver.headers[0]["Authorization"] == "Bearer t"


async def test_a_file_is_read_each_time(send, tmp_path):
    file = tmp_path / "url"
    async with Receiver() as first, Receiver() as second:
        for receiver in (first, second):
            file.write_text(receiver.url)
            await send(url_file=str(file))

        assert (len(first.bodies), len(second.bodies)) == (1, 1)


async def test_an_alertmanager_is_asked_at_its_path(send):
    async with Receiver() as receiver:
        await send(url=receiver.url + "/", type=ReceiverType.ALERTMANAGER)

    assert receiver.paths == ["/hook/api/v2/alerts"]
    assert receiver.bodies[0][0]["labels"]["alertname"] == "test"


@pytest.mark.parametrize(
    ("answer", "reason", "retry_after"),
    [
        ((500, {}), "it answered 500 Internal Server Error", 0),
        ((429, {"Retry-After": "30"}), "it answered 429 Too Many Requests", 30),
        ((503, {"Retry-After": "Tue, 14 Nov 2023 22:13:30 GMT"}), "it answered 503", 10),
        ((404, {}), "it answered 404 Not Found", 0),
        ((599, {}), "it answered 599", 0),
    ],
)
async def test_an_answer_that_is_no_yes_is_a_failure(send, answer, reason, retry_after):
    async with Receiver([answer]) as receiver:
        with pytest.raises(NotDelivered) as failure:
            await send(url=receiver.url)

    assert failure.value.reason.startswith(reason)
    assert failure.value.retry_after_s == retry_after


async def test_a_redirect_is_not_followed(send):
    async with Receiver() as elsewhere, Receiver([(307, {"Location": elsewhere.url})]) as receiver:
        with pytest.raises(NotDelivered, match="it answered 307"):
            await send(url=receiver.url)

        assert elsewhere.bodies == []


async def test_a_receiver_that_hangs_is_left_after_its_timeout(send):
    async with Receiver(["hang"]) as receiver:
        with pytest.raises(NotDelivered, match=r"no answer within 0.1 s"):
            await send(url=receiver.url, timeout=Duration(0.1))


async def test_a_receiver_that_is_not_there_is_said_to_be_so(send):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(NotDelivered, match="cannot connect"):
            await send(url=f"http://127.0.0.1:{port}/secret")


async def test_a_receiver_that_speaks_no_http_is_a_failure(send):
    async def chatter(_reader, writer):
        writer.write(b"220 smtp.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(chatter, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotDelivered, match="the exchange broke off"):
            await send(url=f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"url_env": "NOT_SET"}, "NOT_SET holds no url"),
        ({"url_env": "SPLIT"}, "SPLIT holds no url"),
        ({"url_env": "WORD"}, "WORD holds no URL that begins with http:// or https://"),
        ({"url_env": "BROKEN"}, "BROKEN holds no URL"),
        ({"url_file": "/nowhere/url"}, "/nowhere/url cannot be read: No such file"),
        ({"url": "http://127.0.0.1:1/", "token_env": "NOT_SET"}, "NOT_SET holds no token"),
    ],
)
async def test_a_secret_that_is_not_there_is_named_and_never_shown(send, keys, reason):
    environ = {
        "SPLIT": "http://h/hunter2\r\nX: y",
        "WORD": "hunter2",
        "BROKEN": "http://[hunter2",
    }
    with pytest.raises(NotDelivered) as failure:
        await send(environ, **keys)

    assert failure.value.reason.startswith(reason)
    assert "hunter2" not in failure.value.reason


async def test_no_reason_quotes_the_url(send):
    urls = [
        "http://127.0.0.1:1/hunter2",
        "http://hunter2.invalid/hunter2",
        "http://127.0.0.1:99999/hunter2",
    ]
    for url in urls:
        with pytest.raises(NotDelivered) as failure:
            await send(url_env="HOOK", environ={"HOOK": url}, timeout=Duration(2))
        assert "hunter2/" not in failure.value.reason
        assert "/hunter2" not in failure.value.reason


async def test_the_log_gets_a_line_per_alert(send, caplog):
    caplog.set_level(logging.INFO, "sidecar.alerts")
    await send(type=ReceiverType.LOG)

    (line,) = caplog.records
    assert (line.message, line.alert, line.severity) == ("an alert fires", "test", "info")


@pytest.mark.parametrize(
    ("field", "wait_s"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        ("-7", 0),
        ("soon", 0),
        ("99999999999999999999", LONGEST_RETRY_AFTER_S),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
        ("Tue, 14 Nov 2033 22:13:00 GMT", LONGEST_RETRY_AFTER_S),
    ],
)
def test_the_wait_that_a_receiver_asks_for_is_bounded(field, wait_s):
    assert retry_after_s(field, NOW_NS) == wait_s
