"""Addresses of the admin API, and what is said when it does not answer as expected."""

from __future__ import annotations

import socket
import threading

import pytest

from sidecar.cli.admin_client import AdminClient, Refused, Unreachable
from sidecar.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:9090", "127.0.0.1", 9090),
        ("http://127.0.0.1:9090", "127.0.0.1", 9090),
        ("http://localhost:9090/", "localhost", 9090),
        ("[::1]:9090", "::1", 9090),
        ("0.0.0.0:9090", "127.0.0.1", 9090),  # listened on, but nothing to connect to
        ("[::]:9090", "::1", 9090),
    ],
)
def test_an_address_is_host_and_port_or_a_url(address, host, port):
    client = AdminClient.at(address)
    assert (client.host, client.port) == (host, port)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "9090",
        "localhost",
        "localhost:no",
        "https://localhost:1",
        "http://localhost:1/x",
        "[::1",
    ],
)
def test_anything_else_is_a_usage_error(address):
    with pytest.raises(ConfigError, match="host:port"):
        AdminClient.at(address)


def test_nobody_there_is_said_with_the_fix():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        client = AdminClient.at(f"127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(Unreachable, match="sidecar run -c"):
            client.get("/healthz")


def answering(response: bytes) -> AdminClient:
    """A client of a server that gives one answer, whatever is asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(response)

    threading.Thread(target=serve, daemon=True).start()
    return AdminClient.at(f"127.0.0.1:{listener.getsockname()[1]}")


def test_another_server_at_that_address_is_recognised():
    client = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
    with pytest.raises(Unreachable, match="no sidecar's admin API"):
        client.get("/healthz")


def test_something_that_is_not_http_is_recognised():
    with pytest.raises(Unreachable, match="cannot be asked"):
        answering(b"SSH-2.0-x\r\n").get("/healthz")


def test_a_refusal_carries_status_code_and_words():
    body = b'{"error":{"code":"unknown_route","message":"There is no route"}}'
    client = answering(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    with pytest.raises(Refused, match="There is no route") as refused:
        client.post("/api/v1/rollback")
    assert (refused.value.status, refused.value.code) == (404, "unknown_route")


def test_a_token_file_that_cannot_be_read_is_a_usage_error(tmp_path):
    client = AdminClient.at("127.0.0.1:1", tmp_path / "absent")
    with pytest.raises(ConfigError, match="--token-file"):
        client.post("/api/v1/rollback")
