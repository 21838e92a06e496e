"""Unix sockets and TLS, towards clients and towards models."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from harness.certificates import Authority, Identity
from harness.messages import get, post
from harness.stream import StreamEnded
from harness.transcript import Names, http
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

from sidecar.board import ModelGauge
from sidecar.config.settings import ModelSettings, UpstreamTls

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Identity:
    return authority.issue("localhost")


@pytest.fixture(scope="module")
def visitor(authority: Authority) -> Identity:
    return authority.issue("visitor.example")


def echo(model: Connection) -> None:
    while True:
        body = model.read_request().body
        model.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    with (
        Upstream(echo, path=tmp_path / "model.sock") as model,
        RunningWorker(models={"stable": model.url}, path=tmp_path / "sidecar.sock") as worker,
    ):
        client = worker.connect()
        for _ in range(3):
            client.send(post(b"x" * MEGABYTE))
            assert client.read_response().body == b"x" * MEGABYTE
        assert len(model.connections) == 1
        client.send(b"GET /last HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        client.read_response()
        Names().assert_match(
            http("""
                GET /last HTTP/1.1
                Host: localhost
                X-Forwarded-For: unknown
                X-Forwarded-Proto: http
                Via: 1.1 sidecar
                X-Forwarded-Host: localhost
                @ids

            """),
            model.requests[-1].raw,
        )


def test_tls_towards_clients(authority: Authority, server: Identity) -> None:
    context = authority.server_context(server)
    with (
        Upstream(echo) as model,
        RunningWorker(models={"stable": model.url}, tls=context) as worker,
    ):
        client = worker.connect(tls=authority.client_context())
        for _ in range(3):
            client.send(post(b"x" * MEGABYTE))
            assert client.read_response().body == b"x" * MEGABYTE
        assert model.requests[0].field("x-forwarded-proto") == b"https"
        assert model.requests[0].field("x-forwarded-for") == b"127.0.0.1"


def test_a_client_that_does_not_speak_tls_harms_nobody(
    authority: Authority, server: Identity
) -> None:
    context = authority.server_context(server)
    with (
        Upstream(echo) as model,
        RunningWorker(models={"stable": model.url}, tls=context) as worker,
    ):
        plain = worker.connect()
        plain.send(get())
        plain.read_to_end()
        client = worker.connect(tls=authority.client_context())
        client.send(post(b"hello"))
        assert client.read_response().body == b"hello"


def test_clients_may_have_to_show_a_certificate(
    authority: Authority, server: Identity, visitor: Identity
) -> None:
    context = authority.server_context(server, ask_clients=True)
    with (
        Upstream(echo) as model,
        RunningWorker(models={"stable": model.url}, tls=context) as worker,
    ):
        known = worker.connect(tls=authority.client_context(visitor))
        known.send(post(b"hello"))
        assert known.read_response().body == b"hello"
        # In TLS 1.3 a client learns that it was refused when it first reads.
        unknown = worker.connect(tls=authority.client_context())
        with pytest.raises((ssl.SSLError, StreamEnded)):
            unknown.read_some()
        assert len(model.requests) == 1


def towards(model: Upstream, **tls: str | bool) -> dict[str, ModelSettings]:
    settings = UpstreamTls(**tls)  # type: ignore[arg-type]
    return {"stable": ModelSettings(url=model.url, tls=settings)}


def test_tls_towards_a_model(authority: Authority, server: Identity) -> None:
    with Upstream(echo, tls=authority.server_context(server)) as model:
        trusting = towards(model, ca_file=str(authority.ca))
        with RunningWorker(models=trusting) as worker:
            client = worker.connect()
            for _ in range(3):
                client.send(post(b"x" * MEGABYTE))
                assert client.read_response().body == b"x" * MEGABYTE
            assert len(model.connections) == 1


def test_a_model_may_have_another_name_in_its_certificate(
    authority: Authority, visitor: Identity
) -> None:
    with Upstream(echo, tls=authority.server_context(visitor)) as model:
        named = towards(model, ca_file=str(authority.ca), server_name="visitor.example")
        with RunningWorker(models=named) as worker:
            client = worker.connect()
            client.send(post(b"hello"))
            assert client.read_response().body == b"hello"


@pytest.mark.parametrize("why", ["an unknown authority", "another name"])
def test_a_model_that_cannot_be_trusted_gets_nothing(
    authority: Authority, server: Identity, tmp_path: Path, why: str
) -> None:
    stranger = Authority(tmp_path, "stranger")
    tls = {"ca_file": str(authority.ca), "server_name": "other.example"}
    if why == "an unknown authority":
        tls = {"ca_file": str(stranger.ca)}
    with Upstream(echo, tls=authority.server_context(server)) as model:
        with RunningWorker(models=towards(model, **tls)) as worker:
            client = worker.connect()
            client.send(post(b"secret"))
            answer = client.read_response()
            assert answer.field("x-sidecar-error") == b"upstream_unreachable"
            assert answer.status == 502
            assert b"CERTIFICATE_VERIFY_FAILED" in answer.body
            assert model.requests == []
            assert worker.model_gauge("stable", ModelGauge.CONNECT_FAILURES) == 2  # one retry
        unverified = towards(model, verify=False)
        with RunningWorker(models=unverified) as worker:
            client = worker.connect()
            client.send(post(b"hello"))
            assert client.read_response().body == b"hello"


def test_a_model_may_ask_for_a_certificate(
    authority: Authority, server: Identity, visitor: Identity
) -> None:
    context = authority.server_context(server, ask_clients=True)
    with Upstream(echo, tls=context) as model:
        ours = towards(
            model,
            ca_file=str(authority.ca),
            cert_file=str(visitor.cert),
            key_file=str(visitor.key),
        )
        with RunningWorker(models=ours) as worker:
            client = worker.connect()
            client.send(post(b"hello"))
            assert client.read_response().body == b"hello"
        with RunningWorker(models=towards(model, ca_file=str(authority.ca))) as worker:
            client = worker.connect()
            client.send(post(b"hello"))
            assert client.read_response().status == 502


def test_an_early_answer_over_tls_can_be_read(authority: Authority, server: Identity) -> None:
    context = authority.server_context(server)
    with (
        Upstream(echo) as model,
        RunningWorker(models={"stable": model.url}, tls=context) as worker,
    ):
        client = worker.connect(tls=authority.client_context())
        client.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + b"x" * 100_000)
        answer = client.read_response()
        assert (answer.status, answer.field("connection")) == (400, b"close")
