"""The pump over a real journal: at least once, in batches, and with books that balance."""

import asyncio
import contextlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from harness.delivering import (
    HASTY,
    Journal,
    Kept,
    ScriptedSink,
    eventually,
    pump_of,
    running,
    settled,
)

from sidecar.delivery import CircuitState, Delivered, Refused, RetryPolicy, Unavailable
from sidecar.journal import Cursor, WriterLimits
from sidecar.journal.retention import survey
from sidecar.journal.segments import segment_path


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal") as made:
        yield made


@pytest.fixture
def cursor(tmp_path):
    return tmp_path / "files.cursor"


def policy(**changes):
    return msgspec.structs.replace(HASTY, **changes)


def patient(**changes):
    return policy(retry=msgspec.structs.replace(HASTY.retry, **changes))


async def all_settled(pump, journal):
    await eventually(lambda: settled(pump) == dict(journal.logged), "all is settled and saved")


async def test_everything_arrives_once_and_in_order(journal, cursor):
    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(cursor))
    journal.add(1200)
    async with running(pump):
        await all_settled(pump, journal)
        journal.add(300)
        await all_settled(pump, journal)
    assert sink.got == journal.ids
    assert pump.figures.delivered == 1500
    assert pump.figures.totals == {"delivered": {"stable": 1125, "next": 375}}
    assert (sink.opened, sink.closed) == (1, 1)


async def test_batches_are_bounded_by_count(journal, cursor):
    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(cursor), policy=policy(batch_records=100))
    journal.add(250)
    async with running(pump):
        await all_settled(pump, journal)
    assert sink.batches == [100, 100, 50]


async def test_batches_are_bounded_by_bytes(journal, cursor):
    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(cursor), policy=policy(batch_bytes=4000))
    journal.add(200)
    async with running(pump):
        await all_settled(pump, journal)
    assert len(sink.batches) > 5
    assert max(sink.batches) < 40


async def test_a_batch_that_is_not_full_waits_for_its_age_and_no_longer(journal, cursor):
    @dataclass
    class Clock:
        now_ns: int = 0

    clock = Clock()
    sink = ScriptedSink()
    pump = pump_of(
        sink,
        journal.source(cursor),
        policy=policy(batch_age_s=60.0),
        monotonic_ns=lambda: clock.now_ns,
    )
    journal.add(3)
    async with running(pump):
        await eventually(lambda: pump.figures.queued == 3, "the records are in hand")
        await asyncio.sleep(0.05)
        assert sink.batches == []
        clock.now_ns += 61 * 10**9
        await eventually(lambda: sink.batches == [3], "the batch is sent")


async def test_a_pump_that_comes_back_goes_on_where_it_was(journal, cursor):
    journal.add(100)
    first = ScriptedSink()
    pump = pump_of(first, journal.source(cursor))
    async with running(pump):
        await all_settled(pump, journal)
    journal.add(50)
    second = ScriptedSink()
    pump = pump_of(second, journal.source(cursor))
    async with running(pump):
        await all_settled(pump, journal)
    assert first.got + second.got == journal.ids


async def test_the_position_never_moves_before_the_sink_has_answered(journal, cursor):
    journal.add(10)
    release = asyncio.Event()
    sink = ScriptedSink(lambda _: release.wait())
    pump = pump_of(sink, journal.source(cursor), policy=policy(timeout_s=30.0))
    async with running(pump):
        await eventually(lambda: sink.batches, "the sink has the batch")
        await asyncio.sleep(0.05)
        assert pump.figures.totals == {}
        assert not cursor.exists()
        sink.ending = None
        release.set()
        await all_settled(pump, journal)


async def test_refused_records_become_letters_with_the_sinks_reason(journal, cursor):
    ids = journal.add(40)
    bad = {ids[5], ids[17]}

    def ending(batch):
        return Delivered(
            refused=tuple((n, "it answered 422") for n, one in enumerate(batch) if one.id in bad)
        )

    letters = Kept()
    pump = pump_of(ScriptedSink(ending), journal.source(cursor), letters=letters)
    async with running(pump):
        await all_settled(pump, journal)
    assert letters.reasons == dict.fromkeys(bad, "it answered 422")
    assert pump.figures.totals["dead_lettered"] == {"stable": 2}
    assert (pump.figures.delivered, pump.figures.dead_lettered) == (38, 2)


async def test_a_batch_refused_as_a_whole_is_halved_until_the_culprit_is_alone(journal, cursor):
    ids = journal.add(64)

    def ending(batch):
        if any(one.id == ids[23] for one in batch):
            raise Refused("it answered 400")

    letters, sink = Kept(), ScriptedSink(ending)
    pump = pump_of(sink, journal.source(cursor), letters=letters)
    async with running(pump):
        await all_settled(pump, journal)
    assert letters.reasons == {ids[23]: "it answered 400"}
    assert Counter(sink.got) == Counter(set(ids) - {ids[23]})
    assert len(sink.batches) < 20


async def test_a_sink_that_is_down_is_waited_for_and_loses_nothing(journal, cursor):
    down = True

    def ending(_):
        if down:
            raise Unavailable("cannot connect: Connection refused")

    letters, sink = Kept(), ScriptedSink(ending)
    pump = pump_of(sink, journal.source(cursor), letters=letters)
    journal.add(2000)
    async with running(pump):
        await eventually(lambda: pump.figures.failures > 12, "several attempts failed")
        assert pump.figures.state in {CircuitState.OPEN, CircuitState.HALF_OPEN}
        assert pump.figures.last_error == "cannot connect: Connection refused"
        assert pump.figures.queued <= HASTY.batch_records
        down = False
        await all_settled(pump, journal)
    assert sink.got == journal.ids
    assert letters.letters == {}
    assert pump.figures.state is CircuitState.CLOSED
    assert pump.figures.retried > 500


async def test_an_open_circuit_risks_one_record_at_a_time(journal, cursor):
    def ending(_):
        raise Unavailable("no")

    sink = ScriptedSink(ending)
    pump = pump_of(sink, journal.source(cursor))
    journal.add(50)
    async with running(pump):
        await eventually(lambda: len(sink.batches) >= 12, "probes")
    assert sink.batches[:5] == [50] * 5
    assert set(sink.batches[5:]) == {1}


async def test_what_a_sink_took_before_it_failed_is_not_sent_again(journal, cursor):
    ids = journal.add(6)
    taken = []

    def ending(batch):
        if not taken:
            taken.extend(one.id for one in batch[:4])
            raise Unavailable("it answered 503", taken=range(4))

    sink = ScriptedSink(ending)
    pump = pump_of(sink, journal.source(cursor))
    async with running(pump):
        await all_settled(pump, journal)
    assert taken + sink.got == ids
    assert pump.figures.retried == 2


async def test_retry_after_is_respected(journal, cursor):
    waits = []

    async def pause(seconds):
        waits.append(seconds)
        await asyncio.sleep(0)

    answers = [Unavailable("it answered 429", retry_after_s=42.0)]

    def ending(_):
        if answers:
            raise answers.pop()

    pump = pump_of(ScriptedSink(ending), journal.source(cursor), pause=pause)
    journal.add(1)
    async with running(pump):
        await all_settled(pump, journal)
    assert waits.count(42.0) == 1


async def test_a_sink_that_accepts_and_never_answers_is_a_timeout(journal, cursor):
    journal.add(5)
    cancelled = []

    async def hang(_):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    sink = ScriptedSink(hang)
    pump = pump_of(sink, journal.source(cursor), policy=policy(timeout_s=0.05))
    async with running(pump):
        await eventually(lambda: pump.figures.failures >= 2, "two timeouts")
        assert pump.figures.last_error == "no answer within 0.05 s"
        assert len(cancelled) >= 2
        sink.ending = None
        await all_settled(pump, journal)
    assert set(sink.got) == set(journal.ids)


async def test_a_record_at_which_the_sink_fails_each_time_does_not_hold_the_others_for_ever(
    journal, cursor
):
    ids = journal.add(30)

    def ending(batch):
        if any(one.id == ids[0] for one in batch):
            raise Unavailable("it answered 500")

    letters, sink = Kept(), ScriptedSink(ending)
    pump = pump_of(sink, journal.source(cursor), letters=letters, policy=patient(deadline_s=0.1))
    async with running(pump):
        await eventually(lambda: set(ids[1:]) <= set(sink.got), "the others are through")
        assert letters.letters == {}  # nobody has gone through since: it could be the sink
        while not letters.letters:
            journal.add(2)
            await asyncio.sleep(0.05)
        await all_settled(pump, journal)
    assert letters.reasons == {ids[0]: "retries exhausted: it answered 500"}
    assert Counter(sink.got) == Counter(set(journal.ids) - {ids[0]})


async def test_letters_that_cannot_be_kept_stop_the_pump_and_are_not_lost(journal, cursor, caplog):
    journal.add(3)
    letters = Kept()
    letters.refuses = True
    sink = ScriptedSink(lambda batch: Delivered(refused=((0, "no"),)) if len(batch) > 1 else None)
    paused = asyncio.Event()

    async def pause(seconds):
        if seconds == 1.0:
            paused.set()
        await asyncio.sleep(0.005)

    pump = pump_of(sink, journal.source(cursor), letters=letters, pause=pause)
    async with running(pump):
        await asyncio.wait_for(paused.wait(), 5)
        assert pump.figures.totals == {}
        letters.refuses = False
        await all_settled(pump, journal)
    assert list(letters.reasons) == journal.ids[:1]
    assert [one.message for one in caplog.records].count("delivery waits for the disk") == 1


async def test_a_record_of_another_version_becomes_a_letter_as_it_is(journal, cursor):
    journal.add(2)
    journal.add_raw(b"\xc1 not a record")
    journal.add(2)
    letters, sink = Kept(), ScriptedSink()
    pump = pump_of(sink, journal.source(cursor), letters=letters)
    async with running(pump):
        await all_settled(pump, journal)
    assert sink.got == journal.ids
    assert list(letters.reasons) == ["journal-00-3"]
    assert pump.figures.totals["dead_lettered"] == {"stable": 1}


async def test_a_sink_with_a_defect_is_logged_and_tried_again(journal, cursor, caplog):
    journal.add(1)
    endings = [ZeroDivisionError(), Delivered(refused=((7, "there is none"),))]

    def ending(_):
        if endings:
            one = endings.pop(0)
            if isinstance(one, Exception):
                raise one
            return one
        return None

    sink = ScriptedSink(ending)
    pump = pump_of(sink, journal.source(cursor))
    async with running(pump):
        await all_settled(pump, journal)
    assert len(sink.batches) == 3
    assert [one.message for one in caplog.records].count("a sink failed") == 2


async def test_a_delivery_under_way_may_end_when_the_pump_is_ended(journal, cursor):
    journal.add(10)
    begun = asyncio.Event()

    async def slow(_):
        begun.set()
        await asyncio.sleep(0.1)

    sink = ScriptedSink(slow)
    pump = pump_of(sink, journal.source(cursor))
    async with running(pump):
        await asyncio.wait_for(begun.wait(), 5)
    assert sink.got == journal.ids
    assert settled(Cursor(cursor).load()) == dict(journal.logged)
    assert sink.closed == 1


async def test_a_delivery_that_does_not_end_is_given_up_and_comes_again(journal, cursor):
    journal.add(10)
    begun = asyncio.Event()

    async def hang(_):
        begun.set()
        await asyncio.Event().wait()

    pump = pump_of(ScriptedSink(hang), journal.source(cursor), policy=policy(grace_s=0.05))
    async with running(pump):
        await asyncio.wait_for(begun.wait(), 5)
    assert Cursor(cursor).load().totals == {}


async def test_one_stuck_sink_never_holds_another(journal, cursor, tmp_path):
    async def hang(_):
        await asyncio.Event().wait()

    stuck = pump_of(
        ScriptedSink(hang),
        journal.source(tmp_path / "stuck.cursor"),
        name="stuck",
        policy=policy(timeout_s=60, grace_s=0.05),
    )
    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(cursor))
    async with running(stuck, pump):
        for _ in range(3):
            journal.add(700)
            await all_settled(pump, journal)
    assert sink.got == journal.ids
    assert stuck.figures.totals == {}


async def test_a_sink_flushes_before_the_cursor_moves_and_not_at_all_without_its_word(
    journal, cursor
):
    class Lazy(ScriptedSink):
        fails = True

        async def flush(self):
            if self.fails:
                raise Unavailable("Input/output error")

    sink = Lazy()
    pump = pump_of(sink, journal.source(cursor))
    journal.add(5)
    async with running(pump):
        await eventually(lambda: sink.got, "delivered")
        await asyncio.sleep(0.05)
        assert not cursor.exists()
        sink.fails = False
        await all_settled(pump, journal)


async def test_what_expires_is_counted_by_model_and_the_rest_delivered(tmp_path, cursor):
    limits = WriterLimits(segment_bytes=8 * 1024, gather_s=0.001)
    with Journal(tmp_path / "journal", limits=limits) as journal:

        def down(_):
            raise Unavailable("down")

        sink = ScriptedSink(down)
        pump = pump_of(sink, journal.source(cursor))
        for _ in range(20):
            journal.add(20)
        async with running(pump):
            await eventually(lambda: pump.figures.failures, "the sink is down")
            oldest = survey(journal.directory)[:3]
            expired = [await pump.let_go(segment) for segment in oldest]
            for segment in oldest:
                segment.path.unlink()
            assert Cursor(cursor).load().totals == pump.figures.totals
            sink.ending = None
            await all_settled(pump, journal)
        assert all(expired)
        assert sum(pump.figures.totals["expired"].values()) == sum(expired)
        assert pump.figures.dropped == {"expired": sum(expired)}
        assert sink.got == journal.ids[sum(expired) :]


async def test_letting_go_of_what_was_delivered_costs_nothing(journal, cursor):
    journal.add(10)
    pump = pump_of(ScriptedSink(), journal.source(cursor))
    async with running(pump):
        await all_settled(pump, journal)
        assert await pump.let_go(survey(journal.directory)[0]) == 0
    assert "expired" not in pump.figures.totals


async def test_damaged_records_are_dropped_and_counted(journal, cursor):
    journal.add(40)
    path = segment_path(journal.directory, 0, survey(journal.directory)[0].sequence)
    with path.open("r+b") as file:
        middle = path.stat().st_size // 2
        os.pwrite(file.fileno(), b"\xff" * 40, middle)
    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(cursor))
    async with running(pump):
        await eventually(lambda: len(sink.got) >= 38, "what is intact is delivered")
        await eventually(lambda: settled(pump) == dict(journal.logged), "and the rest counted")
    assert pump.figures.dropped["corrupt"] == 40 - len(sink.got)


async def test_a_journal_that_cannot_be_read_is_tried_again(journal, cursor, caplog):
    caplog.set_level("INFO", "sidecar.delivery")
    journal.add(3)
    source = journal.source(cursor)
    read, broken = source.read, [True, True]

    def flaky(*args, **options):
        if broken:
            broken.pop()
            raise OSError(5, "Input/output error")
        return read(*args, **options)

    source.read = flaky
    sink = ScriptedSink()

    async def pause(_):
        await asyncio.sleep(0.002)

    pump = pump_of(sink, source, pause=pause)
    async with running(pump):
        await all_settled(pump, journal)
    assert sink.got == journal.ids
    messages = [one.message for one in caplog.records]
    assert messages.count("delivery waits for the disk") == 1
    assert messages.count("delivery goes on") == 1


async def test_a_cursor_that_cannot_be_saved_does_not_stop_delivery(journal, cursor):
    source = journal.source(cursor)
    save = source.save

    def full(_):
        raise OSError(28, "No space left on device")

    source.save = full
    sink = ScriptedSink()

    async def pause(_):
        await asyncio.sleep(0.002)

    pump = pump_of(sink, source, pause=pause)
    async with running(pump):
        for _ in range(3):
            journal.add(10)
            await eventually(lambda: sink.got == journal.ids, "delivered all the same")
        assert pump.figures.totals == {}
        source.save = save
        await all_settled(pump, journal)
    assert sink.got == journal.ids


async def test_lag_is_the_age_of_the_oldest_and_the_bytes_behind_the_position(journal, cursor):
    def down(_):
        raise Unavailable("down")

    sink = ScriptedSink(down)
    first_ns = []

    def wall_ns():
        return (first_ns[0] if first_ns else 0) + 90 * 10**9

    pump = pump_of(
        sink,
        journal.source(cursor),
        wall_ns=wall_ns,
        policy=policy(retry=RetryPolicy(first_s=0.01)),
    )
    journal.add(100)
    first_ns.append(1_700_000_000_000_000_000)
    async with running(pump):
        await eventually(lambda: pump.figures.lag_bytes > 20_000, "bytes are ahead")
        assert pump.figures.lag_s == pytest.approx(90.0)


async def test_every_attempt_that_is_answered_is_in_the_latencies(journal, cursor):
    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(cursor), policy=policy(batch_records=10))
    journal.add(100)
    async with running(pump):
        await all_settled(pump, journal)
    assert pump.figures.batch_latency.count == pump.figures.attempts == len(sink.batches)


async def test_a_clock_that_jumps_an_hour_disturbs_nothing(journal, cursor):
    hour_ns = 3600 * 10**9
    jumps = iter([hour_ns, -hour_ns, 5 * hour_ns, -9 * hour_ns] * 10_000)
    at = [1_700_000_000 * 10**9]

    def wall_ns():
        at[0] += next(jumps)
        return at[0]

    sink = ScriptedSink()
    pump = pump_of(sink, journal.source(cursor), wall_ns=wall_ns)
    async with running(pump):
        for _ in range(3):
            journal.add(100)
            await all_settled(pump, journal)
            assert pump.figures.lag_s >= 0
    assert sink.got == journal.ids
    assert pump.figures.failures == 0


async def test_what_a_sink_confirmed_and_could_not_make_durable_is_brought_again(journal, cursor):
    class Forgetful(ScriptedSink):
        broken = True

        async def flush(self):
            if self.broken:
                self.broken = False
                self.got.clear()
                raise Unavailable("Input/output error")

    async def pause(_):
        await asyncio.sleep(0.002)

    sink = Forgetful()
    pump = pump_of(sink, journal.source(cursor), pause=pause)
    journal.add(5)
    async with running(pump):
        await all_settled(pump, journal)
    assert sink.got == journal.ids


async def test_a_pump_that_ended_holds_no_file_of_the_journal(journal, cursor):
    """Each reload may end pumps, and a deleted segment that is held takes its place on the disk."""
    journal.add(10)
    pump = pump_of(ScriptedSink(), journal.source(cursor))

    def held():
        return [one for one in segments_held() if one.startswith(str(journal.directory))]

    begun_with = held()
    async with running(pump):
        await all_settled(pump, journal)
        assert len(held()) > len(begun_with)
    await eventually(lambda: held() == begun_with, "it has let go")


def segments_held():
    """Segments that this process has open."""
    files = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            files.append(str(descriptor.readlink()))
    return sorted(file for file in files if ".seg" in file)
