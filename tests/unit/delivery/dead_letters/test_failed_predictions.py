"""What becomes a dead letter of what a journal holds, and what happens when nothing can be kept."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest
from harness.dead_letters import failed
from harness.journals import write, writing

from sidecar.delivery import RetryPolicy
from sidecar.delivery.dead_letters import FailedPredictions, Filter, StoreUnavailable
from sidecar.delivery.dead_letters.failed_predictions import FAILED, Glance
from sidecar.journal import Cursor, Reader
from sidecar.model import Role, StatusClass
from sidecar.records import Record, encode

PRIMARY, CANARY, SHADOW = range(3)  # subjects of the table that `writing` uses


def consumer(store, tmp_path, **options):
    return FailedPredictions(
        store,
        Reader(tmp_path / "journal"),
        Cursor(tmp_path / "cursor"),
        **{"monotonic_s": lambda: 0.0, "chance": lambda: 0.0} | options,
    )


@contextlib.asynccontextmanager
async def reading(store, tmp_path):
    """A consumer that is opened, and closed as at an orderly end."""
    one = consumer(store, tmp_path)
    await one.open()
    yield one
    await one.close()


@pytest.fixture
def journal(tmp_path):
    with writing(tmp_path / "journal") as writer:
        yield lambda *records: write(
            writer, *[(subject, encode(record)) for subject, record in records]
        )


async def letters(store):
    return [one.letter.request_id async for one in store.export(Filter())]


@pytest.mark.parametrize("outcome", StatusClass)
@pytest.mark.parametrize("subject", [PRIMARY, CANARY, SHADOW])
async def test_failures_of_models_that_answer_become_letters_and_nothing_else_does(
    store, tmp_path, journal, subject, outcome
):
    role = list(Role)[subject]
    journal((subject, failed(1, role=role, outcome=outcome)))
    async with reading(store, tmp_path) as one:
        assert await one.look()

    is_failure = outcome in {"5xx", "error"} and role != "shadow"
    assert await letters(store) == (["request-1"] if is_failure else [])


def test_a_glance_sees_the_first_fields_of_a_record_as_they_are():
    record = failed(7, status=0, outcome=StatusClass.ERROR, failure="upstream_timeout")
    glance = msgspec.msgpack.decode(encode(record), type=Glance)

    assert Glance.__struct_fields__ == Record.__struct_fields__[: len(Glance.__struct_fields__)]
    for name in Glance.__struct_fields__:
        assert getattr(glance, name) == getattr(record, name)
    assert {StatusClass.SERVER_ERROR, StatusClass.ERROR} == FAILED


async def test_it_goes_on_where_it_was_and_reads_nothing_twice(store, tmp_path, journal):
    journal(*[(PRIMARY, failed(n)) for n in range(3)])
    async with reading(store, tmp_path) as one:
        while await one.look():
            pass

    journal((PRIMARY, failed(3)), (CANARY, failed(4, model="next", outcome=StatusClass.SUCCESS)))
    async with reading(store, tmp_path) as again:
        while await again.look():
            pass
        totals = again.standing.totals

    figures = next(iter(store.figures.values()))
    assert (figures.arrived, figures.repeated) == (4, 0)
    assert totals == {"dead_lettered": {"stable": 4}, "unreadable": {}, "lost": {}}


async def test_a_process_that_is_killed_reads_again_and_makes_no_letter_twice(
    store, tmp_path, journal
):
    journal(*[(PRIMARY, failed(n)) for n in range(5)])
    killed = consumer(store, tmp_path)
    await killed.open()
    await killed.look()  # and is never closed

    async with reading(store, tmp_path) as one:
        await one.look()

    figures = next(iter(store.figures.values()))
    assert (figures.arrived, figures.repeated) == (5, 5)
    assert len(await letters(store)) == 5


async def test_what_is_no_record_is_counted_and_passed(store, tmp_path):
    with writing(tmp_path / "journal") as writer:
        write(writer, (0, b"no record"), (0, encode(failed(1))), (0, encode(failed(2))[:60]))
    async with reading(store, tmp_path) as one:
        await one.look()
        assert one.standing.totals["unreadable"] == {"stable": 2}

    assert await letters(store) == ["request-1"]


async def test_while_the_store_refuses_it_stands_still_and_loses_nothing(
    store, tmp_path, journal, monkeypatch, caplog
):
    journal(*[(PRIMARY, failed(n)) for n in range(3)])
    adding = store.add_failed_predictions
    attempts = 0

    async def refuses(records):
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise StoreUnavailable("disk full")
        return await adding(records)

    monkeypatch.setattr(store, "add_failed_predictions", refuses)
    monkeypatch.setattr(
        "sidecar.delivery.dead_letters.failed_predictions.PATIENCE", RetryPolicy(first_s=0.001)
    )
    one = consumer(store, tmp_path)
    await one.open()
    task = asyncio.ensure_future(one.run())
    async with asyncio.timeout(10):
        while len(await letters(store)) < 3:  # noqa: ASYNC110 - it is another task's doing
            await asyncio.sleep(0.002)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await one.close()

    assert attempts >= 3
    assert caplog.text.count("failed predictions cannot be kept") == 1


async def test_a_cursor_that_cannot_be_written_is_said_and_letters_are_kept(
    store, tmp_path, journal, caplog
):
    journal((PRIMARY, failed(1)))
    one = consumer(store, tmp_path)
    await one.open()
    await one.look()
    (tmp_path / "cursor").mkdir()
    await one.close()

    assert await letters(store) == ["request-1"]
    assert "the place in the journal cannot be saved" in caplog.text


async def test_records_that_were_lost_before_they_were_looked_at_are_counted(store, tmp_path):
    with writing(tmp_path / "journal") as writer:
        write(writer, *[(PRIMARY, encode(failed(n))) for n in range(3)])
    (segment,) = (tmp_path / "journal").rglob("*.seg")
    whole = segment.read_bytes()
    at = whole.index(b"request-1")
    segment.write_bytes(whole[:at] + b"R" + whole[at + 1 :])

    async with reading(store, tmp_path) as one:
        while await one.look():
            pass
        assert one.standing.totals["lost"] == {"stable": 1}

    assert await letters(store) == ["request-0", "request-2"]
