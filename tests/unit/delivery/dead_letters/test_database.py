"""Files that are damaged, foreign, locked or refused: never a crash, nothing half done."""

from __future__ import annotations

import asyncio
import os
import sqlite3

import pytest
from harness.dead_letters import failed, item, new_store

from sidecar.delivery.dead_letters import DeadLetterClass, Filter, Replay, StoreUnavailable
from sidecar.delivery.dead_letters.database import KEPT_ASIDE, MOST_WAITING, Database
from sidecar.delivery.dead_letters.schema import MIGRATIONS

PREDICTION = DeadLetterClass.PREDICTION_FAILED


def file_of(directory):
    return directory / "dead_letters.sqlite"


async def letters(store):
    return [one.letter.request_id async for one in store.export(Filter())]


async def filled(directory, count=200):
    """A closed file with letters in it."""
    store = new_store(directory)
    await store.open()
    await store.add_failed_predictions([failed(n) for n in range(count)])
    await store.close()
    return file_of(directory)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"no database at all" * 100,
        lambda data: data[:100],
        lambda data: data[: len(data) // 2],
        lambda data: os.urandom(len(data)),
        lambda data: data[:4096] + b"\xff" * (len(data) - 4096),
        lambda data: data[:16] + b"\x00" * 84 + data[100:],
    ],
    ids=["empty", "text", "head", "half", "noise", "pages", "header"],
)
async def test_whatever_is_in_the_file_letters_are_kept_and_shown(tmp_path, damage):
    path = await filled(tmp_path)
    path.write_bytes(damage(path.read_bytes()))

    store = new_store(tmp_path)
    await store.open()
    await store.add_failed_predictions([failed(1000)])
    found = await letters(store)
    await store.close()

    assert found[-1] == "request-1000"
    assert store.put_aside == len(list(tmp_path.glob("*.aside-*")))


async def test_every_page_may_be_damaged(tmp_path):
    """One page after the other is overwritten; lists, exports and arrivals go on each time."""
    path = await filled(tmp_path)
    whole = path.read_bytes()
    damaged = 0
    for page in range(len(whole) // 4096):
        path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
        store = new_store(tmp_path)
        await store.open()
        await letters(store)
        await store.add_failed_predictions([failed(1000 + page)])
        assert f"request-{1000 + page}" in await letters(store)
        await store.close()
        damaged += store.put_aside
        for old in tmp_path.glob("dead_letters.sqlite*"):
            old.unlink()
    assert damaged


async def test_a_damaged_file_is_put_aside_whole_and_only_the_newest_are_kept(tmp_path, clock):
    contents = []
    for number in range(KEPT_ASIDE + 2):
        clock.now_ns += 1
        contents.append(f"damage {number}".encode() * 200)
        file_of(tmp_path).write_bytes(contents[-1])
        store = new_store(tmp_path, clock=clock)
        await store.open()
        assert store.put_aside == 1
        await store.close()

    kept = sorted(tmp_path.glob("dead_letters.sqlite.aside-*"))
    assert [path.read_bytes() for path in kept] == contents[-KEPT_ASIDE:]


async def test_a_file_of_a_newer_version_is_put_aside_not_understood_wrongly(tmp_path):
    path = await filled(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()

    store = new_store(tmp_path)
    await store.open()

    assert (await letters(store), store.put_aside) == ([], 1)
    await store.close()


async def test_while_the_file_cannot_be_used_calls_say_so_and_afterwards_all_goes_on(tmp_path):
    path = file_of(tmp_path)
    path.mkdir()  # what root cannot open either
    store = new_store(tmp_path)
    await store.open()

    with pytest.raises(StoreUnavailable):
        await store.add_failed_predictions([failed(1)])
    with pytest.raises(OSError, match="cannot be used"):
        await store.add_refused("kafka", [item(failed(1))], ["no"])
    assert store.failures >= 3

    path.rmdir()
    await store.add_failed_predictions([failed(1)])
    assert await letters(store) == ["request-1"]
    await store.close()


async def test_what_somebody_else_holds_locked_is_an_error_not_a_loss(tmp_path, monkeypatch):
    monkeypatch.setattr("sidecar.delivery.dead_letters.database.BUSY_TIMEOUT_S", 0.02)
    store = new_store(tmp_path)
    await store.open()
    other = sqlite3.connect(file_of(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await store.close()
    store = new_store(tmp_path)
    await store.open()

    with pytest.raises(StoreUnavailable, match="locked"):
        await store.add_failed_predictions([failed(1)])
    assert (await letters(store), store.put_aside) == ([], 0)

    other.close()
    await store.add_failed_predictions([failed(1)])
    assert await letters(store) == ["request-1"]
    await store.close()


async def test_files_are_readable_by_nobody_else(tmp_path):
    store = new_store(tmp_path)
    await store.open()
    await store.add_failed_predictions([failed(1)])

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    await store.close()

    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


async def test_too_many_callers_are_told_that_it_is_busy(tmp_path):
    database = Database(tmp_path / "x.sqlite", wall_ns=lambda: 0)
    database.start()
    calls = [
        asyncio.ensure_future(database.read(lambda connection: connection.total_changes))
        for _ in range(MOST_WAITING + 3)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    await database.stop()

    assert sum(isinstance(one, StoreUnavailable) for one in results) == 3
    assert results.count(0) == MOST_WAITING


async def test_a_closed_store_says_so(tmp_path):
    store = new_store(tmp_path)
    await store.open()
    await store.close()
    await store.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        await store.jobs.order(Replay())


async def test_a_caller_that_leaves_does_not_undo_what_was_begun(tmp_path):
    store = new_store(tmp_path)
    await store.open()
    call = asyncio.ensure_future(store.add_failed_predictions([failed(1)]))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await letters(store) == ["request-1"]
    await store.close()
