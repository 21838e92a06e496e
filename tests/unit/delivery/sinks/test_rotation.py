"""Files of lines: begun anew by size and age, whole at every moment, and nobody else's."""

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.delivery.sinks.rotation import RotatingFiles, Rotation, files_in

S = 1_000_000_000
NOON_NS = 1_738_324_800 * S  # 2025-01-31T12:00:00Z


class Clock:
    def __init__(self):
        self.now_ns = NOON_NS

    def __call__(self):
        return self.now_ns


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def files(tmp_path, clock):
    made = []

    def start(**rotation):
        one = RotatingFiles(
            tmp_path / "log",
            Rotation(**{"size_bytes": 1000, "age_s": 3600} | rotation),
            wall_ns=clock,
        )
        one.open()
        made.append(one)
        return one

    yield start
    for one in made:
        one.close()


def contents(tmp_path):
    return [path.read_bytes() for path in sorted((tmp_path / "log").glob("*.jsonl"))]


def test_names_say_which_came_first_and_when_it_was_begun(files, tmp_path):
    files().append(b"one\n")
    (path,) = (tmp_path / "log").iterdir()
    assert path.name == "records-0000000001-20250131T120000Z.jsonl"


def test_only_the_owner_may_read_them(files, tmp_path):
    files().append(b"one\n")
    (path,) = (tmp_path / "log").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_would_become_too_large_is_closed(files, tmp_path):
    one = files(size_bytes=10)
    for line in (b"12345\n", b"123\n", b"1\n", b"a line that is longer than a file\n", b"2\n"):
        one.append(line)
    assert contents(tmp_path) == [
        b"12345\n123\n",
        b"1\n",
        b"a line that is longer than a file\n",
        b"2\n",
    ]


def test_a_file_that_is_too_old_is_closed(files, tmp_path, clock):
    one = files(age_s=60)
    one.append(b"a\n")
    clock.now_ns += 59 * S
    one.append(b"b\n")
    clock.now_ns += S
    one.append(b"c\n")
    assert contents(tmp_path) == [b"a\nb\n", b"c\n"]


def test_names_stay_in_order_when_the_clock_is_set_back(files, tmp_path, clock):
    one = files()
    one.append(b"first\n")
    clock.now_ns -= 7200 * S
    one.append(b"second\n")
    one.append(b"third\n")
    assert contents(tmp_path) == [b"first\n", b"second\nthird\n"]


def test_what_is_opened_again_goes_on_in_the_same_file(files, tmp_path):
    one = files()
    one.append(b"a\n")
    one.close()
    files().append(b"b\n")
    assert contents(tmp_path) == [b"a\nb\n"]


def test_half_a_line_at_the_end_is_cut_off_when_it_is_opened_again(files, tmp_path):
    one = files()
    one.append(b"a\nb\n")
    one.close()
    (path,) = (tmp_path / "log").iterdir()
    with path.open("ab") as file:
        file.write(b'{"half": ')
    files().append(b"c\n")
    assert contents(tmp_path) == [b"a\nb\nc\n"]


@given(
    st.binary(max_size=300_000).map(lambda b: b.replace(b"\n", b" ")),
    st.booleans(),
)
def test_nothing_but_half_a_line_is_ever_cut_off(tmp_path_factory, half, with_lines):
    directory = tmp_path_factory.mktemp("log")
    whole = b"a line\nanother\n" if with_lines else b""
    (directory / "records-0000000001-20250131T120000Z.jsonl").write_bytes(whole + half)
    one = RotatingFiles(
        directory, Rotation(size_bytes=1 << 30, age_s=3600), wall_ns=lambda: NOON_NS
    )
    one.open()
    one.append(b"next\n")
    one.close()
    (path,) = directory.iterdir()
    assert path.read_bytes() == whole + b"next\n"


def test_only_as_much_of_closed_files_is_kept_as_wanted(files, tmp_path):
    one = files(size_bytes=100, keep_bytes=250)
    (tmp_path / "log" / "notes.txt").write_text("mine " * 100)
    for number in range(10):
        one.append(b"%099d\n" % number)
    assert contents(tmp_path) == [b"%099d\n" % number for number in (7, 8, 9)]
    assert (tmp_path / "log" / "notes.txt").exists()


def test_a_file_that_somebody_moves_away_is_not_written_to_any_more(files, tmp_path):
    one = files()
    one.append(b"a\n")
    (path,) = (tmp_path / "log").iterdir()
    path.rename(tmp_path / "taken.jsonl")
    one.append(b"b\n")
    path = tmp_path / "taken.jsonl"
    path.unlink()
    one.append(b"c\n")
    assert b"c\n" in b"".join(contents(tmp_path))


def test_a_file_that_somebody_deletes_is_begun_anew(files, tmp_path):
    one = files()
    one.append(b"a\n")
    (path,) = (tmp_path / "log").iterdir()
    path.unlink()
    one.append(b"b\n")
    assert contents(tmp_path) == [b"b\n"]


def test_a_second_writer_is_turned_away(files, tmp_path):
    files()
    with pytest.raises(BlockingIOError):
        files()


def test_names_of_others_are_left_alone(tmp_path):
    for name in ("records-1.jsonl", "records-0000000001-99999999T999999Z.jsonl", "x.jsonl"):
        (tmp_path / name).touch()
    assert files_in(tmp_path) == []


def test_a_write_that_fails_half_way_leaves_nothing_behind(tmp_path):
    """In a process of its own, which may not make files larger than 4 KiB."""
    program = textwrap.dedent(
        """
        import signal, sys
        from pathlib import Path
        from sidecar.delivery.sinks.rotation import RotatingFiles, Rotation

        one = RotatingFiles(
            Path(sys.argv[1]), Rotation(size_bytes=1 << 20, age_s=3600), wall_ns=lambda: 0
        )
        one.open()
        one.append(b"a" * 3000 + b"\\n")
        try:
            one.append(b"b" * 3000 + b"\\n")
        except OSError as error:
            print(error.strerror)
        one.append(b"c\\n")
        one.close()
        """
    )

    def limits():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "log")],
        preexec_fn=limits,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "File too large\n"
    assert contents(tmp_path) == [b"a" * 3000 + b"\nc\n"]


def test_a_closed_file_that_was_not_forced_to_the_disk_is_told_at_the_next_flush(
    files, tmp_path, monkeypatch
):
    """What was confirmed since the flush before has to be brought again, all of it."""
    one = files(size_bytes=10)
    one.append(b"12345678\n")
    fsync = os.fsync

    def broken(descriptor):
        if os.fstat(descriptor).st_size:
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="Input/output"):
            one.append(b"of the next file\n")
    one.append(b"again\n")
    with pytest.raises(OSError, match="could not be forced"):
        one.flush()
    one.flush()
    assert contents(tmp_path) == [b"12345678\n", b"again\n"]


def test_nothing_is_written_behind_half_a_line_that_could_not_be_cut_off(
    files, tmp_path, monkeypatch
):
    one = files()
    write = os.write

    def torn(descriptor, data):
        if len(data) <= 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:-3])

    def refused(*_):
        raise OSError(errno.EIO, "Input/output error")

    one.append(b"whole\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", torn)
        patched.setattr(os, "ftruncate", refused)
        with pytest.raises(OSError, match="No space"):
            one.append(b"half a line\n")
    one.append(b"another\n")
    assert contents(tmp_path) == [b"whole\nhalf a li", b"another\n"]
