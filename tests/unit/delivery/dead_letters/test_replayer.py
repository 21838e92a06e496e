"""Replays against real models and scripted sinks: what is sent, what becomes of letters."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from harness.dead_letters import ListSink, captured, failed, item, new_store, world

from sidecar.delivery import Delivered, Refused, Unavailable
from sidecar.delivery.dead_letters import (
    Counts,
    DeadLetterClass,
    Fate,
    Filter,
    JobState,
    LetterState,
    Replay,
    Replayer,
)
from sidecar.delivery.dead_letters.job_store import MOST_UNFINISHED
from sidecar.delivery.dead_letters.jobs import Outcome
from sidecar.delivery.dead_letters.model_target import KEPT_ANSWER_BYTES
from sidecar.delivery.dead_letters.run import GIVE_UP_AFTER, Pace
from sidecar.errors import ClientError
from sidecar.model import StatusClass
from sidecar.records import Redactor
from sidecar.records.naming import RedactionRules


class Model:
    """A model that keeps its requests and answers by `handler`."""

    def __init__(self) -> None:
        self.requests: list[tuple[web.BaseRequest, bytes]] = []
        self.status = 200
        self.body = b'{"predictions": [1]}'
        self.gate: asyncio.Event | None = None
        self.waiting = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((request, await request.read()))
        if self.gate is not None:
            self.waiting.set()
            await self.gate.wait()
        return web.Response(status=self.status, body=self.body, content_type="application/json")

    @property
    def ids(self) -> list[str]:
        return [request.headers["X-Request-Id"] for request, _ in self.requests]


@contextlib.asynccontextmanager
async def serving(*models):
    """Serve models; gives their URLs."""
    async with contextlib.AsyncExitStack() as stack:
        urls = []
        for model in models:
            server = await stack.enter_async_context(TestServer(_application(model)))
            urls.append(str(server.make_url("/")).rstrip("/"))
        yield urls


def _application(model):
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", model.answer)
    return application


@contextlib.asynccontextmanager
async def running(store, there, **options):
    """A replayer that runs; it is cancelled at the end, as when the process ends."""
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    replayer = Replayer(
        store,
        there,
        monotonic_s=lambda: 0.0,
        chance=lambda: 0.0,
        **{"pause": pause} | options,
    )
    replayer.pauses = pauses
    task = asyncio.ensure_future(replayer.run())
    try:
        yield replayer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def over(store, job):
    """The job when it is over."""
    async with asyncio.timeout(10):
        while True:
            now = await store.jobs.get(job.id)
            if now.state.over:
                return now
            await asyncio.sleep(0.005)


async def until(condition):
    """Wait until it holds."""
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def replayed(store, there, replay=Replay()):  # noqa: B008 - a frozen value
    """Order, and wait for the end."""
    async with running(store, there) as replayer:
        return await over(store, await replayer.order(replay))


async def state_of(store, letter_id):
    return (await store.get(letter_id)).letter.state


# -- to models -----------------------------------------------------------------------------------


async def test_a_model_gets_the_request_that_it_failed_marked_as_a_replay(store):
    model = Model()
    record = failed(
        1,
        path="/v2/models/a%20b/infer",
        captured=captured(
            query="x=%2F&y=1",
            request_headers=(
                ("Content-Type", "application/json; v=1"),
                ("X-Region", "eu"),
                ("x-region", "us"),
                ("Host", "somewhere.else"),
                ("Connection", "x-hop"),
                ("Content-Length", "9999"),
                ("X-Request-Id", "another"),
            ),
        ),
    )
    await store.add_failed_predictions([record])
    async with serving(model) as (url,):
        job = await replayed(store, world({"stable": url}))

    ((request, body),) = model.requests
    assert (request.method, request.raw_path) == ("POST", "/v2/models/a%20b/infer?x=%2F&y=1")
    assert body == record.captured.request_body
    assert request.headers.getall("X-Region") == ["eu", "us"]
    assert request.headers["Content-Type"] == "application/json; v=1"
    assert request.headers["Content-Length"] == str(len(body))
    assert request.headers["Host"] == url.removeprefix("http://")
    assert request.headers["X-Request-Id"] == "request-1"
    assert request.headers["X-Sidecar-Replay"] == job.id
    assert not {"User-Agent", "Accept-Encoding", "Accept"} & set(request.headers)
    assert (job.state, job.counts) == (JobState.DONE, Counts(replayed=1))


async def test_a_letter_that_was_answered_is_replayed_and_keeps_the_answer(store):
    model = Model()
    await store.add_failed_predictions([failed(1)])
    async with serving(model) as (url,):
        await replayed(store, world({"stable": url}))

    kept = await store.get(1)
    assert (kept.letter.state, kept.letter.attempts) == (LetterState.REPLAYED, 1)
    assert (kept.answer.status, kept.answer.model) == (200, "stable")
    assert kept.answer.body == model.body
    assert kept.answer.content_type == "application/json"
    assert kept.letter.size_bytes > len(kept.encoded) + len(model.body)


async def test_a_letter_whose_answer_is_an_error_failed_again_and_may_be_replayed_later(store):
    model = Model()
    model.status = 500
    await store.add_failed_predictions([failed(1)])
    async with serving(model) as (url,):
        job = await replayed(store, world({"stable": url}))
        letter = (await store.get(1)).letter
        assert job.counts == Counts(failed_again=1)
        assert (letter.state, letter.note) == (LetterState.FAILED_AGAIN, "answered 500")

        model.status = 201
        job = await replayed(store, world({"stable": url}))
        assert job.counts == Counts(replayed=1)
        assert (await store.get(1)).letter.attempts == 2

        assert (await replayed(store, world({"stable": url}))).total == 0


async def test_letters_go_to_another_model_when_one_is_named(store):
    old, new = Model(), Model()
    await store.add_failed_predictions([failed(1)])
    await store.add_refused("files", [item(failed(2))], ["no"])
    async with serving(old, new) as (old_url, new_url):
        there = world({"stable": old_url, "next": new_url}, {"files": ListSink()})
        job = await replayed(store, there, Replay(to="next"))

        assert (len(old.requests), len(new.requests)) == (0, 1)
        assert job.total == 1
        assert (await store.get(1)).answer.model == "next"
        with pytest.raises(ClientError, match="no model 'nobody'"):
            await replayed(store, there, Replay(to="nobody"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"captured": captured(request_cut=70_000)}, "cut"),
        ({"captured": captured(request_redacted=True)}, "redacted"),
        ({"captured": None}, "not kept"),
        ({"model": "gone"}, "no model 'gone'"),
    ],
)
async def test_what_cannot_be_sent_as_it_was_is_refused_and_says_why(store, changes, why):
    model = Model()
    await store.add_failed_predictions([failed(1, **changes), failed(2)])
    async with serving(model) as (url,):
        job = await replayed(store, world({"stable": url}))

    letter = (await store.get(1)).letter
    assert job.counts == Counts(replayed=1, refused=1)
    assert (letter.state, letter.attempts) == (LetterState.WAITING, 0)
    assert why in letter.note
    assert model.ids == ["request-2"]


async def test_a_model_that_is_away_is_waited_for_then_given_up_and_its_letters_stay(store):
    model = Model()
    await store.add_failed_predictions(
        [failed(1, model="away"), failed(2), failed(3, model="away")]
    )
    async with serving(model) as (url,):
        there = world({"stable": url, "away": f"http://127.0.0.1:{unused_port()}"})
        async with running(store, there) as replayer:
            job = await over(store, await replayer.order(Replay(concurrency=1)))

    assert (job.state, job.counts) == (JobState.GAVE_UP, Counts(replayed=1, unreached=2))
    assert "model away: cannot connect" in job.reason
    waits = [wait for wait in replayer.pauses if wait]
    assert len(waits) == GIVE_UP_AFTER - 1
    assert waits == sorted(waits)
    for letter_id in (1, 3):
        letter = (await store.get(letter_id)).letter
        assert (letter.state, letter.attempts) == (LetterState.WAITING, 0)
        assert "cannot connect" in letter.note


async def test_a_model_that_comes_back_while_it_is_waited_for_gets_all(store):
    model = Model()
    port = unused_port()
    await store.add_failed_predictions([failed(n) for n in range(5)])
    server = TestServer(_application(model), port=port)

    async def pause(seconds: float) -> None:
        if seconds > 1 and not server.started:
            await server.start_server()

    async with running(
        store, world({"stable": f"http://127.0.0.1:{port}"}), pause=pause
    ) as replayer:
        job = await over(store, await replayer.order(Replay(concurrency=1)))
    await server.close()

    assert (job.state, job.counts) == (JobState.DONE, Counts(replayed=5))


async def test_a_model_that_does_not_answer_in_time_failed_again(store):
    model = Model()
    model.gate = asyncio.Event()
    await store.add_failed_predictions([failed(1)])
    async with serving(model) as (url,):
        job = await replayed(store, world({"stable": url}), Replay(timeout_s=0.05))
        model.gate.set()

    assert job.counts == Counts(failed_again=1)
    assert (await store.get(1)).letter.note == "no answer within 0.05 s"


async def test_of_a_long_answer_the_beginning_is_kept_and_the_length_said(store):
    model = Model()
    model.body = b"x" * (3 * KEPT_ANSWER_BYTES)
    await store.add_failed_predictions([failed(1)])
    async with serving(model) as (url,):
        await replayed(store, world({"stable": url}))

    answer = (await store.get(1)).answer
    assert (len(answer.body), answer.cut) == (KEPT_ANSWER_BYTES, 3 * KEPT_ANSWER_BYTES)


async def test_secrets_of_an_answer_are_hidden_before_it_is_kept(store, tmp_path):
    model = Model()
    model.body = b'{"predictions": [1], "customer": {"name": "hunter2"}}'
    rules = msgspec.convert(
        {"pointers": [{"pointer": "/customer/name", "how": "mask"}]}, RedactionRules
    )
    await store.add_failed_predictions([failed(1), failed(2)])
    async with serving(model) as (url,):
        there = world({"stable": url}, redactors=lambda _route: Redactor(rules))
        await replayed(store, there, Replay(filter=Filter(id=1)))
        model.body = b"hunter2, in no form that could be read"
        await replayed(store, there, Replay(filter=Filter(id=2)))

    assert b"hunter2" not in (await store.get(1)).answer.body
    assert b'"predictions":[1]' in (await store.get(1)).answer.body
    assert ((await store.get(2)).answer.body, (await store.get(2)).answer.withheld) == (
        b"",
        "not_parsed",
    )
    assert not any(b"hunter2" in path.read_bytes() for path in tmp_path.iterdir())


async def test_endpoints_of_a_model_take_turns(store):
    models = [Model(), Model()]
    await store.add_failed_predictions([failed(n) for n in range(6)])
    async with serving(*models) as urls:
        await replayed(store, world({"stable": tuple(urls)}))

    assert [len(model.requests) for model in models] == [3, 3]


async def test_a_model_behind_a_unix_socket_is_reached(store, tmp_path):
    model = Model()
    runner = web.AppRunner(_application(model))
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "model.sock")).start()
    await store.add_failed_predictions([failed(1)])

    job = await replayed(store, world({"stable": f"unix:{tmp_path}/model.sock"}))

    await runner.cleanup()
    assert job.counts == Counts(replayed=1)


async def test_bytes_of_a_header_that_are_utf_8_arrive_as_they_were(store):
    model = Model()
    value = "größe".encode().decode("latin-1")
    await store.add_failed_predictions(
        [failed(1, captured=captured(request_headers=(("X-Wort", value),)))]
    )
    async with serving(model) as (url,):
        await replayed(store, world({"stable": url}))

    ((request, _),) = model.requests
    assert dict(request.raw_headers)[b"X-Wort"] == "größe".encode()


# -- to sinks ------------------------------------------------------------------------------------


async def test_records_go_to_their_own_sink_with_their_ids_in_batches(store):
    files, kafka = ListSink(), ListSink()
    for sink, numbers in (("files", range(150)), ("kafka", range(3))):
        items = [item(failed(n)) for n in numbers]
        await store.add_refused(sink, items, ["no"] * len(items))

    job = await replayed(store, world(sinks={"files": files, "kafka": kafka}))

    assert job.counts == Counts(replayed=153)
    assert sorted(files.got) == [failed(n).id for n in range(150)]
    assert sorted(kafka.got) == [failed(n).id for n in range(3)]
    assert len(files.batches) == 2


async def test_what_a_sink_refuses_again_failed_again_for_its_new_reason(store):
    sink = ListSink(Delivered(refused=((1, "still too large"),)))
    await store.add_refused("kafka", [item(failed(n)) for n in range(3)], ["too large"] * 3)

    job = await replayed(store, world(sinks={"kafka": sink}))

    assert job.counts == Counts(replayed=2, failed_again=1)
    letter = (await store.get(2)).letter
    assert (letter.state, letter.note) == (LetterState.FAILED_AGAIN, "still too large")


async def test_a_batch_that_is_refused_as_a_whole_is_halved_until_the_culprit_is_alone(store):
    culprit = failed(5).id

    class Picky(ListSink):
        async def deliver(self, batch):
            self.batches.append([one.id for one in batch])
            if culprit in self.batches[-1]:
                raise Refused("413")
            return Delivered()

    sink = Picky()
    await store.add_refused("http", [item(failed(n)) for n in range(16)], ["413"] * 16)

    job = await replayed(store, world(sinks={"http": sink}))

    assert job.counts == Counts(replayed=15, failed_again=1)
    assert await state_of(store, 6) is LetterState.FAILED_AGAIN
    assert len(sink.batches) == 9  # the whole, then two halves at each of four depths


async def test_a_sink_that_is_away_keeps_what_it_took_before(store):
    sink = ListSink(
        Unavailable("broker gone", taken=[0], refused=[(2, "too large")]),
        *[Unavailable("broker gone")] * 20,
    )
    await store.add_refused("kafka", [item(failed(n)) for n in range(4)], ["no"] * 4)

    job = await replayed(store, world(sinks={"kafka": sink}))

    assert (job.state, job.reason) == (JobState.GAVE_UP, "sink kafka: broker gone")
    assert job.counts == Counts(replayed=1, failed_again=1, unreached=2)
    assert [await state_of(store, n) for n in range(1, 5)] == [
        LetterState.REPLAYED, LetterState.WAITING, LetterState.FAILED_AGAIN, LetterState.WAITING,
    ]  # fmt: skip
    assert sink.batches[1:] == [[failed(1).id, failed(3).id]] * (GIVE_UP_AFTER - 1)


async def test_a_sink_that_does_not_answer_in_time_is_out_of_reach(store):
    class Silent(ListSink):
        async def deliver(self, batch):
            self.batches.append([one.id for one in batch])
            await asyncio.Event().wait()

    sink = Silent()
    await store.add_refused("kafka", [item(failed(1))], ["no"])

    job = await replayed(store, world(sinks={"kafka": sink}), Replay(timeout_s=0.01))

    assert (job.state, job.reason) == (JobState.GAVE_UP, "sink kafka: no answer within 0.01 s")
    assert len(sink.batches) == GIVE_UP_AFTER


async def test_a_sink_that_breaks_does_not_break_the_replayer(store, caplog):
    class Broken(ListSink):
        async def deliver(self, batch):
            raise ZeroDivisionError

    model = Model()
    await store.add_refused("kafka", [item(failed(1))], ["no"])
    await store.add_failed_predictions([failed(2)])
    async with serving(model) as (url,):
        job = await replayed(store, world({"stable": url}, {"kafka": Broken()}))

    assert (job.state, job.counts) == (JobState.GAVE_UP, Counts(replayed=1, unreached=1))
    assert "a sink failed" in caplog.text


# -- jobs ----------------------------------------------------------------------------------------


async def test_a_preview_says_what_would_go_where_and_sends_nothing(store):
    model, sink = Model(), ListSink()
    await store.add_failed_predictions(
        [failed(1), failed(2, captured=captured(request_cut=9)), failed(3, model="gone")]
    )
    await store.add_refused("kafka", [item(failed(4))], ["no"])
    await store.add_refused("gone", [item(failed(5))], ["no"])
    async with serving(model) as (url,):
        replayer = Replayer(
            store,
            world({"stable": url}, {"kafka": sink}),
            monotonic_s=lambda: 0.0,
            chance=lambda: 0.0,
        )
        preview = await replayer.preview(Replay())

    assert preview.total == 5
    assert preview.sent == {"model stable": 1, "sink kafka": 1}
    assert sum(preview.refused.values()) == 3
    assert any("cut" in why for why in preview.refused)
    assert (model.requests, sink.batches, await store.jobs.recent()) == ([], [], [])


async def test_a_replay_that_died_half_way_goes_on_where_it_was(store, tmp_path, clock):
    """The first replayer is dropped with letters under way, and the file opened anew."""
    model = Model()
    await store.add_failed_predictions([failed(n) for n in range(30)])
    async with serving(model) as (url,):
        there = world({"stable": url})
        async with running(store, there) as replayer:
            job = await replayer.order(Replay(concurrency=3))
            await until(lambda: len(model.requests) >= 10)
            model.gate = asyncio.Event()
            await model.waiting.wait()
        sent_before = len(model.requests)
        model.gate.set()
        await store.close()

        again = new_store(tmp_path, clock=clock)
        await again.open()
        half = await again.jobs.get(job.id)
        assert half.state is JobState.RUNNING
        assert 7 <= half.counts.total < 30
        async with running(again, there):
            done = await over(again, job)

    assert (done.state, done.counts) == (JobState.DONE, Counts(replayed=30))
    assert set(model.ids) == {f"request-{n}" for n in range(30)}
    assert len(model.requests) - 30 == sent_before - half.counts.total <= 3
    await again.close()


async def test_what_arrives_during_a_replay_is_not_part_of_it(store):
    model = Model()
    model.gate = asyncio.Event()
    await store.add_failed_predictions([failed(1)])
    async with serving(model) as (url,), running(store, world({"stable": url})) as replayer:
        job = await replayer.order(Replay())
        await model.waiting.wait()
        await store.add_failed_predictions([failed(2)])
        model.gate.set()
        done = await over(store, job)

    assert (done.total, done.counts) == (1, Counts(replayed=1))
    assert await state_of(store, 2) is LetterState.WAITING


async def test_a_letter_that_is_purged_before_its_turn_is_skipped(store):
    model = Model()
    model.gate = asyncio.Event()
    await store.add_failed_predictions([failed(n) for n in range(1, 4)])
    async with serving(model) as (url,), running(store, world({"stable": url})) as replayer:
        job = await replayer.order(Replay(concurrency=1))
        await model.waiting.wait()
        await store.purge(Filter(id=3))
        model.gate.set()
        done = await over(store, job)

    assert done.counts == Counts(replayed=2, skipped=1)
    assert await state_of(store, 3) is LetterState.PURGED


async def test_a_replay_that_is_cancelled_finishes_what_is_under_way_and_leaves_the_rest(store):
    model = Model()
    model.gate = asyncio.Event()
    await store.add_failed_predictions([failed(n) for n in range(10)])
    async with serving(model) as (url,), running(store, world({"stable": url})) as replayer:
        job = await replayer.order(Replay(concurrency=2))
        await until(lambda: len(model.requests) >= 2)
        cancelled = await replayer.cancel(job.id)
        second = await replayer.order(Replay(filter=Filter(id=10)))
        model.gate.set()
        await over(store, second)
        job = await store.jobs.get(job.id)

    assert cancelled.state is JobState.CANCELLED
    assert (job.state, job.counts) == (JobState.CANCELLED, Counts(replayed=2))
    assert len(model.requests) == 3


async def test_replays_wait_for_each_other_and_too_many_are_refused(store):
    jobs = [await store.jobs.order(Replay()) for _ in range(MOST_UNFINISHED)]

    with pytest.raises(ClientError, match="replays are waiting") as refused:
        await store.jobs.order(Replay())
    assert refused.value.status == 429

    await store.jobs.end(jobs[0].id, JobState.CANCELLED)
    assert (await store.jobs.order(Replay())).state is JobState.QUEUED
    assert (await store.jobs.next_unfinished()).id == jobs[1].id


async def test_orders_that_make_no_sense_are_refused(store):
    with pytest.raises(ClientError, match="purged cannot be replayed"):
        await store.jobs.order(Replay(filter=Filter(states=(LetterState.PURGED,))))
    filter_ = Filter(class_=DeadLetterClass.DELIVERY_FAILED)
    with pytest.raises(ClientError, match="their own sink"):
        await store.jobs.order(Replay(to="next", filter=filter_))


async def test_counts_and_letters_change_together_or_not_at_all(store):
    await store.add_failed_predictions([failed(1)])
    job = await store.jobs.order(Replay())

    with pytest.raises(AttributeError):
        await store.jobs.settle(job.id, [Outcome(letter=1, fate=Fate.REPLAYED), None], done_to=1)

    assert await state_of(store, 1) is LetterState.WAITING
    assert (await store.jobs.get(job.id)).counts == Counts()


def test_a_pace_spreads_letters_evenly_and_a_pause_is_not_made_up_for():
    now = 100.0
    pace = Pace(10, lambda: now)

    assert [round(pace.wait_s(1), 6) for _ in range(3)] == [0.0, 0.1, 0.2]
    now = 200.0
    assert [round(pace.wait_s(5), 6), round(pace.wait_s(1), 6)] == [0.0, 0.5]
    assert {Pace(0, lambda: now).wait_s(1) for _ in range(5)} == {0.0}


async def test_a_client_error_of_a_model_is_no_success(store):
    model = Model()
    model.status = 302
    await store.add_failed_predictions([failed(1, outcome=StatusClass.ERROR)])
    async with serving(model) as (url,):
        job = await replayed(store, world({"stable": url}))

    assert job.counts == Counts(failed_again=1)
    assert len(model.requests) == 1
