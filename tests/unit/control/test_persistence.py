"""The routing state on disk."""

from __future__ import annotations

import os
import stat

import pytest

from sidecar.control.persistence import StateFile, replace_file
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


def test_a_write_that_fails_leaves_the_old_content_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_temporary_file_left_by_a_crash_is_no_obstacle(tmp_path):
    (tmp_path / "file.new").write_bytes(b"half")
    replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
