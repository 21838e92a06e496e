"""The HTTP sink against a real server: what each of its answers means, and that secrets stay so."""

import asyncio
import json
from base64 import b64encode

import pytest
from harness.certificates import Authority
from harness.delivering import START_NS, item
from harness.event_receiver import DISCONNECT, HANG, EventReceiver
from harness.waiting import free_port

from sidecar.config.sinks import ClientTls, EventForm, EventMode
from sidecar.config.sinks import HttpSink as HttpSettings
from sidecar.config.units import Duration
from sidecar.delivery import Refused, Unavailable
from sidecar.delivery.sinks import Surroundings
from sidecar.delivery.sinks.http import HttpSink
from sidecar.records import Captured, Why

ITEMS = [item(number) for number in range(12)]


@pytest.fixture
def receiver():
    with EventReceiver() as made:
        yield made


@pytest.fixture
async def sink():
    made = []

    async def start(url, *, environ=None, **settings):
        one = HttpSink(
            HttpSettings(**{"name": "events", "url": url, "timeout": Duration(2)} | settings),
            Surroundings(environ=environ or {}, wall_ns=lambda: START_NS, chance=lambda: 0.5),
        )
        made.append(one)
        await one.open()
        return one

    yield start
    for one in made:
        await one.close()


async def test_a_batch_is_one_request(sink, receiver):
    one = await sink(receiver.url)
    assert (await one.deliver(ITEMS)).refused == ()
    (request,) = receiver.requests
    assert request.ids == [one.id for one in ITEMS]
    assert request.headers["content-type"] == "application/cloudevents-batch+json"
    assert json.loads(request.body)[3]["data"]["id"] == ITEMS[3].id


async def test_in_binary_mode_each_record_is_a_request_of_its_own(sink, receiver):
    one = await sink(receiver.url, mode=EventMode.BINARY, source="/here")
    assert (await one.deliver(ITEMS)).refused == ()
    assert sorted(receiver.taken) == [one.id for one in ITEMS]
    assert receiver.requests[0].headers["ce-source"] == "/here"
    assert json.loads(receiver.requests[0].body)["model"] == "stable"


async def test_kserves_form_sends_bodies_and_nothing_for_records_without(sink, receiver):
    captured = Captured(why=Why.SAMPLED, request_body=b'{"a":1}', response_body=b'{"b":2}')
    one = await sink(
        receiver.url,
        mode=EventMode.BINARY,
        events=EventForm.KSERVE,
        environ={"POD_NAMESPACE": "prod"},
    )
    assert (await one.deliver([item(1, captured=captured), item(2)])).refused == ()
    assert [(request.headers["ce-type"], request.body) for request in receiver.requests] == [
        ("org.kubeflow.serving.inference.request", b'{"a":1}'),
        ("org.kubeflow.serving.inference.response", b'{"b":2}'),
    ]
    assert receiver.requests[0].headers["ce-namespace"] == "prod"


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_list_that_is_refused_is_refused_as_a_whole(sink, receiver, status):
    receiver.answer = lambda _: status
    one = await sink(receiver.url)
    with pytest.raises(Refused, match=f"it answered {status}"):
        await one.deliver(ITEMS)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_in_binary_mode_a_record_is_refused_by_itself(sink, receiver, status):
    receiver.answer = lambda request: status if request.ids == [ITEMS[4].id] else 200
    one = await sink(receiver.url, mode=EventMode.BINARY)
    ((place, reason),) = (await one.deliver(ITEMS)).refused
    assert place == 4
    assert reason.startswith(f"it answered {status}")
    assert len(receiver.taken) == 11


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 429, 500, 502, 503, 599])
async def test_any_other_answer_is_nothing_the_records_can_help(sink, receiver, status):
    receiver.answer = lambda _: (status, {"Location": receiver.url})
    one = await sink(receiver.url)
    with pytest.raises(Unavailable, match=f"it answered {status}"):
        await one.deliver(ITEMS)
    assert len(receiver.requests) == 1  # no redirect is followed


@pytest.mark.parametrize("mode", list(EventMode))
async def test_retry_after_is_passed_on(sink, receiver, mode):
    receiver.answer = lambda _: (503, {"Retry-After": "17"})
    one = await sink(receiver.url, mode=mode)
    with pytest.raises(Unavailable) as raised:
        await one.deliver(ITEMS)
    assert raised.value.retry_after_s == 17.0


async def test_what_was_taken_before_it_failed_is_told(sink, receiver):
    receiver.answer = lambda _: 200 if len(receiver.requests) <= 5 else 503
    one = await sink(receiver.url, mode=EventMode.BINARY, concurrency=1)
    with pytest.raises(Unavailable) as raised:
        await one.deliver(ITEMS)
    assert raised.value.taken == (0, 1, 2, 3, 4)
    assert len(receiver.requests) == 6  # and it was left alone at once


async def test_a_server_that_never_answers_some_keeps_nobody_else_from_being_told(sink, receiver):
    receiver.answer = lambda request: HANG if request.ids == [ITEMS[0].id] else 200
    one = await sink(receiver.url, mode=EventMode.BINARY, timeout=Duration(0.3))
    with pytest.raises(Unavailable, match="no answer within") as raised:
        await one.deliver(ITEMS)
    assert raised.value.taken == tuple(range(1, 12))


async def test_a_server_that_never_answers_can_be_given_up(sink, receiver):
    receiver.answer = lambda _: HANG
    one = await sink(receiver.url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await one.deliver(ITEMS)
    receiver.answer = lambda _: 200
    assert (await one.deliver(ITEMS)).refused == ()


@pytest.mark.parametrize("mode", list(EventMode))
async def test_a_connection_that_breaks_is_not_available(sink, receiver, mode):
    receiver.answer = lambda _: DISCONNECT
    one = await sink(receiver.url, mode=mode)
    with pytest.raises(Unavailable, match="the exchange broke off"):
        await one.deliver(ITEMS)


@pytest.mark.parametrize(
    ("host", "why"),
    [("127.0.0.1", "Connection refused"), ("absent.invalid", "its name cannot be resolved")],
)
async def test_nobody_listening_is_not_available_and_the_address_is_not_told(sink, host, why):
    one = await sink(f"http://{host}:{free_port()}")
    with pytest.raises(Unavailable) as outcome:
        await one.deliver(ITEMS)
    assert outcome.value.reason == f"cannot connect: {why}"


async def test_connections_are_used_again(sink, receiver):
    one = await sink(receiver.url, mode=EventMode.BINARY, concurrency=3)
    for _ in range(5):
        await one.deliver(ITEMS)
    assert len(receiver.requests) == 60
    assert len(receiver.connections) <= 3


async def test_a_token_is_read_anew_for_every_batch(sink, receiver, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    one = await sink(receiver.url, token_file=str(token))
    await one.deliver(ITEMS)
    token.write_text("second\n")
    await one.deliver(ITEMS)
    assert [request.headers["authorization"] for request in receiver.requests] == [
        "Bearer first",
        "Bearer second",
    ]


async def test_a_token_that_is_not_there_is_no_reason_to_send_without(sink, receiver):
    one = await sink(receiver.url, token_env="TOKEN")
    with pytest.raises(Unavailable, match="TOKEN holds no token"):
        await one.deliver(ITEMS)
    assert receiver.requests == []


async def test_basic_authentication(sink, receiver):
    one = await sink(
        receiver.url, username="me", password_env="PASSWORD", environ={"PASSWORD": "hush"}
    )
    await one.deliver(ITEMS)
    expected = b64encode(b"me:hush").decode()
    assert receiver.requests[0].headers["authorization"] == f"Basic {expected}"


@pytest.mark.parametrize(
    "broken", ["http://user:s3cret@127.0.0.1:1/s3cret", "s3cret", "ftp://s3cret"]
)
async def test_a_url_that_is_secret_is_in_no_error(sink, broken):
    one = await sink(None, url_env="SINK_URL", environ={"SINK_URL": broken})
    with pytest.raises(Unavailable) as raised:
        await one.deliver(ITEMS)
    assert "s3cret" not in raised.value.reason
    assert "s3cret" not in repr(one)


async def test_tls_needs_a_certificate_that_we_trust(sink, tmp_path):
    authority = Authority(tmp_path)
    receiver = EventReceiver()
    receiver.context = authority.server_context(authority.issue("server"))
    with receiver:
        one = await sink(receiver.url)
        with pytest.raises(Unavailable, match="certificate is not trusted"):
            await one.deliver(ITEMS)
        one = await sink(receiver.url, tls=ClientTls(ca_file=str(authority.ca)))
        assert (await one.deliver(ITEMS)).refused == ()
        one = await sink(receiver.url, tls=ClientTls(verify=False))
        assert (await one.deliver(ITEMS)).refused == ()


async def test_a_client_certificate_that_comes_later_is_used(sink, tmp_path):
    authority = Authority(tmp_path)
    receiver = EventReceiver()
    receiver.context = authority.server_context(authority.issue("server"), ask_clients=True)
    stranger = Authority(tmp_path, "strangers").issue("client")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(stranger.cert.read_bytes())
    key.write_bytes(stranger.key.read_bytes())
    with receiver:
        tls = ClientTls(ca_file=str(authority.ca), cert_file=str(cert), key_file=str(key))
        one = await sink(receiver.url, tls=tls)
        with pytest.raises(Unavailable):
            await one.deliver(ITEMS)
        known = authority.issue("renewed")
        cert.write_bytes(known.cert.read_bytes())
        key.write_bytes(known.key.read_bytes())
        assert (await one.deliver(ITEMS)).refused == ()


async def test_files_of_tls_are_not_read_anew_while_nobody_is_reached(sink, tmp_path):
    authority = Authority(tmp_path)
    receiver = EventReceiver()
    receiver.context = authority.server_context(authority.issue("server"))
    receiver.start()
    one = await sink(receiver.url, tls=ClientTls(ca_file=str(authority.ca)))
    receiver.stop()
    authority.ca.unlink()
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot connect"):
            await one.deliver(ITEMS)


async def test_files_of_tls_are_not_read_anew_where_there_is_no_tls(sink, receiver, tmp_path):
    authority = Authority(tmp_path)
    one = await sink(receiver.url, tls=ClientTls(ca_file=str(authority.ca)))
    authority.ca.unlink()
    receiver.answer = lambda _: DISCONNECT
    with pytest.raises(Unavailable, match="the exchange broke off"):
        await one.deliver(ITEMS)
    receiver.answer = lambda _: 200
    assert (await one.deliver(ITEMS)).refused == ()


async def test_an_answer_that_never_ends_is_an_answer_all_the_same(sink, receiver):
    receiver.answer = lambda _: 200
    receiver.endless = True
    one = await sink(receiver.url)
    assert (await one.deliver(ITEMS)).refused == ()
