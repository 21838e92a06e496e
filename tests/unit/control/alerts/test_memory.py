"""What alerts remember on disk: whole, in order, and readable by the next version."""

import threading

import msgspec
import pytest

from sidecar.config.alerting import AlertSettings
from sidecar.config.units import Duration
from sidecar.config.wire import encode
from sidecar.control.alerts.memory import MEMORY_FILE, AlertFiles, AlertMemory
from sidecar.control.alerts.silences import Silence
from sidecar.control.alerts.windows import Windows
from sidecar.errors import ConfigError


def memory_of(launch: str) -> AlertMemory:
    return AlertMemory(launch=launch)


@pytest.fixture
def files(tmp_path):
    return AlertFiles(tmp_path)


def test_of_a_first_start_nothing_is_remembered(files):
    assert files.read() == AlertMemory()
    assert files.read_windows() == Windows()


def test_what_was_written_is_read(files):
    silence = Silence(
        id="s", matchers={"a": ("x", "y")}, from_ns=1, until_ns=2, author="me", comment="why"
    )
    memory = AlertMemory(launch="l", silences=(silence,))
    files.write(memory, 1)

    assert files.read() == memory


def test_a_writer_that_comes_late_does_not_put_back_what_is_older(files):
    files.write(memory_of("newer"), 2)
    files.write(memory_of("older"), 1)

    assert files.read().launch == "newer"


def test_writers_at_the_same_time_leave_the_newest_whole(files):
    big = "x" * 200_000
    threads = [
        threading.Thread(target=files.write, args=(memory_of(f"{serial}{big}"), serial))
        for serial in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert files.read().launch == f"8{big}"


def test_a_write_that_failed_may_be_tried_again(tmp_path):
    files = AlertFiles(tmp_path / "nowhere")
    with pytest.raises(OSError, match="No such file"):
        files.write(memory_of("a"), 1)
    (tmp_path / "nowhere").mkdir()
    files.write(memory_of("a"), 1)

    assert files.read().launch == "a"


def test_a_file_of_something_else_is_an_error_that_says_what_is_lost(files, tmp_path):
    (tmp_path / MEMORY_FILE).write_bytes(b"{}")

    with pytest.raises(ConfigError, match="alerts that fire are told again, and silences are gone"):
        files.read()


def test_settings_are_those_of_the_launch_that_wrote_them():
    settings = AlertSettings(interval=Duration(60))
    memory = AlertMemory(launch="one", settings=encode(settings))

    assert memory.settings_of("one") == settings
    assert memory.settings_of("two") is None


def test_settings_of_another_version_do_not_cost_the_rest():
    memory = AlertMemory(launch="one", settings=msgspec.msgpack.encode({"gone": 1}))

    assert memory.settings_of("one") is None
