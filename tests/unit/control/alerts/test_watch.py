"""The watch as a whole: real receivers, real files, and a value that a test turns."""

import asyncio
import contextlib
import dataclasses
import itertools
import time

import msgspec
import pytest
from harness.alert_receiver import Receiver

from sidecar.config.alerting import (
    AlertSettings,
    AlertSeverity,
    ReceiverSettings,
    ReceiverType,
    RuleSettings,
    Tier,
)
from sidecar.config.units import Duration
from sidecar.control.alerts.courier import Backoff
from sidecar.control.alerts.memory import MEMORY_FILE, WINDOWS_FILE, AlertFiles
from sidecar.control.alerts.watch import AlertWatch
from sidecar.errors import ClientError

RULE = RuleSettings(
    name="r",
    series="sidecar_x",
    tiers=(Tier(severity=AlertSeverity.WARNING, above=10),),
)


def settings_of(**urls: str) -> AlertSettings:
    """One rule that tells receivers at these URLs; everything at once, every few milliseconds."""
    return AlertSettings(
        interval=Duration(0.01),
        defaults=False,
        group_wait=Duration(0),
        group_interval=Duration(0),
        receivers={
            name: ReceiverSettings(type=ReceiverType.WEBHOOK, url=url, timeout=Duration(1))
            for name, url in urls.items()
        },
        rules=(RULE,),
    )


class World:
    """The value of the only series, and watches over one directory."""

    def __init__(self, directory, sample):
        self.directory = directory
        self.files = AlertFiles(directory)
        self.value = 0.0
        self.broken = False
        self._sample = sample
        self._ids = itertools.count()

    def samples(self, names):
        assert names == {"sidecar_x"}
        if self.broken:
            raise RuntimeError("a collector failed")
        one = self._sample("sidecar_x", 0, a="1")
        return [dataclasses.replace(one, value=self.value)]

    def watch(self, settings, launch="launch-1") -> AlertWatch:
        self.files = AlertFiles(self.directory)  # as another process would
        return AlertWatch(
            settings,
            launch=launch,
            samples=self.samples,
            files=self.files,
            wall_ns=time.time_ns,
            monotonic_ns=time.monotonic_ns,
            environ={},
            ids=lambda: f"id-{next(self._ids)}",
            chance=lambda: 0.0,
            backoff=Backoff(first_s=0.01, longest_s=0.02),
        )


@pytest.fixture
def world(tmp_path, sample):
    return World(tmp_path, sample)


@contextlib.asynccontextmanager
async def running(watch):
    """Let it watch; the end is as sudden as a cancelled task's."""
    task = asyncio.ensure_future(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(fact):
    for _ in range(2000):
        if fact():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


async def a_few_looks():
    await asyncio.sleep(0.1)


def said(receiver) -> list[str]:
    return [one["status"] for body in receiver.bodies for one in body["alerts"]]


async def test_an_alert_and_its_end_are_told_once_each(world):
    async with Receiver() as receiver, running(world.watch(settings_of(ops=receiver.url))):
        world.value = 11
        await until(lambda: said(receiver) == ["firing"])
        await a_few_looks()
        world.value = 1
        await until(lambda: said(receiver) == ["firing", "resolved"])
        await a_few_looks()

    assert said(receiver) == ["firing", "resolved"]


async def test_a_message_is_on_disk_before_it_is_sent_and_its_confirmation_after(world):
    async with Receiver(["hang", (200, {})]) as receiver:
        async with running(world.watch(settings_of(ops=receiver.url))):
            world.value = 11
            await until(lambda: receiver.bodies)
            sent = receiver.bodies[0]["id"]
            (outgoing,) = world.files.read().ledgers["ops"].outgoing
            assert outgoing.id == sent

            receiver.released.set()
            await until(lambda: not world.files.read().ledgers["ops"].outgoing)
        assert list(world.files.read().ledgers["ops"].told.values()) == [True]


async def test_after_a_restart_nothing_is_repeated_and_the_end_is_told(world):
    world.value = 11
    async with Receiver() as receiver:
        settings = settings_of(ops=receiver.url)
        async with running(world.watch(settings)) as watch:
            await until(lambda: said(receiver) == ["firing"])
            await until(lambda: not watch.couriers["ops"].waiting)
            (before,) = watch.state.alerts.values()
        async with running(world.watch(settings)) as watch:
            await until(lambda: watch.state.seen)
            await a_few_looks()
            assert said(receiver) == ["firing"]
            (after,) = watch.state.alerts.values()
            assert after.episode == before.episode
            world.value = 1
            await until(lambda: said(receiver) == ["firing", "resolved"])


async def test_a_message_without_confirmation_is_sent_again_under_its_id(world):
    world.value = 11
    async with Receiver(["hang", (200, {})]) as receiver:
        settings = settings_of(ops=receiver.url)
        async with running(world.watch(settings)):
            await until(lambda: receiver.bodies)
        async with running(world.watch(settings)):
            await until(lambda: len(receiver.bodies) == 2)

    first, second = receiver.headers
    assert first["Idempotency-Key"] == second["Idempotency-Key"]


async def test_a_receiver_that_fails_is_told_when_it_can_be_again(world):
    world.value = 11
    answers = [(500, {}), "hang", (429, {"Retry-After": "0"}), (200, {})]
    async with Receiver(answers) as receiver:
        settings = settings_of(ops=receiver.url)
        quick = msgspec.structs.replace(settings.receivers["ops"], timeout=Duration(0.05))
        settings = msgspec.structs.replace(settings, receivers={"ops": quick})
        async with running(world.watch(settings)) as watch:
            await until(lambda: len(receiver.bodies) == 4)
            await until(lambda: not watch.couriers["ops"].waiting)
            await a_few_looks()

    assert len(receiver.bodies) == 4
    assert len({body["id"] for body in receiver.bodies}) == 1


async def test_a_receiver_that_hangs_holds_no_other(world):
    world.value = 11
    async with (
        Receiver(["hang"]) as stuck,
        Receiver() as other,
        running(world.watch(settings_of(stuck=stuck.url, other=other.url))) as watch,
    ):
        await until(lambda: said(other) == ["firing"])
        world.value = 1
        await until(lambda: said(other) == ["firing", "resolved"])
        assert watch.couriers["stuck"].waiting == 1


async def test_a_disk_that_refuses_stops_no_message(world, tmp_path, caplog):
    world.directory = tmp_path / "nowhere"
    world.value = 11
    async with Receiver() as receiver, running(world.watch(settings_of(ops=receiver.url))):
        await until(lambda: said(receiver) == ["firing"])
        (tmp_path / "nowhere").mkdir()
        await until((tmp_path / "nowhere" / MEMORY_FILE).exists)  # with no further change

    words = [record.message for record in caplog.records]
    assert words.count("alerts go on but cannot be written; a restart may repeat some") == 1


async def test_files_that_cannot_be_read_are_set_aside_and_alerts_begin_anew(
    world, tmp_path, caplog
):
    (tmp_path / MEMORY_FILE).write_bytes(b"\xc1 not this")
    (tmp_path / WINDOWS_FILE).write_bytes(b"\xc1 nor this")

    watch = world.watch(settings_of())

    assert (watch.state.alerts, watch.silences) == ({}, ())
    assert (tmp_path / "alerts.unreadable").read_bytes() == b"\xc1 not this"
    assert [record.message for record in caplog.records] == [
        "alerts begin anew",
        "windows of alerts begin anew",
    ]


async def test_series_that_cannot_be_read_are_missing_values(world, caplog):
    world.value = 11
    async with Receiver() as receiver, running(world.watch(settings_of(ops=receiver.url))) as watch:
        await until(lambda: said(receiver) == ["firing"])
        world.broken = True
        await a_few_looks()
        assert [one.state.fires for one in watch.state.alerts.values()] == [True]
        world.broken = False
        world.value = 1
        await until(lambda: said(receiver) == ["firing", "resolved"])

    assert len([one for one in caplog.records if "cannot read the series" in one.message]) == 1


async def test_a_fault_in_looking_ends_neither_the_watch_nor_an_alert(world, caplog):
    world.value = 11
    async with Receiver() as receiver, running(world.watch(settings_of(ops=receiver.url))):
        await until(lambda: said(receiver) == ["firing"])
        world.value = "no number"
        await until(lambda: "alerts could not be evaluated" in caplog.messages)
        world.value = 1
        await until(lambda: said(receiver) == ["firing", "resolved"])


async def test_a_long_time_without_a_sidecar_is_no_missing_data(world, tmp_path):
    world.value = 11
    async with Receiver() as receiver:
        settings = settings_of(ops=receiver.url)
        async with running(world.watch(settings)) as watch:
            await until(lambda: said(receiver) == ["firing"])
            await until(lambda: not watch.couriers["ops"].waiting)
        memory = world.files.read()
        hours_ago = {
            key: msgspec.structs.replace(alert, seen_ns=alert.seen_ns - 10**13)
            for key, alert in memory.alerts.items()
        }
        AlertFiles(tmp_path).write(msgspec.structs.replace(memory, alerts=hours_ago), 1)
        world.broken = True
        async with running(world.watch(settings)) as watch:
            await a_few_looks()
            assert [one.state.fires for one in watch.state.alerts.values()] == [True]

    assert said(receiver) == ["firing"]


# --- silences ------------------------------------------------------------------------------------


async def test_silences_outlive_a_restart_and_end_when_told(world):
    world.value = 11
    async with Receiver() as receiver:
        settings = settings_of(ops=receiver.url)
        async with running(world.watch(settings)) as watch:
            # Before the first look: what was announced cannot be silenced.
            made = await watch.silence({"a": "1"}, for_s=60, author="me", comment="why")
            await a_few_looks()
        async with running(world.watch(settings)) as watch:
            await a_few_looks()
            assert said(receiver) == []
            assert watch.silences == (made,)
            await watch.unsilence(made.id)
            await until(lambda: said(receiver) == ["firing"])

    assert world.files.read().silences == ()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"matchers": {}}, "at least one matcher"),
        ({"matchers": {"a": "~(b+)+"}}, "found a group that is repeated"),
        ({"for_s": 0}, "lasts more than 0s"),
        ({"for_s": 1e9}, "at most 365d"),
        ({"author": " "}, "needs its author"),
        ({"comment": "x" * 501}, "needs its comment"),
    ],
)
async def test_a_silence_that_makes_no_sense_is_refused(world, keys, sentence):
    watch = world.watch(settings_of())
    usual = {"matchers": {"a": "1"}, "for_s": 60, "author": "me", "comment": "why"}

    with pytest.raises(ClientError, match=sentence):
        await watch.silence(**{**usual, **keys})


async def test_a_silence_that_is_not_there_cannot_be_ended(world):
    with pytest.raises(ClientError, match="no silence 'x'"):
        await world.watch(settings_of()).unsilence("x")


async def test_a_silence_is_over_when_its_time_is(world):
    watch = world.watch(settings_of())
    await watch.silence({"a": "1"}, for_s=0.02, author="me", comment="why")
    await asyncio.sleep(0.03)
    await watch.tick()

    assert watch.silences == ()


# --- reloads and tests ---------------------------------------------------------------------------


async def test_a_reload_keeps_what_did_not_change_and_tells_new_receivers(world):
    world.value = 11
    async with (
        Receiver() as one,
        Receiver() as two,
        running(world.watch(settings_of(one=one.url))) as watch,
    ):
        await until(lambda: said(one) == ["firing"])
        courier = watch.couriers["one"]
        watch.reconfigure(settings_of(one=one.url, two=two.url))
        await until(lambda: said(two) == ["firing"])
        assert watch.couriers["one"] is courier
        watch.reconfigure(settings_of(two=two.url))
        world.value = 1
        await until(lambda: said(two) == ["firing", "resolved"])

    assert said(one) == ["firing"]


async def test_what_was_reloaded_holds_for_the_next_controller_of_this_launch_only(world):
    async with Receiver() as receiver:
        reloaded = settings_of(ops=receiver.url)
        async with running(world.watch(settings_of())) as watch:
            watch.reconfigure(reloaded)
            await until(lambda: world.files.read().settings_of("launch-1") == reloaded)

    assert world.watch(settings_of()).settings == reloaded
    assert world.watch(settings_of(), launch="launch-2").settings == settings_of()


async def test_a_test_message_goes_to_each_receiver_once_and_says_how_it_fared(world):
    async with (
        Receiver() as good,
        Receiver([(500, {})]) as bad,
        running(world.watch(settings_of(good=good.url, bad=bad.url))) as watch,
    ):
        await until(lambda: watch.couriers)
        results = {one.receiver: one for one in await watch.test(None)}
        (only,) = await watch.test("good")
        with pytest.raises(ClientError, match="the receivers are: good, bad"):
            await watch.test("ugly")

    assert (results["good"].delivered, results["bad"].delivered) == (True, False)
    assert results["bad"].detail == "it answered 500 Internal Server Error"
    assert only.delivered
    assert (len(good.bodies), len(bad.bodies)) == (2, 1)


async def test_windows_are_written_at_the_end(world):
    world.value = 1
    counting = msgspec.structs.replace(RULE, increase=Duration(60))
    settings = msgspec.structs.replace(settings_of(), rules=(counting,))
    async with running(world.watch(settings)) as watch:
        await until(lambda: watch.state.windows.tracks)

    assert world.files.read_windows() == watch.state.windows


async def test_without_receivers_alerts_go_to_the_log(world, caplog):
    world.value = 11
    async with running(world.watch(settings_of())):
        await until(lambda: [one for one in caplog.records if one.message == "an alert fires"])


async def test_series_for_which_there_is_no_room_are_said_once(world, monkeypatch, caplog):
    monkeypatch.setattr("sidecar.control.alerts.windows.MOST_TRACKS", 0)
    rate = msgspec.structs.replace(RULE, rate=Duration(60))
    watch = world.watch(msgspec.structs.replace(settings_of(), rules=(rate,)))

    await watch.tick()
    await watch.tick()

    (record,) = [one for one in caplog.records if "too many series" in one.message]
    assert record.left_out == 1
