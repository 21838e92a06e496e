"""The routing state on disk."""

from __future__ import annotations

import stat

import pytest

from sidecar.control.persistence import StateFile
from sidecar.control.state import Remembered, RoutingState
from sidecar.errors import ConfigError


def test_what_was_written_is_read_back(tmp_path, start, salts):
    file = StateFile(tmp_path / "routing.msgpack")
    state = start(a=10).rolled_back(None, salts)
    file.write(state)
    assert file.read() == state
    assert type(file.read()) is RoutingState


def test_nothing_written_reads_as_none(tmp_path):
    file = StateFile(tmp_path / "routing.msgpack")
    assert file.read() is None
    assert file.read_remembered() is None


def test_what_a_restart_needs_is_read_without_the_settings(tmp_path, start):
    file = StateFile(tmp_path / "routing.msgpack")
    state = start(a=10)
    file.write(state)
    remembered = file.read_remembered()
    assert type(remembered) is Remembered
    assert remembered.splits == state.splits


def test_what_a_restart_needs_is_readable_when_settings_changed_their_form(tmp_path, start):
    path = tmp_path / "routing.msgpack"
    StateFile(path).write(start(a=10))
    written = path.read_bytes()
    path.write_bytes(written.replace(b"open_for", b"open_FOR"))
    with pytest.raises(ConfigError):
        StateFile(path).read()
    assert StateFile(path).read_remembered().version == 1


@pytest.mark.parametrize("content", [b"", b"\xc1garbage", b"\x80"])
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path, content):
    path = tmp_path / "routing.msgpack"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="remove it"):
        StateFile(path).read_remembered()


def test_the_file_is_private(tmp_path, start):
    path = tmp_path / "routing.msgpack"
    StateFile(path).write(start(a=10))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
