"""An HTTP receiver in trouble while records keep coming: nothing is lost, memory stays flat."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import msgspec
from harness.delivering import HASTY, Journal, Kept, eventually, pump_of, record, running, settled
from harness.event_receiver import DISCONNECT, HANG, EventReceiver
from harness.waiting import wait_until

from sidecar.config.sinks import EventMode
from sidecar.config.sinks import HttpSink as HttpSettings
from sidecar.config.units import Duration
from sidecar.delivery.sinks import Surroundings, sink_for
from sidecar.journal import Cursor
from sidecar.records import Captured, Why

RECORDS = 10_000
MOST_GROWTH_BYTES = 20_000_000


def events_sink(url, **settings):
    settings = HttpSettings(**{"name": "events", "url": url, "timeout": Duration(1)} | settings)
    surroundings = Surroundings(environ={}, wall_ns=time.time_ns, chance=lambda: 0.5)
    return sink_for(settings, surroundings)


def resident_bytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def with_bodies(number, **fields):
    captured = Captured(why=Why.SAMPLED, request_body=os.urandom(3000), response_body=b"{}")
    return record(number, captured=captured, **fields)


def test_a_receiver_that_goes_down_and_comes_back_gets_everything(tmp_path, deliverer):
    cursor = Cursor(tmp_path / "cursor")

    def delivered():
        return sum(cursor.load().totals.get("delivered", {}).values())

    with Journal(tmp_path / "journal") as journal, EventReceiver() as receiver:
        process = deliverer(receiver.url)
        journal.add(1000, make=with_bodies)
        wait_until(lambda: delivered() == 1000, "it delivers")
        before = resident_bytes(process.pid)
        receiver.stop()
        most = 0
        for _ in range(10):
            journal.add((RECORDS - 1000) // 10, make=with_bodies)
            most = max(most, resident_bytes(process.pid))
        assert delivered() < RECORDS
        receiver.start()
        while delivered() < RECORDS:
            most = max(most, resident_bytes(process.pid))
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert set(receiver.taken) == set(journal.ids)
    assert cursor.load().totals == {"delivered": dict(journal.logged)}
    # What came in while it was down are 30 MB of bodies.
    assert most - before < MOST_GROWTH_BYTES


async def test_a_receiver_with_every_kind_of_trouble_gets_everything_once_it_is_well(tmp_path):
    troubles = [503, (429, {"Retry-After": "0"}), DISCONNECT, 500, HANG, 401]
    bad = {record(number).id for number in (7, 1234, 2222)}

    def answer(request):
        if troubles and len(receiver.requests) % 3 == 0:
            return troubles.pop(0)
        return 422 if bad & set(request.ids) else 200

    letters = Kept()
    with Journal(tmp_path / "journal") as journal, EventReceiver(answer) as receiver:
        sink = events_sink(receiver.url)
        policy = msgspec.structs.replace(HASTY, timeout_s=0.3, batch_records=100)
        pump = pump_of(sink, journal.source(tmp_path / "cursor"), letters=letters, policy=policy)
        async with running(pump):
            for _ in range(6):
                journal.add(500)
                await eventually(
                    lambda: settled(pump) == dict(journal.logged), "settled", timeout_s=20
                )
    assert troubles == []
    assert set(letters.reasons) == bad
    assert set(letters.reasons.values()) == {"it answered 422 Unprocessable Entity"}
    assert set(receiver.taken) == set(journal.ids) - bad
    assert pump.figures.failures == 6
    assert pump.figures.totals["dead_lettered"] == {"next": 1, "stable": 2}


async def test_each_record_in_a_request_of_its_own_goes_on_where_it_broke_off(tmp_path):
    """In binary mode, what was taken before an outage is told, and not sent again."""
    seen = Counter()

    def answer(request):
        seen.update(request.ids)
        return 503 if len(receiver.requests) in (50, 51, 200) else 200

    with Journal(tmp_path / "journal") as journal, EventReceiver(answer) as receiver:
        sink = events_sink(receiver.url, mode=EventMode.BINARY, timeout=Duration(5))
        pump = pump_of(sink, journal.source(tmp_path / "cursor"))
        async with running(pump):
            journal.add(400)
            await eventually(lambda: settled(pump) == dict(journal.logged), "settled")
    assert set(receiver.taken) == set(journal.ids)
    assert max(receiver.taken.values()) == 1
    assert sum(seen.values()) == 403
