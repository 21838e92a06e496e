"""Listening sockets: addresses, what is taken, what is stale."""

from __future__ import annotations

import socket
import stat

import pytest

from sidecar.app.listeners import (
    backlog,
    open_listeners,
    open_unix,
    shown,
    turn_newcomers_away,
)
from sidecar.errors import ConfigError


def opened(address: str) -> list[socket.socket]:
    return open_listeners(address, path="$.listen")


def test_port_zero_is_shown_as_the_port_it_became():
    (listener,) = opened("127.0.0.1:0")
    with listener:
        host, _, port = shown(listener).rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
        assert listener.getblocking() is False
        with socket.create_connection(("127.0.0.1", int(port)), timeout=2):
            pass


def test_an_address_can_be_taken_again_right_after_a_connection_was_closed_by_us():
    (listener,) = opened("127.0.0.1:0")
    address = shown(listener)
    listener.setblocking(True)
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    accepted.close()  # our side closes first: TIME_WAIT is ours
    client.close()
    listener.close()
    for again in opened(address):
        again.close()


def test_a_taken_address_is_refused_with_a_way_to_find_out_by_whom():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"taken by another process.*{port}") as refused:
            opened(f"127.0.0.1:{port}")
        assert refused.value.path == "$.listen"


@pytest.mark.parametrize("address", ["", "8080", "host", "127.0.0.1:99999", "::1:80", "unix:x"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match=r"\$\.listen"):
        opened(address)


def test_an_address_of_another_machine_is_refused_in_words():
    with pytest.raises(ConfigError, match="not an address of this machine"):
        opened("192.0.2.1:0")  # TEST-NET-1, RFC 5737


def test_every_address_of_localhost_gets_a_socket():
    listeners = opened("localhost:0")
    families = {listener.family for listener in listeners}
    assert socket.AF_INET in families
    assert len(families) == len(listeners)
    for listener in listeners:
        listener.close()


def test_a_unix_socket_has_its_mode_from_its_first_moment(tmp_path):
    path = tmp_path / "s.sock"
    (listener,) = opened(f"unix:{path}")
    with listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert shown(listener) == f"unix:{path}"


def test_a_unix_path_that_nobody_answers_on_is_replaced(tmp_path):
    path = tmp_path / "s.sock"
    open_unix(path, path="$.listen").close()  # leaves the path behind, as a crash does
    with open_unix(path, path="$.listen"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_unix_path_that_somebody_answers_on_is_not_ours_to_take(tmp_path):
    path = tmp_path / "s.sock"
    with open_unix(path, path="$.listen"):
        with pytest.raises(ConfigError, match="somebody answers there"):
            open_unix(path, path="$.listen")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))  # the first one still does


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data", encoding="ascii")
    with pytest.raises(ConfigError, match="is not a socket"):
        open_unix(path, path="$.listen")
    assert path.read_text(encoding="ascii") == "data"


def test_the_backlog_is_what_the_system_allows():
    assert backlog() >= 128


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_newcomers_are_turned_away_and_who_is_queued_or_connected_is_not(address):
    (listener,) = opened(address)
    listener.setblocking(True)
    target = listener.getsockname()
    with (
        listener,
        socket.create_connection(target[:2], timeout=5) as connected,
        listener.accept()[0] as accepted,
        socket.create_connection(target[:2], timeout=5) as queued,
    ):
        turn_newcomers_away(listener)
        with pytest.raises(TimeoutError):
            socket.create_connection(target[:2], timeout=0.2)
        with listener.accept()[0] as second:
            for client, server in ((connected, accepted), (queued, second)):
                client.sendall(b"hello")
                assert server.recv(5) == b"hello"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(target[:2], timeout=5)


def test_newcomers_to_a_unix_socket_find_no_path(tmp_path):
    path = tmp_path / "s.sock"
    with open_unix(path, path="$.listen") as listener, socket.socket(socket.AF_UNIX) as queued:
        queued.connect(str(path))
        turn_newcomers_away(listener)
        with socket.socket(socket.AF_UNIX) as late, pytest.raises(FileNotFoundError):
            late.connect(str(path))
        listener.setblocking(True)
        listener.accept()[0].close()
