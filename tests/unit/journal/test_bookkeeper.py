"""The books say what is in the files, by boot, slot and cell, across restarts and damage."""

from collections import Counter

import pytest
from harness.journals import NEXT, STABLE, TRIAL, numbered, segments, slot_writer, write, writing

from sidecar.journal import UNKNOWN_CELL, Account, Bookkeeper
from sidecar.journal.bookkeeper import EARLIER

ONE, TWO = "11" * 16, "22" * 16


@pytest.fixture
def keeper(tmp_path):
    made = []

    def make():
        made.append(Bookkeeper(tmp_path / "journal", tmp_path / "books"))
        made[-1].load()
        return made[-1]

    yield make
    for one in made:
        one.close()


def read_to_the_end(keeper):
    while keeper.advance():
        pass
    return keeper.books


def test_records_are_counted_by_run_slot_and_cell(keeper, tmp_path):
    for boot, slot, count in ((ONE, 0, 9), (TWO, 0, 6), (TWO, 1, 3)):
        with writing(tmp_path / "journal", slot=slot, boot=boot) as writer:
            write(writer, *numbered(count))
    assert read_to_the_end(keeper()).logged == {
        Account(boot, slot, cell): count
        for boot, slot, count in ((ONE, 0, 3), (TWO, 0, 2), (TWO, 1, 1))
        for cell in (STABLE, NEXT, TRIAL)
    }


def test_a_restart_goes_on_where_the_books_were_saved(keeper, tmp_path):
    writer = slot_writer(tmp_path / "journal", boot=ONE)
    write(writer, *numbered(30))
    first = keeper()
    read_to_the_end(first)
    first.save()
    write(writer, *numbered(30, first=30))
    read_to_the_end(first)  # and dies before it saves
    second = keeper()
    assert second.position == second.saved_position == first.saved_position
    assert sum(second.books.logged.values()) == 30
    write(writer, *numbered(30, first=60))
    assert sum(read_to_the_end(second).logged.values()) == 90
    writer.close()


def test_books_that_cannot_be_read_are_put_aside_and_begun_again(keeper, tmp_path, caplog):
    with writing(tmp_path / "journal") as writer:
        write(writer, *numbered(5))
    (tmp_path / "books").write_bytes(b"\xc1 no books")
    assert sum(read_to_the_end(keeper()).logged.values()) == 5
    assert (tmp_path / "books.damaged").exists()
    assert "begins again with the oldest record" in caplog.text


def damage(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))


def offsets(path, count):
    """Where records of 33 bytes begin, from the end of a segment without a last frame."""
    size = path.stat().st_size
    return [size - (count - n) * 57 for n in range(count)]


def test_without_a_last_frame_a_readable_head_tells_whose_record_was_lost(keeper, tmp_path):
    writer = slot_writer(tmp_path / "journal", boot=ONE)
    write(writer, *numbered(9))
    path = segments(tmp_path / "journal")[0]
    first = offsets(path, 9)
    damage(path, first[4] + 40)  # in the payload of a record of NEXT
    damage(path, first[7])  # the head of another
    corrupt = Counter(read_to_the_end(keeper()).corrupt)
    assert corrupt == {Account(ONE, 0, NEXT): 1, Account(ONE, 0, UNKNOWN_CELL): 1}
    writer.close()


def test_the_last_frame_tells_exactly_even_when_no_head_can_be_read(keeper, tmp_path):
    writer = slot_writer(tmp_path / "journal", boot=ONE)
    write(writer, *numbered(9))
    path = segments(tmp_path / "journal")[0]
    first = offsets(path, 9)
    for n in (3, 4, 5, 8):
        damage(path, first[n])
    counted_early = keeper()
    early = sum(read_to_the_end(counted_early).corrupt.values())
    writer.close()
    books = read_to_the_end(counted_early)
    assert books.corrupt == {
        Account(ONE, 0, STABLE): 1,
        Account(ONE, 0, NEXT): 1,
        Account(ONE, 0, TRIAL): 2,
    }
    assert sum(books.logged.values()) == 5
    assert early == 3  # the last one was not known to be lost yet


def test_segments_that_vanished_stay_in_the_books_when_later_ones_are_whole(keeper, tmp_path):
    with writing(tmp_path / "journal", boot=ONE) as writer:
        for n in range(3):
            write(writer, *numbered(4, first=4 * n))
            writer.finish()
    segments(tmp_path / "journal")[1].unlink()
    books = read_to_the_end(keeper())
    assert sum(books.logged.values()) == 8
    assert books.corrupt == {Account(ONE, 0, UNKNOWN_CELL): 4}


def test_runs_of_long_ago_are_added_up_under_one_name(keeper, tmp_path):
    for n in range(40):
        with writing(tmp_path / "journal", boot=f"{n:032x}") as writer:
            write(writer, *numbered(3))
    books = keeper()
    total = read_to_the_end(books)
    boots = {account.boot for account in total.logged}
    assert EARLIER in boots
    assert f"{39:032x}" in boots
    assert len(boots) < 20
    assert sum(total.logged.values()) == 120
    assert total.logged[Account(EARLIER, 0, STABLE)] == 40 - len(boots) + 1
    books.save()
    assert keeper().books.logged == total.logged
