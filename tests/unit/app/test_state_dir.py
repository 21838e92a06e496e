"""The state directory: private, and one sidecar's at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sidecar.app.state_dir import StateDir
from sidecar.errors import ConfigError


def test_it_is_made_with_its_parents_and_private(tmp_path):
    claimed = StateDir.claim(tmp_path / "a" / "b")
    assert stat.S_IMODE(claimed.path.stat().st_mode) == 0o700
    claimed.close()


def test_an_open_directory_becomes_private(tmp_path):
    path = tmp_path / "state"
    path.mkdir(mode=0o755)
    claimed = StateDir.claim(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    claimed.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's directory")
def test_a_volume_that_is_not_ours_but_writable_is_used_as_it_is():
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to other users
        volume = Path(name)
        volume.chmod(0o2777)
        _claim_as_nobody(volume)
        assert stat.S_IMODE(volume.stat().st_mode) == 0o2777
        assert stat.S_IMODE((volume / "lock").stat().st_mode) == 0o600


def _claim_as_nobody(path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from sidecar.app.state_dir import StateDir
os.setresuid(65534, 65534, 65534)
StateDir.claim(Path(sys.argv[1])).close()
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)


def test_a_second_claim_is_refused_with_the_process_that_holds_it(tmp_path):
    first = StateDir.claim(tmp_path / "state")
    with pytest.raises(ConfigError, match=f"process {os.getpid()}") as refused:
        StateDir.claim(tmp_path / "state")
    assert refused.value.path == "$.state_dir"
    first.close()
    StateDir.claim(tmp_path / "state").close()


def test_the_lock_ends_with_its_process_however_it_ends(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from sidecar.app.state_dir import StateDir
held = StateDir.claim(Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "state")], check=False)
    StateDir.claim(tmp_path / "state").close()


def test_a_file_in_its_place_is_refused_in_words(tmp_path):
    (tmp_path / "state").write_text("", encoding="ascii")
    with pytest.raises(ConfigError, match="cannot be used"):
        StateDir.claim(tmp_path / "state")


def test_a_path_too_long_for_a_socket_is_refused_before_anything_listens(tmp_path):
    with pytest.raises(ConfigError, match="107 bytes"):
        StateDir.claim(tmp_path / ("d" * 120))


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    claimed = StateDir.claim(Path("state"))
    assert claimed.control_socket == tmp_path / "state" / "control.sock"
    assert claimed.routing_file.parent == tmp_path / "state"
    claimed.close()
