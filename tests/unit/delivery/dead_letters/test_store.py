"""What comes into the store, what is shown of it, and what goes."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from harness.dead_letters import HOUR_NS, NOW_NS, captured, failed, item, new_store

from sidecar.delivery.dead_letters import (
    Bounds,
    DeadLetterClass,
    Filter,
    LetterState,
    Obstacle,
    PurgeReason,
)
from sidecar.delivery.dead_letters.jobs import Fate, Outcome, Replay
from sidecar.errors import ClientError
from sidecar.model import StatusClass
from sidecar.records import Why, Withheld

PREDICTION, DELIVERY = DeadLetterClass


async def ids(store):
    return [one.letter.id async for one in store.export(Filter())]


# -- what comes in -------------------------------------------------------------------------------


async def test_a_failed_prediction_is_kept_with_its_whole_request(store):
    record = failed(1, status=0, outcome=StatusClass.ERROR, failure="upstream_timeout")
    await store.add_failed_predictions([record])

    kept = await store.get(1)

    assert kept.record == record
    assert kept.letter.class_ is PREDICTION
    assert kept.letter.state is LetterState.WAITING
    assert (kept.letter.reason, kept.letter.obstacle) == ("upstream_timeout", None)
    assert (kept.letter.at_ns, kept.letter.arrived_ns) == (record.at_ns, NOW_NS)


async def test_a_refused_record_is_kept_with_the_sinks_reason(store):
    await store.add_refused("kafka", [item(failed(1))], ["it answered 413:\n  too large"])

    kept = await store.get(1)

    assert kept.letter.class_ is DELIVERY
    assert (kept.letter.sink, kept.letter.reason) == ("kafka", "it answered 413: too large")


async def test_what_arrives_twice_is_one_letter(store):
    for _ in range(3):
        await store.add_failed_predictions([failed(1), failed(2), failed(1)])
        await store.add_refused("kafka", [item(failed(1))], ["no"])

    assert len(await ids(store)) == 3
    assert (store.figures[PREDICTION].arrived, store.figures[PREDICTION].repeated) == (2, 7)
    assert (store.figures[DELIVERY].arrived, store.figures[DELIVERY].repeated) == (1, 2)


async def test_the_same_record_is_a_letter_of_each_sink_that_refused_it(store):
    for sink in ("kafka", "nats"):
        await store.add_refused(sink, [item(failed(1))], ["no"])
    await store.add_failed_predictions([failed(1)])

    assert len(await ids(store)) == 3


async def test_what_was_added_is_there_after_a_restart(store, tmp_path, clock):
    await store.add_failed_predictions([failed(1)])
    await store.close()

    again = new_store(tmp_path, clock=clock)
    await again.open()
    assert (await again.get(1)).record == failed(1)
    assert again.figures == store.figures
    await again.close()


@pytest.mark.parametrize(
    ("kept", "obstacle"),
    [
        (None, Obstacle.NOT_KEPT),
        (captured(request_cut=200_000), Obstacle.CUT),
        (captured(request_body=None, request_withheld=Withheld.NOT_PARSED), Obstacle.REDACTED),
        (captured(redacted=True, request_redacted=True), Obstacle.REDACTED),
        (captured(redacted=True), None),  # of the answer
        (captured(request_body=None), Obstacle.NOT_KEPT),
        (captured(why=Why.SAMPLED), Obstacle.NOT_KEPT),  # without its head
        (captured(), None),
    ],
)
async def test_a_letter_says_whether_its_request_could_be_sent_again(store, kept, obstacle):
    await store.add_failed_predictions([failed(1, captured=kept)])

    assert (await store.get(1)).letter.obstacle is obstacle


async def test_a_request_without_a_body_lacks_nothing(store):
    bare = failed(1, method="GET", request_bytes=0, captured=captured(request_body=None))
    await store.add_failed_predictions([bare])

    assert (await store.get(1)).letter.obstacle is None


# -- what is shown -------------------------------------------------------------------------------


async def test_pages_follow_each_other_without_gap_or_overlap(store):
    await store.add_failed_predictions([failed(n) for n in range(25)])

    for newest_first in (True, False):
        seen, after = [], None
        while True:
            page = await store.page(Filter(), limit=10, after=after, newest_first=newest_first)
            seen += [one.id for one in page.letters]
            after = page.next
            if after is None:
                break
        assert seen == sorted(range(1, 26), reverse=newest_first)


async def test_an_export_holds_few_bodies_at_a_time(store):
    """Each page of an export is a call of its own; between two of them others get their turn."""
    body = b"x" * 1_000_000
    for n in range(12):
        await store.add_failed_predictions([failed(n, captured=captured(request_body=body))])
    order = []

    async def export():
        async for one in store.export(Filter()):
            order.append(one.letter.id)
            await asyncio.sleep(0)

    async def others():
        for n in itertools.count(100):
            if len(order) >= 12:
                return
            await store.add_failed_predictions([failed(n)])
            order.append(f"added {n}")

    await asyncio.gather(export(), others())

    first_added = next(place for place, one in enumerate(order) if isinstance(one, str))
    assert first_added < order.index(12)
    assert [one for one in order if isinstance(one, int)][:12] == list(range(1, 13))


async def test_a_letter_that_is_not_there_is_a_404(store):
    with pytest.raises(ClientError, match="no dead letter 7") as refused:
        await store.get(7)
    assert refused.value.status == 404


# -- what goes -----------------------------------------------------------------------------------


async def test_purging_takes_what_clients_sent_and_keeps_it_from_coming_back(store):
    await store.add_failed_predictions([failed(1), failed(2, model="next")])

    assert await store.purge(Filter(model="stable")) == 1
    await store.add_failed_predictions([failed(1)])

    assert await ids(store) == [2]
    purged = await store.get(1)
    assert purged.record is None
    assert purged.letter.state is LetterState.PURGED
    assert (purged.letter.request_id, purged.letter.path, purged.letter.reason) == ("", "", "")
    assert store.figures[PREDICTION].purged_open[PurgeReason.OPERATOR] == 1


async def test_what_was_purged_is_in_no_file_any_more(store, tmp_path):
    secret = b"hunter2-in-a-body"
    body = secret + b"x" * 50_000
    for n in range(20):
        await store.add_failed_predictions([failed(n, captured=captured(request_body=body))])
    assert any(secret in path.read_bytes() for path in tmp_path.iterdir())

    await store.purge(Filter())

    assert not any(secret in path.read_bytes() for path in tmp_path.iterdir())
    assert store.size_bytes() < 200_000


async def test_beyond_the_bound_replayed_letters_go_first_then_the_oldest(tmp_path, clock):
    store = new_store(tmp_path, Bounds(max_bytes=100_000), clock=clock)
    await store.open()
    large = captured(request_body=b"x" * 10_000)
    await store.add_failed_predictions([failed(n, captured=large) for n in range(1, 9)])
    job = await store.jobs.order(Replay())
    await store.jobs.settle(job.id, [Outcome(letter=5, fate=Fate.REPLAYED)], done_to=0)

    await store.add_failed_predictions([failed(n, captured=large) for n in range(9, 11)])
    assert await ids(store) == [1, 2, 3, 4, 6, 7, 8, 9, 10]

    await store.add_failed_predictions([failed(n, captured=large) for n in range(11, 13)])
    assert await ids(store) == [3, 4, 6, 7, 8, 9, 10, 11, 12]
    figures = store.figures[PREDICTION]
    assert figures.purged_replayed[PurgeReason.BYTES] == 1
    assert figures.purged_open[PurgeReason.BYTES] == 2
    assert figures.bytes <= 100_000
    await store.close()


async def test_the_bound_holds_for_the_file_however_much_arrives(tmp_path, clock):
    limit = 512 * 1024
    store = new_store(tmp_path, Bounds(max_bytes=limit), clock=clock)
    await store.open()
    numbers = itertools.count()
    for size in (300, 30_000, 300, 3_000):
        body = b"x" * size
        for _ in range(6 * limit // (size + 1_000) // 100 + 1):
            records = [
                failed(next(numbers), captured=captured(request_body=body)) for _ in range(100)
            ]
            await store.add_failed_predictions(records)
    arrived = next(numbers)
    await store.tend()

    figures = store.figures[PREDICTION]
    gone = figures.purged_open[PurgeReason.BYTES]
    assert figures.arrived == arrived
    assert arrived == figures.open + gone
    assert figures.bytes <= limit
    file_bytes = (tmp_path / "dead_letters.sqlite").stat().st_size
    assert file_bytes < 1.5 * limit + 100_000
    await store.close()


async def test_letters_that_are_too_old_go_and_are_counted(tmp_path, clock):
    store = new_store(tmp_path, Bounds(max_age_s=3_600), clock=clock)
    await store.open()
    await store.add_failed_predictions([failed(1), failed(2)])
    clock.now_ns += HOUR_NS // 2
    await store.add_failed_predictions([failed(3)])
    clock.now_ns += HOUR_NS // 2 + 1

    await store.tend()

    assert await ids(store) == [3]
    assert store.figures[PREDICTION].purged_open[PurgeReason.AGE] == 2
    assert store.figures[PREDICTION].letters[LetterState.PURGED] == 0
    await store.close()


async def test_the_age_is_that_of_the_oldest_letter_that_is_still_open(store, clock):
    assert store.figures[PREDICTION].age_s(clock()) == 0

    await store.add_failed_predictions([failed(1)])
    clock.now_ns += HOUR_NS
    await store.add_failed_predictions([failed(2)])
    assert store.figures[PREDICTION].age_s(clock()) == 3600

    await store.purge(Filter(id=1))
    assert store.figures[PREDICTION].age_s(clock() + HOUR_NS) == 3600
    assert store.figures[DELIVERY].age_s(clock()) == 0
