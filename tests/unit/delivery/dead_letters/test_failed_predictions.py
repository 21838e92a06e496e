"""What becomes a dead letter of what a journal holds, and what happens when nothing can be kept."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from harness.dead_letters import failed
from harness.journals import write, writing

from sidecar.delivery import RetryPolicy
from sidecar.delivery.dead_letters import FailedPredictions, Filter, StoreUnavailable
from sidecar.delivery.dead_letters.failed_predictions import FAILED
from sidecar.journal import FAILURE, Cursor, Reader
from sidecar.model import Role, StatusClass
from sidecar.records import encode

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
        yield lambda *records: write(writer, *[marked(*record) for record in records])


def marked(subject, record):
    """As a worker hands it over: marked if the model failed, whoever was answered."""
    return subject | FAILURE * (record.outcome in FAILED), encode(record)


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


async def test_what_is_not_marked_is_not_even_looked_at(store, tmp_path):
    with writing(tmp_path / "journal") as writer:
        write(writer, (PRIMARY, b"no record"), (PRIMARY, encode(failed(1))), marked(1, failed(2)))
    async with reading(store, tmp_path) as one:
        assert await one.look()
        assert not await one.look()
        assert one.standing.totals == {"dead_lettered": {"stable": 1}, "unreadable": {}, "lost": {}}

    assert await letters(store) == ["request-2"]


async def test_a_mark_is_believed_as_far_as_the_record_agrees(store, tmp_path):
    fine = failed(1, outcome=StatusClass.SUCCESS)
    with writing(tmp_path / "journal") as writer:
        write(writer, (PRIMARY | FAILURE, encode(fine)))
    async with reading(store, tmp_path) as one:
        assert await one.look()

    assert await letters(store) == []


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
        broken = [b"no record", encode(failed(2))[:60]]
        write(writer, marked(0, failed(1)), *[(PRIMARY | FAILURE, one) for one in broken])
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
        write(writer, *[marked(PRIMARY, failed(n)) for n in range(3)])
    (segment,) = (tmp_path / "journal").rglob("*.seg")
    whole = segment.read_bytes()
    at = whole.index(b"request-1")
    segment.write_bytes(whole[:at] + b"R" + whole[at + 1 :])

    async with reading(store, tmp_path) as one:
        while await one.look():
            pass
        assert one.standing.totals["lost"] == {"stable": 1}

    assert await letters(store) == ["request-0", "request-2"]
