"""A consumer's place and its totals are saved together, or not at all."""

import os

import pytest

from sidecar.journal import START, Cursor, Position, SlotPosition, Standing

STANDING = Standing(
    position=Position({0: SlotPosition(3, 400, 77, 12345), 2: SlotPosition(1, 128, 1, 9)}),
    totals={"delivered": {"stable": 10**12, "next": 3}, "expired": {"stable": 1}},
)


def test_a_cursor_that_was_never_saved_stands_at_the_beginning(tmp_path):
    assert Cursor(tmp_path / "cursor").load() == Standing(position=START, totals={})


def test_what_was_saved_is_loaded(tmp_path):
    cursor = Cursor(tmp_path / "cursors" / "files")
    cursor.save(Standing())
    cursor.save(STANDING)
    assert Cursor(cursor.path).load() == STANDING
    assert [path.name for path in cursor.path.parent.iterdir()] == ["files"]
    assert cursor.path.stat().st_mode & 0o077 == 0


def test_a_cursor_that_cannot_be_read_is_put_aside(tmp_path, caplog):
    cursor = Cursor(tmp_path / "cursor")
    cursor.save(STANDING)
    content = cursor.path.read_bytes()
    for length in range(len(content)):
        cursor.path.write_bytes(content[:length])
        assert cursor.load() == Standing()
    assert cursor.path.with_name("cursor.damaged").exists()
    assert "begins again with the oldest record" in caplog.text


def test_who_only_looks_moves_nothing(tmp_path):
    cursor = Cursor(tmp_path / "files.msgpack")
    assert cursor.look() == Standing()
    cursor.path.write_bytes(b"no standing")

    assert cursor.look() == Standing()
    assert cursor.path.read_bytes() == b"no standing"


@pytest.mark.parametrize("broken", ["fsync", "open"])
def test_a_save_that_fails_keeps_the_old_standing(tmp_path, monkeypatch, broken):
    cursor = Cursor(tmp_path / "cursor")
    cursor.save(STANDING)

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fails)
        with pytest.raises(OSError, match="No space"):
            cursor.save(Standing())
    assert cursor.load() == STANDING
    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]
